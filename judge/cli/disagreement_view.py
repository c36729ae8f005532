"""A disagreement for somebody who reads it, at most 80 columns wide."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

from judge.cli.tables import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from judge.api.v1.agreement_service_pb2 import Disagreement

WORDS = {1: "left", 2: "right", 3: "tie"}
TEXT, REASON = 300, 300
"""How much of a text, or of a reply, is shown; --json has all of it."""


def disagreement(row: Disagreement) -> None:
    """Print one: what was asked and answered, what the source says, and how the votes fell."""
    out, where = console(), row.presentation
    votes = ", ".join(f"{many} {WORDS[at]}" for at, many in enumerate(row.votes, 1) if many)
    told = f"{where.prompt_id} turn {where.turn}" + (f" ({row.category})" if row.category else "")
    out.print(f"{told}: source {WORDS[row.source_outcome]}, votes {votes}", style="bold")
    ends = ((f"left, {where.left}", row.left), (f"right, {where.right}", row.right))
    for name, turns in (("prompt", row.prompt), *ends):
        if turns:
            out.print(f"  {name}: {_short(turns, where.turn)}")
    for source, verdicts in (("source", row.verdicts), ("target", row.target_verdicts)):
        for verdict in verdicts:
            order = {1: "left first", 2: "right first"}.get(verdict.presentation.order, "")
            said = verdict.reason or verdict.raw
            if said:
                judge = verdict.judge.removeprefix("judges/")
                out.print(f"  {source} {judge}, {order}: {shorten(said, REASON)}")
    for label in row.labels:
        if label.note:
            out.print(f"  {label.annotator}: {shorten(label.note, REASON)}")
    out.print()


def _short(turns: Sequence[str], turn: int) -> str:
    """The text of the turn judged, or of the last one."""
    return shorten(turns[min(turn, len(turns)) - 1] if turn else turns[-1], TEXT)
