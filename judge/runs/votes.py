"""Votes: one row for each outcome on a comparison, oriented with the smaller name on the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from judge.domain.outcome import Order, Outcome, Reconcile

LEFT_SHARE = {Outcome.LEFT: 1.0, Outcome.RIGHT: 0.0, Outcome.TIE: 0.5}


@dataclass(frozen=True, slots=True)
class Where:
    """A comparison by its names, left being the smaller."""

    prompt_id: str
    turn: int
    left: str
    right: str
    left_sample: int = 0
    right_sample: int = 0


@dataclass(frozen=True, slots=True)
class Vote:
    """One outcome on a comparison. *share* is how much of it goes to the left, other than whole only if soft.

    *left_first* says what was shown first, where each order is a vote of its own. *weight* is how many votes it counts.
    """

    where: Where
    outcome: Outcome
    annotator: str = ""
    share: float | None = None
    left_first: bool | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Orders:
    """A comparison's outcome in each order, where both were shown; None where there is no verdict."""

    where: Where
    left_first: Outcome | None
    right_first: Outcome | None


Shares = Mapping[Where, Mapping[Order, Sequence[float | None]]]
"""What goes to the left of each comparison, by order, a number a repeat; None where there is no outcome."""


@dataclass(frozen=True)
class Votes:
    """What a source says: its votes in stored order, the two orders of its comparisons, and its coverage."""

    source: str
    rows: Sequence[Vote]
    categories: Mapping[str, str]
    tags: Mapping[str, tuple[str, ...]]
    usable: int
    planned: int
    by_status: Mapping[str, int] = field(default_factory=dict)
    orders: tuple[Orders, ...] = ()
    reading: str = ""
    interim: bool = False
    comparisons: frozenset[Where] = frozenset()
    """Of a judge: all that it has verdicts on, usable or not."""
    dataset: str = ""
    shares: Mapping[str, Shares] = field(default_factory=dict)
    """Of judges: what each said, before anything was reconciled."""
    calls: frozenset[int] = frozenset()
    """Of a judge: the calls behind its verdicts, by the store's numbers."""
    members: tuple[Votes, ...] = ()
    """Of a jury."""
    adaptive: bool = False
    """Verdicts had a part in choosing what was compared."""
    rounds: str = ""
    """Of an adaptive run: how many rounds it had, and why there were no more."""
    by_lot: frozenset[tuple[str, str, str]] = frozenset()
    """Of an adaptive run: the prompt and the contestants, by name, of what fell by lot."""

    @property
    def lots(self) -> Votes:
        """Of an adaptive run: the votes on what fell by lot."""
        rows = tuple(v for v in self.rows if (v.where.prompt_id, v.where.left, v.where.right) in self.by_lot)
        return replace(self, rows=rows)


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the data a figure covers; empty fields do not narrow."""

    category: str = ""
    turn: int = 0
    left: str = ""
    right: str = ""
    tag: str = ""

    def takes(self, where: Where, categories: Mapping[str, str], tags: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether the comparison at *where* belongs to it."""
        ends = {end for end in (self.left, self.right) if end}
        return (
            (not self.category or categories.get(where.prompt_id, "") == self.category)
            and (not self.turn or where.turn == self.turn)
            and ends <= {where.left, where.right}
            and (not self.tag or self.tag in tags.get(where.prompt_id, ()))
        )


WHOLE = Part()
"""All of the data."""


@dataclass(frozen=True, slots=True)
class Taking:
    """How votes are taken from a source: two orders made one by *reconcile*, from which *reading*, of which *part*.

    A verdict of a Likert scale counts as up to *decisive* votes, by its strength. With *unreadable_as_tie* a verdict
    without an outcome is a tie.
    """

    reconcile: Reconcile = Reconcile.TIE
    reading: str = ""
    part: Part = WHOLE
    decisive: float = 1.0
    unreadable_as_tie: bool = False


def whole(share: float) -> Outcome:
    """The outcome that a *share* for the left amounts to."""
    return Outcome.LEFT if share > 0.5 else Outcome.RIGHT if share < 0.5 else Outcome.TIE  # noqa: PLR2004  # half
