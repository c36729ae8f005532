"""Leaderboards and agreement reports as named tables. Every field of the message is in one of them.

Each list of a report is a table, whose columns follow from the message of its entries: an interval becomes `low` and
`high`, an estimate `NAME`, `NAME_low` and so on. Fields that are no lists are in the table `report`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from judge.cli.export_rows import ColumnType, scalar_type
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from judge.api.v1.agreement_service_pb2 import AgreementReport
    from judge.api.v1.leaderboard_pb2 import Leaderboard
    from judge.api.v1.ranking_service_pb2 import GetMeanScoresResponse

FieldDescriptor = Any
"""Protobuf has two types for it, of which a message has either."""
Cell = str | int | float | None
AVERAGE = "average"
"""What win rates are against without a reference contestant: a contestant of average rating."""
WHOLE = "all"
"""The part of a leaderboard that is not one of a category or without something."""
_RATINGS = {
    "contestant": "contestant",
    "rank": "rank",
    "ranks": "ranks",
    "rating": "rating",
    "low": "low",
    "high": "high",
    "expected_score": "win_rate",
    "n": "n",
    "prompts": "prompts",
    "probability_best": "best",
    "order_sd": "order_sd",
}
"""The columns of ratings that come first, and what they are called."""


class ReportTable(NamedTuple):
    """A table: the type of each column by its name, and rows of as many cells. A cell without a value is None."""

    name: str
    columns: dict[str, ColumnType]
    rows: list[tuple[Cell, ...]]


class _Column(NamedTuple):
    """A column, and the names of the fields that lead to its values."""

    name: str
    path: tuple[str, ...]
    type: ColumnType


def leaderboard_tables(leaderboard: Leaderboard) -> list[ReportTable]:
    """Return the tables of a leaderboard, its ratings first.

    If it has leaderboards of categories, or without something, their rows follow in the same tables, and a first column
    `part` says whose they are.
    """
    parts = list(_parts(leaderboard, WHOLE))
    rows: dict[str, ReportTable] = {}
    for part, each in parts:
        own = [ratings_table(each), *_tables(each, skipped="ratings"), _facts_table(each)]
        for table in own:
            labeled = _with_part(table, part) if len(parts) > 1 else table
            if table.name in rows:
                rows[table.name].rows.extend(labeled.rows)
            elif table.rows:
                rows[table.name] = labeled
    facts = rows.pop("report")
    return [*rows.values(), facts]


def agreement_tables(report: AgreementReport) -> list[ReportTable]:
    """Return the tables of an agreement report, its figures first."""
    return [table for table in (*_tables(report), _facts_table(report)) if table.rows]


def mean_score_tables(means: GetMeanScoresResponse) -> list[ReportTable]:
    """Return the table of mean scores."""
    return list(_tables(means))


def ratings_table(leaderboard: Leaderboard) -> ReportTable:
    """Return the ratings of a leaderboard, without those of its parts."""
    plain = _table("ratings", leaderboard.DESCRIPTOR.fields_by_name["ratings"], list(leaderboard.ratings))
    first = {new: plain.columns[old] for old, new in _RATINGS.items()}
    others = {name: type_ for name, type_ in plain.columns.items() if name not in _RATINGS}
    against = leaderboard.expected_against or AVERAGE
    rows: list[tuple[Cell, ...]] = []
    for row in plain.rows:
        cells = dict(zip(plain.columns, row, strict=True))
        rows.append(
            (
                *(cells[name] for name in _RATINGS),
                None if cells["expected_score"] is None else against,
                *(cells[name] for name in others),
            )
        )
    return ReportTable("ratings", {**first, "win_rate_against": ColumnType.TEXT, **others}, rows)


def _parts(leaderboard: Leaderboard, name: str) -> Iterator[tuple[str, Leaderboard]]:
    """Yield a leaderboard and those in it, each with its name."""
    yield name, leaderboard
    prefix = "" if name == WHOLE else f"{name}, "
    for each in leaderboard.slices:
        yield from _parts(each, f"{prefix}category {each.slice.category or '(none)'}")
    for field in ("uniform_sample", "without_style"):
        if leaderboard.HasField(field):
            yield from _parts(getattr(leaderboard, field), prefix + field.replace("_", " "))


def _with_part(table: ReportTable, part: str) -> ReportTable:
    return ReportTable(table.name, {"part": ColumnType.TEXT, **table.columns}, [(part, *row) for row in table.rows])


def _tables(message: Message, prefix: str = "", skipped: str = "") -> Iterator[ReportTable]:
    """Yield a table of each list of messages in *message* and in the messages in it."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None or field.name == skipped or _is_map(field) or _is_leaderboard(field):
            continue
        name = f"{prefix}{field.name}"
        value = getattr(message, field.name)
        if field.is_repeated:
            yield _table(name, field, list(value))
        elif message.HasField(field.name):
            yield from _tables(value, f"{name}_")


def _is_leaderboard(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.name == "Leaderboard"


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _table(name: str, field: FieldDescriptor, messages: list[Message]) -> ReportTable:
    columns = list(_columns(field.message_type))
    rows = [tuple(_cell(message, column.path) for column in columns) for message in messages]
    return ReportTable(name, {column.name: column.type for column in columns}, rows)


def _columns(descriptor: Descriptor | None, prefix: str = "", path: tuple[str, ...] = ()) -> Iterator[_Column]:
    for field in descriptor.fields if descriptor else ():
        name, below = _joined(prefix, field.name), (*path, field.name)
        kind = "" if field.message_type is None or field.is_repeated else field.message_type.name
        if kind == "RankInterval":
            yield _Column(_joined(prefix, "ranks"), below, ColumnType.TEXT)
        elif kind == "Interval":
            yield from _columns(field.message_type, name.removesuffix("interval").removesuffix("_"), below)
        elif kind:
            yield from _columns(field.message_type, prefix if kind == "Slice" else name, below)
        else:
            yield _Column(name, below, _type(field))


def _joined(prefix: str, name: str) -> str:
    if not prefix:
        return name
    return prefix if name == "value" else f"{prefix}_{name}"


def _type(field: FieldDescriptor) -> ColumnType:
    return ColumnType.TEXT if field.is_repeated else scalar_type(field)


def _cell(message: Message, path: tuple[str, ...]) -> Cell:
    """Return the value at the end of a *path* of fields; None if one of them is absent."""
    for name in path[:-1]:
        if not message.HasField(name):
            return None
        message = getattr(message, name)
    return _value(message, message.DESCRIPTOR.fields_by_name[path[-1]])


def _value(message: Message, field: FieldDescriptor) -> Cell:
    value: Any = getattr(message, field.name)
    if field.is_repeated:
        plain = dict(value) if _is_map(field) else list(value)
        return json.dumps(plain, ensure_ascii=False, sort_keys=True) if plain else None
    every_turn = field.full_name == "judge.api.v1.Slice.turn" and value == 0
    if every_turn or (field.has_presence and not message.HasField(field.name)):
        return None
    if field.enum_type is not None:
        return word(message, field.name) or None
    if field.message_type is not None:
        return str(value.low) if value.low == value.high else f"{value.low}-{value.high}"
    return None if value == "" else value


def _facts_table(message: Message) -> ReportTable:
    """Return the fields of a report that are no lists of messages, each with its path, and a row for each entry."""
    rows: list[tuple[Cell, ...]] = [(name, str(value)) for name, value in _facts(message, "")]
    return ReportTable("report", {"field": ColumnType.TEXT, "value": ColumnType.TEXT}, rows)


def _facts(message: Message, prefix: str) -> Iterator[tuple[str, object]]:
    for field in message.DESCRIPTOR.fields:
        name, value = f"{prefix}{field.name}", getattr(message, field.name)
        if _is_map(field):
            yield from ((f"{name}.{key}", each) for key, each in sorted(value.items()))
        elif field.message_type is not None:
            if not field.is_repeated and not _is_leaderboard(field) and message.HasField(field.name):
                yield from _facts(value, f"{name}.")
        elif field.is_repeated:
            yield from ((name, each) for each in value)
        elif (cell := _value(message, field)) is not None:
            yield name, cell
