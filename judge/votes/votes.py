"""The votes of a source, and the choices by which a source becomes votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from judge.columns.arrays import Flags
from judge.domain.outcome import Reconcile
from judge.votes.comparisons import ComparisonIndex, ComparisonKey
from judge.votes.verdicts_by_order import ByOrder, LeftScores, OutcomesByOrder
from judge.votes.vote_table import VoteTable


@dataclass(frozen=True)
class SourceVotes:
    """The votes of a source as one table in stored order, the verdicts behind them, and its coverage."""

    source: str
    rows: VoteTable
    categories: Mapping[str, str]
    tags: Mapping[str, tuple[str, ...]]
    usable: int
    planned: int
    by_status: Mapping[str, int] = field(default_factory=dict)
    parser: str = ""
    interim: bool = False
    dataset: str = ""
    gold: bool = False
    """Whether the votes are labels of kind gold, which are right by construction."""
    behind: Mapping[str, ByOrder] = field(default_factory=dict)
    """The verdicts of each judge, before orders are reconciled."""
    members: tuple[SourceVotes, ...] = ()
    """The votes of a jury's members."""
    adaptive: bool = False
    """Whether verdicts influenced which comparisons were made."""
    rounds: str = ""
    """For an adaptive run, how many rounds it had, and why there were no more."""
    uniform_sample: frozenset[tuple[str, str, str]] = frozenset()
    """For an adaptive run, the prompt and the contestants of each comparison that was drawn uniformly."""

    @property
    def has_people(self) -> bool:
        """Whether the votes are labels, so that a name is the same person's in every source of labels."""
        return not self.behind

    @property
    def coverage(self) -> str:
        """How many of the planned verdicts are usable, and what the others are, as part of a sentence."""
        others = ", ".join(
            f"{n:,} {status.replace('_', ' ')}" for status, n in sorted(self.by_status.items()) if status != "ok" and n
        )
        return f"{self.usable:,} of {self.planned:,} verdicts are usable" + (f" ({others})" if others else "")

    @property
    def orders(self) -> tuple[OutcomesByOrder, ...]:
        """For a single judge, the outcomes of its comparisons in both orders."""
        return () if self.members else tuple(row for by_order in self.behind.values() for row in by_order.orders)

    @property
    def comparisons(self) -> frozenset[ComparisonKey]:
        """For judges, all comparisons that have a verdict, usable or not."""
        return frozenset(key for by_order in self.behind.values() for key in by_order.keys)

    @property
    def left_scores(self) -> Mapping[str, LeftScores]:
        """For judges, the left scores of the verdicts of each judge."""
        return {name: by_order.left_scores for name, by_order in self.behind.items()}

    @property
    def calls(self) -> frozenset[int]:
        """For judges, the store's ids of the calls behind their verdicts."""
        return frozenset(call for by_order in self.behind.values() for call in by_order.calls)

    @property
    def uniform_votes(self) -> SourceVotes:
        """For an adaptive run, the votes on its uniform sample."""
        drawn = [(key.prompt_id, key.left, key.right) in self.uniform_sample for key in self.rows.keys]
        return replace(self, rows=self.rows.among(np.array(drawn, dtype=np.bool_)[self.rows.item]))

    @property
    def category_names(self) -> list[str]:
        """The categories of the prompts that have votes, sorted."""
        names = self.rows.keys.prompt_ids
        return sorted({self.categories.get(names[code], "") for code in np.unique(self.rows.prompt).tolist()})

    def in_category(self, category: str, *, other: bool = False) -> SourceVotes:
        """The votes in *category*, or with *other*, in all other categories."""
        inside = [(self.categories.get(name, "") == category) != other for name in self.rows.keys.prompt_ids]
        return replace(self, rows=self.rows.among(np.array(inside, dtype=np.bool_)[self.rows.prompt]))


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the data that a figure covers; an empty field means everything."""

    category: str = ""
    turn: int = 0
    left: str = ""
    right: str = ""
    tag: str = ""

    def among(self, keys: ComparisonIndex, categories: Mapping[str, str], tags: Mapping[str, tuple[str, ...]]) -> Flags:
        """Which of *keys* belong to this part, bool[n]."""
        kept = np.ones(len(keys), dtype=np.bool_)
        if self.turn:
            kept &= keys.turn == self.turn
        for end in filter(None, (self.left, self.right)):
            named = np.array([name == end for name in keys.contestants], dtype=np.bool_)
            kept &= named[keys.left] | named[keys.right]
        if self.category or self.tag:
            selected = [
                (not self.category or categories.get(name, "") == self.category)
                and (not self.tag or self.tag in tags.get(name, ()))
                for name in keys.prompt_ids
            ]
            kept &= np.array(selected, dtype=np.bool_)[keys.prompt]
        return kept


WHOLE = Part()
"""All of the data."""


@dataclass(frozen=True, slots=True)
class Taking:
    """How a source becomes votes: how orders are reconciled, which parser counts, and which part of the data is used.

    A verdict on a Likert scale counts for up to *decisive* votes, by its strength. With *unreadable_as_tie* a verdict
    without an outcome is a tie.
    """

    reconcile: Reconcile = Reconcile.TIE
    parser: str = ""
    part: Part = WHOLE
    decisive: float = 1.0
    unreadable_as_tie: bool = False
