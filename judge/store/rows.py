"""Rows of answers and readings to the nouns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from judge.domain.outcome import Preference, VerdictStatus
from judge.domain.verdict import SOURCE_PARSER, Reading, Reply, Usage
from judge.store import schema as s

CHUNK = 500


def reply_of(row: Any) -> Reply:  # noqa: ANN401  # a row
    """The reply of an answer's row."""
    usage = Usage(
        row.input_tokens, row.cached_input_tokens, row.output_tokens, row.cost_micros, row.latency_ms, row.tries
    )
    logprobs = tuple((token, value) for token, value in row.logprobs)
    return Reply(row.raw, VerdictStatus(row.status), usage, row.model, logprobs)


def readings_of(c: Connection, answers: Sequence[int]) -> dict[int, tuple[Reading, ...]]:
    """The readings of each answer, the source's first, then by parser."""
    found: dict[int, list[Reading]] = {}
    for begin in range(0, len(answers), CHUNK):
        chunk = answers[begin : begin + CHUNK]
        query = select(s.reading).where(s.reading.c.answer_id.in_(chunk)).order_by(s.reading.c.parser)
        for row in c.execute(query):
            preference = None if row.preference is None else Preference(row.preference)
            reading = Reading(row.parser, preference, row.reason, row.probability_first)
            found.setdefault(row.answer_id, []).append(reading)
    return {
        answer: tuple(sorted(readings, key=lambda r: r.parser != SOURCE_PARSER)) for answer, readings in found.items()
    }
