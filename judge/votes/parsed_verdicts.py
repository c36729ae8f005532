"""Verdicts by the reading that is asked for: the one that counts, the source's own, or some parser's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judge.columns.names import coded
from judge.domain.verdict import SOURCE_PARSER, ParsedVerdict, Verdict
from judge.ports.verdict_columns import STATUSES, UNREAD, VerdictColumns

CODE = {name: code for code, name in enumerate(STATUSES)}


def chosen_reading(verdict: Verdict, reading: str) -> ParsedVerdict | None:
    """The reading called *reading*: empty for the one that counts, `source`, or a parser's name without version."""
    if not reading:
        return verdict.reading
    named = [r for r in verdict.readings if r.parser == reading or r.parser.partition("/")[0] == reading]
    return named[-1] if named else None


def status_by(verdict: Verdict, reading: str = "") -> str:
    """What became of *verdict*: its status by that reading, or its state."""
    if verdict.reply is None:
        return verdict.state.name.lower() if verdict.state else "pending"
    if verdict.reply.status.name != "OK" and reading != SOURCE_PARSER:
        return verdict.reply.status.name.lower()
    chosen = chosen_reading(verdict, reading)
    return chosen.status.name.lower() if chosen else UNREAD


def as_columns(verdicts: Sequence[Verdict], reading: str = "") -> VerdictColumns:
    """*verdicts* as columns, by the reading called *reading*."""
    shown = [verdict.showing for verdict in verdicts]
    chosen = [chosen_reading(verdict, reading) or NO_READING for verdict in verdicts]
    prompt_ids, (prompt,) = coded([s.prompt_id for s in shown])
    contestants, (left, right) = coded([s.left for s in shown], [s.right for s in shown])
    return VerdictColumns(
        prompt_ids,
        contestants,
        prompt,
        np.array([s.turn for s in shown], dtype=np.int32),
        left,
        right,
        np.array([s.left_sample for s in shown], dtype=np.int32),
        np.array([s.right_sample for s in shown], dtype=np.int32),
        np.array([s.order for s in shown], dtype=np.int8),
        np.array([verdict.repeat for verdict in verdicts], dtype=np.int32),
        np.array([CODE[status_by(verdict, reading)] for verdict in verdicts], dtype=np.int8),
        np.array([r.preference or 0 for r in chosen], dtype=np.int8),
        np.array([np.nan if r.probability_first is None else r.probability_first for r in chosen], dtype=np.float64),
        np.array([np.nan if r.strength is None else r.strength for r in chosen], dtype=np.float64),
        np.array([verdict.answer for verdict in verdicts], dtype=np.int64),
    )


NO_READING = ParsedVerdict("", None)
