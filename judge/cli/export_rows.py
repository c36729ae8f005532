"""The rows of an export, page by page, and the columns that rows of a kind can have."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

    from judge.api.v1.turn_pb2 import Turn
    from judge_client import JudgeClient

Row = dict[str, Any]
PAGE = 1000
"""The most verdicts on a page."""


class Page(NamedTuple):
    """Rows that come together. With *token*, an export can continue after them; it is empty if it cannot."""

    rows: list[Row]
    token: str = ""


class ColumnType(Enum):
    """What the cells of a column hold."""

    TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    FLAG = auto()
    TEXTS = auto()
    """A list of texts."""
    NESTED = auto()
    """A message, or a list of messages, which a table holds as JSON."""


Columns = dict[str, ColumnType]


def dataset_columns(kind: str) -> Columns:
    """Return the columns of a *kind* of row in a dataset, such as labels."""
    from judge.api.v1 import dataset_service_pb2  # noqa: PLC0415  # grpc's messages when needed

    field = dataset_service_pb2.ReadDatasetResponse.DESCRIPTOR.fields_by_name[kind]
    columns = _columns(field.message_type)
    return columns | {"source": ColumnType.TEXT} if kind == "labels" else columns


def run_columns() -> Columns:
    """Return the columns of a run's verdicts."""
    from judge.api.v1 import verdict_pb2  # noqa: PLC0415  # as above

    return _columns(verdict_pb2.Verdict.DESCRIPTOR)


def _columns(descriptor: Descriptor | None) -> Columns:
    columns: Columns = {}
    for field in descriptor.fields if descriptor else ():
        if field.name == "presentation":
            columns |= _columns(field.message_type)
        else:
            columns["first" if field.name == "order" else field.name] = _type(field)
    return columns


def _type(field: FieldDescriptor) -> ColumnType:
    if field.message_type is not None:
        return ColumnType.TEXT if _is_time(field) else ColumnType.NESTED
    return ColumnType.TEXTS if field.is_repeated else scalar_type(field)


def scalar_type(field: Any) -> ColumnType:  # noqa: ANN401  # protobuf has two types of fields
    """Return what the values of a *field* are that is no message."""
    if field.enum_type is not None:
        return ColumnType.TEXT
    types = {
        field.CPPTYPE_STRING: ColumnType.TEXT,
        field.CPPTYPE_DOUBLE: ColumnType.NUMBER,
        field.CPPTYPE_BOOL: ColumnType.FLAG,
    }
    return types.get(field.cpp_type, ColumnType.INTEGER)


def _is_time(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp"


async def dataset_pages(client: JudgeClient, name: str, kind: str) -> AsyncIterator[Page]:
    """Yield the rows of a *kind* in a dataset as `judge import` reads them."""
    from judge.api.v1 import dataset_service_pb2  # noqa: PLC0415  # grpc's messages when needed

    part = dataset_service_pb2.DatasetPart.Value(f"DATASET_PART_{kind.upper()}")
    async for batch in client.read_dataset(name, [part]):
        source = {"source": batch.label_source} if kind == "labels" else {}
        yield Page([as_row(message) | source for message in getattr(batch, kind)])


async def importable_pages(client: JudgeClient, name: str, kind: str) -> AsyncIterator[Page]:
    """Yield the same without the texts that repeat messages."""
    async for page in dataset_pages(client, name, kind):
        yield page._replace(rows=[importable(row) for row in page.rows])


def importable(row: Row) -> Row:
    """Return *row* without its turns if it has messages, since an import takes one of them."""
    return {name: value for name, value in row.items() if name != "turns"} if "messages" in row else row


async def run_pages(client: JudgeClient, name: str, token: str = "") -> AsyncIterator[Page]:
    """Yield the verdicts of a run in the order of its plan, those after *token* if there is one."""
    from judge.api.v1 import verdict_pb2  # noqa: PLC0415  # as above

    full = verdict_pb2.VERDICT_VIEW_FULL
    async for page in client.verdict_pages(name, view=full, page_size=PAGE, page_token=token):
        rows = [as_row(verdict) for verdict in page.verdicts]
        yield Page([row | {"judge": row["judge"].removeprefix("judges/")} for row in rows], page.next_page_token)


def as_row(message: Message) -> Row:
    """Convert a message to a row: enums become words, the fields of a presentation are inlined, defaults left out."""
    row: Row = {}
    for field, value in message.ListFields():
        if field.name == "presentation":
            row |= as_row(value)
        elif field.name == "order":
            row["first"] = _word(field, value)
        elif field.message_type is not None and field.message_type.full_name == "judge.api.v1.Turn":
            row[field.name] = _message_rows(value)
        else:
            row[field.name] = [_plain(field, each) for each in value] if field.is_repeated else _plain(field, value)
    return row


def _message_rows(turns: Sequence[Turn]) -> list[Any]:
    """Return turns as lists of messages as an import reads them; the only turn of a row as its list alone."""
    from judge.formats.message_rows import message_rows  # noqa: PLC0415  # when needed
    from judge.rpc.turns import decode_turn  # noqa: PLC0415

    rows = [message_rows(decode_turn(turn)) for turn in turns]
    return rows if len(rows) > 1 else rows[0]


def _plain(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401  # of any type
    if field.enum_type is not None:
        return _word(field, value)
    if field.message_type is None:
        return value
    return value.ToJsonString() if _is_time(field) else as_row(value)


def _word(field: FieldDescriptor, value: int) -> str:
    """Return the word that an import reads back as *value*. The API's enums have the names and numbers of ours."""
    from judge.domain import outcome  # noqa: PLC0415  # when needed
    from judge.formats import words  # noqa: PLC0415

    kind = field.enum_type.name if field.enum_type else ""
    return words.word(getattr(outcome, kind)(value))
