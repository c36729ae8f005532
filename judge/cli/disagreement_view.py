"""A disagreement as text of at most 80 columns."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

from judge.cli.tables import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from judge.api.v1.agreement_service_pb2 import Disagreement

WORDS = {1: "left", 2: "right", 3: "tie"}
TEXT, REASON = 300, 300
"""How many characters of a text and of a reply are printed; --json prints all of them."""


def print_disagreement(row: Disagreement) -> None:
    """Print the prompt, both outputs, the source's outcome and reasons, and the target's votes."""
    out, shown = console(), row.presentation
    votes = ", ".join(f"{n:,} {WORDS[outcome]}" for outcome, n in enumerate(row.votes, 1) if n)
    title = f"{shown.prompt_id} turn {shown.turn}" + (f" ({row.category})" if row.category else "")
    out.print(f"{title}: the source says {WORDS[row.source_outcome]}; votes: {votes}", style="bold")
    ends = ((f"left ({shown.left})", row.left), (f"right ({shown.right})", row.right))
    for name, turns in (("prompt", row.prompt), *ends):
        if turns:
            out.print(f"  {name}: {_short(turns, shown.turn)}")
    for source, verdicts in (("source", row.verdicts), ("target", row.target_verdicts)):
        for verdict in verdicts:
            order = {1: "left first", 2: "right first"}.get(verdict.presentation.order, "")
            reason = verdict.reason or verdict.raw
            if reason:
                judge = verdict.judge.removeprefix("judges/")
                out.print(f"  {source} {judge}, {order}: {shorten(reason, REASON)}")
    for label in row.labels:
        if label.note:
            out.print(f"  {label.annotator}: {shorten(label.note, REASON)}")
    out.print()


def _short(turns: Sequence[str], turn: int) -> str:
    """Shorten the text of the judged turn, or of the last one."""
    return shorten(turns[min(turn, len(turns)) - 1] if turn else turns[-1], TEXT)
