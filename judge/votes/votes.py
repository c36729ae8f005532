"""Votes: one row for each outcome on a comparison, oriented with the smaller name on the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from judge.columns.arrays import Flags
from judge.domain.outcome import Outcome, Reconcile
from judge.votes.comparisons import ComparisonIndex, ComparisonKey
from judge.votes.verdicts_by_order import ByOrder, LeftScores, OutcomesByOrder


@dataclass(frozen=True, slots=True)
class Vote:
    """One outcome on a comparison. *left_score* is how much of it goes to the left, other than whole only if soft.

    *left_first* says what was shown first, where each order is a vote of its own. *weight* is how many votes it counts.
    """

    key: ComparisonKey
    outcome: Outcome
    annotator: str = ""
    left_score: float | None = None
    left_first: bool | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class SourceVotes:
    """What a source says: its votes in stored order, the two orders of its comparisons, and its coverage."""

    source: str
    rows: Sequence[Vote]
    categories: Mapping[str, str]
    tags: Mapping[str, tuple[str, ...]]
    usable: int
    planned: int
    by_status: Mapping[str, int] = field(default_factory=dict)
    parser: str = ""
    interim: bool = False
    dataset: str = ""
    behind: Mapping[str, ByOrder] = field(default_factory=dict)
    """Of judges: what each said, before anything was reconciled."""
    members: tuple[SourceVotes, ...] = ()
    """Of a jury."""
    adaptive: bool = False
    """Verdicts had a part in choosing what was compared."""
    rounds: str = ""
    """Of an adaptive run: how many rounds it had, and why there were no more."""
    uniform_sample: frozenset[tuple[str, str, str]] = frozenset()
    """Of an adaptive run: the prompt and the contestants, by name, of what fell by lot."""

    @property
    def orders(self) -> tuple[OutcomesByOrder, ...]:
        """Of one judge: the two orders of its comparisons."""
        return () if self.members else tuple(row for told in self.behind.values() for row in told.orders)

    @property
    def comparisons(self) -> frozenset[ComparisonKey]:
        """Of judges: all that they have verdicts on, usable or not."""
        return frozenset(key for told in self.behind.values() for key in told.keys)

    @property
    def left_scores(self) -> Mapping[str, LeftScores]:
        """Of judges: what goes to the left by each one's verdicts."""
        return {name: told.left_scores for name, told in self.behind.items()}

    @property
    def calls(self) -> frozenset[int]:
        """Of judges: the calls behind their verdicts, by the store's numbers."""
        return frozenset(call for told in self.behind.values() for call in told.calls)

    @property
    def uniform_votes(self) -> SourceVotes:
        """Of an adaptive run: the votes on what fell by lot."""
        rows = tuple(v for v in self.rows if (v.key.prompt_id, v.key.left, v.key.right) in self.uniform_sample)
        return replace(self, rows=rows)


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the data a figure covers; empty fields do not narrow."""

    category: str = ""
    turn: int = 0
    left: str = ""
    right: str = ""
    tag: str = ""

    def among(self, keys: ComparisonIndex, categories: Mapping[str, str], tags: Mapping[str, tuple[str, ...]]) -> Flags:
        """Which of *keys* belong to it, bool[n]."""
        kept = np.ones(len(keys), dtype=np.bool_)
        if self.turn:
            kept &= keys.turn == self.turn
        for end in filter(None, (self.left, self.right)):
            named = np.array([name == end for name in keys.contestants], dtype=np.bool_)
            kept &= named[keys.left] | named[keys.right]
        if self.category or self.tag:
            asked = [
                (not self.category or categories.get(name, "") == self.category)
                and (not self.tag or self.tag in tags.get(name, ()))
                for name in keys.prompt_ids
            ]
            kept &= np.array(asked, dtype=np.bool_)[keys.prompt]
        return kept


WHOLE = Part()
"""All of the data."""


@dataclass(frozen=True, slots=True)
class Taking:
    """How votes are taken from a source: two orders made one by *reconcile*, from which *parser*, of which *part*.

    A verdict of a Likert scale counts as up to *decisive* votes, by its strength. With *unreadable_as_tie* a verdict
    without an outcome is a tie.
    """

    reconcile: Reconcile = Reconcile.TIE
    parser: str = ""
    part: Part = WHOLE
    decisive: float = 1.0
    unreadable_as_tie: bool = False
