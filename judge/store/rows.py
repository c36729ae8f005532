"""Rows of answers, readings and keys to the nouns, and back."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Table, select

from judge.domain.outcome import Preference, VerdictStatus
from judge.domain.run import Spent
from judge.domain.verdict import SOURCE_PARSER, CallKey, ParsedVerdict, Reply, Usage
from judge.store import schema as s
from judge.store.many_rows import ids_among, insert_rows

CHUNK = 500
_parts_of = attrgetter(*CallKey._fields)


def key_of(row: Any) -> CallKey:  # noqa: ANN401  # a row
    """The key in a row's columns."""
    return CallKey(*_parts_of(row))


def ids_of(c: Connection, table: Table, owner: int, keys: Sequence[CallKey], *, where: str = "") -> list[int]:
    """The ids of the rows of *table* that have one of *keys*, and of which *where* holds."""
    return ids_among(c, table, s.KEY, [(owner, *key) for key in keys], where=where)


def insert_keyed_rows(
    c: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> dict[CallKey, int]:
    """Insert *rows* of a *table* whose rows have keys; the id of each that was not there, by its key."""
    back = [table.c[name] for name in ("id", *CallKey._fields)]
    return {CallKey(*key): id_ for id_, *key in insert_rows(c, table, names, rows, back)}


def by_id(c: Connection, columns: Sequence[Any], ids: Collection[int]) -> dict[int, Any]:
    """What rows have in *columns*, an id or a table among them, by their *ids*, in the order of these."""
    ordered = sorted(ids)
    found: dict[int, Any] = {}
    for begin in range(0, len(ordered), CHUNK):
        query = select(*columns)
        query = query.where(query.selected_columns.id.in_(ordered[begin : begin + CHUNK]))
        found.update({row.id: row for row in c.execute(query.order_by(query.selected_columns.id))})
    return found


def storable(text: str) -> str:
    """*text* as every database can hold it: half a surrogate pair becomes a question mark, as does a NUL."""
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
"""The columns of an answer, but for its id."""


def answer_row(owner: int, key: CallKey, reply: Reply, now: float) -> tuple[Any, ...]:
    """An answer as a row."""
    usage = reply.usage
    return (
        owner,
        *key,
        storable(reply.raw),
        int(reply.status),
        storable(reply.model),
        # JSON has no infinity: a token that cannot be is left out, which is what parsers make of it.
        tuple(one for one in reply.logprobs if math.isfinite(one[1])) if reply.logprobs else (),
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.cost_micros,
        usage.latency_ms,
        usage.tries,
        now,
    )


PARSED_VERDICT = ("answer_id", "parser", "tenant_id", "preference", "reason", "probability_first", "strength")
"""The columns of a reading."""


def parsed_verdict_row(owner: int, answer: int, parsed_verdict: ParsedVerdict) -> tuple[Any, ...]:
    """A reading as a row."""
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
    """The reply of an answer's row."""
    usage = Usage(
        row.input_tokens, row.cached_input_tokens, row.output_tokens, row.cost_micros, row.latency_ms, row.tries
    )
    logprobs = tuple((token, value) for token, value in row.logprobs)
    return Reply(row.raw, VerdictStatus(row.status), usage, row.model, logprobs)


def parsed_verdicts_of(c: Connection, answers: Sequence[int], parser: str = "") -> dict[int, tuple[ParsedVerdict, ...]]:
    """The readings of each answer: the source's first, then by parser, that of *parser* last, where it counts."""
    found: dict[int, list[ParsedVerdict]] = {}
    for begin in range(0, len(answers), CHUNK):
        chunk = answers[begin : begin + CHUNK]
        query = (
            select(s.parsed_verdict).where(s.parsed_verdict.c.answer_id.in_(chunk)).order_by(s.parsed_verdict.c.parser)
        )
        for row in c.execute(query):
            preference = None if row.preference is None else Preference(row.preference)
            parsed_verdict = ParsedVerdict(row.parser, preference, row.reason, row.probability_first, row.strength)
            found.setdefault(row.answer_id, []).append(parsed_verdict)
    last = {SOURCE_PARSER: -1, parser: 1}
    return {
        answer: tuple(sorted(parsed_verdicts, key=lambda r: last.get(r.parser, 0)))
        for answer, parsed_verdicts in found.items()
    }


def spent_with(before: Mapping[str, Sequence[int]], more: Mapping[int, Spent]) -> dict[str, Sequence[int]]:
    """A run's spending by judge as its row keeps it, with *more* of some judges."""
    found = dict(before)
    for judge, spent in more.items():
        found[str(judge)] = astuple(Spent(*found.get(str(judge), ())) + spent)
    return found
