"""Converts answers, parsed verdicts and keys to rows and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import astuple, replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from judge.domain.outcome import Preference, VerdictStatus
from judge.domain.spending import EnteredCost, Spent
from judge.domain.usage import Usage
from judge.domain.verdict import SOURCE_PARSER, CallKey, ParsedVerdict, Reply
from judge.store import schema as s
from judge.store.many_rows import ids_among, insert_rows

CHUNK = 500
READ_CHARS = 8 * 1024 * 1024
"""How many characters of texts a page of rows may have. It ends with the row that goes beyond it, or before it."""
BUFFER = 16
"""The most rows that are received from the database ahead of those that a page may end before."""
_parts_of = attrgetter(*CallKey._fields)


def key_of(row: Any) -> CallKey:  # noqa: ANN401  # a row
    """Return the key in a row's columns."""
    return CallKey(*_parts_of(row))


def ids_of(c: Connection, table: Table, owner: int, keys: Sequence[CallKey], *, condition: str = "") -> list[int]:
    """Return the ids of the rows of *table* that have one of *keys* and meet the *condition*."""
    return ids_among(c, table, s.KEY, [(owner, *key) for key in keys], condition=condition)


def insert_keyed_rows(
    c: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> dict[CallKey, int]:
    """Insert *rows* into a *table* whose rows have keys. Return the ids of those that did not exist, by key."""
    back = [table.c[name] for name in ("id", *CallKey._fields)]
    return {CallKey(*key): id_ for id_, *key in insert_rows(c, table, names, rows, back)}


def by_id(c: Connection, columns: Sequence[Any], ids: Collection[int]) -> dict[int, Any]:
    """Return the *columns* of rows, by id, in ascending order of their *ids*.

    The columns must include the id, or a table that has one.
    """
    ordered = sorted(ids)
    rows: dict[int, Any] = {}
    for begin in range(0, len(ordered), CHUNK):
        query = select(*columns)
        query = query.where(query.selected_columns.id.in_(ordered[begin : begin + CHUNK]))
        rows.update({row.id: row for row in c.execute(query.order_by(query.selected_columns.id))})
    return rows


def rows_that_fit(c: Connection, query: Select[Any], size: Callable[[Any], int]) -> list[Any]:
    """Return the rows of *query* up to the one at which they have READ_CHARS characters together, by their *size*.

    The others are not received, except for a few, so that no page of the largest rows fills the memory.
    """
    rows: list[Any] = []
    total = 0
    with c.execute(query.execution_options(stream_results=True, max_row_buffer=BUFFER)) as result:
        for row in result:
            rows.append(row)
            total += size(row)
            if total >= READ_CHARS:
                break
    return rows


def characters_in(value: object) -> int:
    """Return how many characters the texts in a *value* of a row have: a text, or what JSON holds.

    >>> characters_in(["two", {"note": "four"}, 1])
    7
    """
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(characters_in, value.values()))
    return sum(map(characters_in, value)) if isinstance(value, Sequence) and not isinstance(value, bytes) else 0


def storable(text: str) -> str:
    """Return *text* as every database can store it. Half a surrogate pair and NUL become question marks."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


ANSWER = (
    *s.KEY,
    "raw",
    "status",
    "model",
    "logprobs",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "cost_micros",
    "latency_ms",
    "tries",
    "create_time",
)
"""The columns of an answer, without its id."""


def answer_row(owner: int, key: CallKey, reply: Reply, now: float) -> tuple[Any, ...]:
    """Return an answer as a row."""
    usage = reply.usage
    return (
        owner,
        *key,
        storable(reply.raw),
        int(reply.status),
        storable(reply.model),
        # JSON has no infinity, so impossible tokens are left out. Parsers treat missing tokens in the same way.
        tuple(pair for pair in reply.logprobs if math.isfinite(pair[1])) if reply.logprobs else (),
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.cost_micros,
        usage.latency_ms,
        usage.tries,
        now,
    )


PARSED_VERDICT = ("answer_id", "parser", "tenant_id", "preference", "reason", "probability_first", "strength")
"""The columns of a parsed verdict."""


def parsed_verdict_row(owner: int, answer: int, parsed_verdict: ParsedVerdict) -> tuple[Any, ...]:
    """Return a parsed verdict as a row."""
    return (
        answer,
        parsed_verdict.parser,
        owner,
        None if parsed_verdict.preference is None else int(parsed_verdict.preference),
        storable(parsed_verdict.reason),
        parsed_verdict.probability_first,
        parsed_verdict.strength,
    )


def reply_of(row: Any) -> Reply:  # noqa: ANN401  # a row
    """Return the reply in an answer's row."""
    usage = Usage(
        input_tokens=row.input_tokens,
        cached_input_tokens=row.cached_input_tokens,
        output_tokens=row.output_tokens,
        cost_micros=row.cost_micros,
        latency_ms=row.latency_ms,
        tries=row.tries,
    )
    logprobs = tuple((token, value) for token, value in row.logprobs)
    return Reply(raw=row.raw, status=VerdictStatus(row.status), usage=usage, model=row.model, logprobs=logprobs)


def parsed_verdicts_of(c: Connection, answers: Sequence[int], parser: str = "") -> dict[int, tuple[ParsedVerdict, ...]]:
    """Return the parsed verdicts of each answer: the source's first, then sorted by parser, that of *parser* last.

    The last one counts, unless there is one of the source.
    """
    by_answer: dict[int, list[ParsedVerdict]] = {}
    for begin in range(0, len(answers), CHUNK):
        chunk = answers[begin : begin + CHUNK]
        query = (
            select(s.parsed_verdict).where(s.parsed_verdict.c.answer_id.in_(chunk)).order_by(s.parsed_verdict.c.parser)
        )
        for row in c.execute(query):
            preference = None if row.preference is None else Preference(row.preference)
            parsed_verdict = ParsedVerdict(
                parser=row.parser,
                preference=preference,
                reason=row.reason,
                probability_first=row.probability_first,
                strength=row.strength,
            )
            by_answer.setdefault(row.answer_id, []).append(parsed_verdict)
    last = {SOURCE_PARSER: -1, parser: 1}
    return {
        answer: tuple(sorted(parsed_verdicts, key=lambda r: last.get(r.parser, 0)))
        for answer, parsed_verdicts in by_answer.items()
    }


def spent_from(values: Sequence[Any]) -> Spent:
    """Return what a judge spent, from what a run's row stores. Earlier releases stored fewer values."""
    spent = Spent(*values)
    return replace(spent, entered=EnteredCost(*spent.entered)) if spent.entered else spent


def spent_with(before: Mapping[str, Sequence[Any]], more: Mapping[int, Spent]) -> dict[str, Sequence[Any]]:
    """Return a run's spending by judge as its row stores it, with *more* spending of some judges added."""
    by_judge = dict(before)
    for judge, spent in more.items():
        by_judge[str(judge)] = astuple(spent_from(by_judge.get(str(judge), ())) + spent)
    return by_judge
