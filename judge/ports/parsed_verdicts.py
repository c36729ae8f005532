"""Verdicts by the parser that is asked for: the one that counts, the source's own, or a named one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from judge.columns.names import encode_names
from judge.domain.verdict import SOURCE_PARSER, ParsedVerdict, Verdict
from judge.ports.verdict_columns import STATUSES, UNREAD, VerdictColumns

CODE = {name: code for code, name in enumerate(STATUSES)}


def chosen_parsed_verdict(verdict: Verdict, parser: str) -> ParsedVerdict | None:
    """Return the verdict by *parser*: empty for the one that counts, `source`, or a parser's name without version."""
    if not parser:
        return verdict.parsed_verdict
    named = [r for r in verdict.parsed_verdicts if parser in {r.parser, r.parser.partition("/")[0]}]
    return named[-1] if named else None


def status_by(verdict: Verdict, parser: str = "") -> str:
    """Return the status of *verdict*: its status by *parser*, or its state."""
    if verdict.reply is None:
        return verdict.state.name.lower() if verdict.state else "pending"
    if verdict.reply.status.name != "OK" and parser != SOURCE_PARSER:
        return verdict.reply.status.name.lower()
    chosen = chosen_parsed_verdict(verdict, parser)
    return chosen.status.name.lower() if chosen else UNREAD


def without_texts(verdict: Verdict) -> Verdict:
    """Return *verdict* as `as_columns` needs it: without its reply's text and tokens, and without reasons."""
    reply = None if verdict.reply is None else verdict.reply._replace(raw="", logprobs=())
    parsed_verdicts = tuple(parsed_verdict._replace(reason="") for parsed_verdict in verdict.parsed_verdicts)
    return replace(verdict, reply=reply, parsed_verdicts=parsed_verdicts, reason="")


def as_columns(verdicts: Sequence[Verdict], parser: str = "") -> VerdictColumns:
    """*verdicts* as columns, by *parser*."""
    shown = [verdict.presentation for verdict in verdicts]
    chosen = [chosen_parsed_verdict(verdict, parser) or NO_PARSED_VERDICT for verdict in verdicts]
    prompt_ids, (prompt,) = encode_names([s.prompt_id for s in shown])
    contestants, (left, right) = encode_names([s.left for s in shown], [s.right for s in shown])
    return VerdictColumns(
        prompt_ids=prompt_ids,
        contestants=contestants,
        prompt=prompt,
        turn=np.array([s.turn for s in shown], dtype=np.int32),
        left=left,
        right=right,
        left_sample=np.array([s.left_sample for s in shown], dtype=np.int32),
        right_sample=np.array([s.right_sample for s in shown], dtype=np.int32),
        order=np.array([s.order for s in shown], dtype=np.int8),
        repeat=np.array([verdict.repeat for verdict in verdicts], dtype=np.int32),
        status=np.array([CODE[status_by(verdict, parser)] for verdict in verdicts], dtype=np.int8),
        preference=np.array([r.preference or 0 for r in chosen], dtype=np.int8),
        probability_first=np.array(
            [np.nan if r.probability_first is None else r.probability_first for r in chosen], dtype=np.float64
        ),
        strength=np.array([np.nan if r.strength is None else r.strength for r in chosen], dtype=np.float64),
        answer=np.array([verdict.answer for verdict in verdicts], dtype=np.int64),
    )


NO_PARSED_VERDICT = ParsedVerdict("", None)
