"""Votes as one table: a row for each outcome on a comparison, oriented with the smaller name on the left.

The table keeps columns, so that a million votes are a few arrays. Rankings and reports of agreement use the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from math import isnan
from typing import TypeVar, overload

import numpy as np

from judge.columns.arrays import Codes, Flags, Floats, Ints
from judge.domain.outcome import LEFT_SCORE, Outcome
from judge.stats.votes import NOBODY, VoteColumns
from judge.votes.comparisons import ComparisonIndex, ComparisonKey

T = TypeVar("T")
BOTH = -1
"""The code of `left_first` for a vote that is made from both orders, or from none."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One row of a table of votes: an outcome on a comparison.

    *left_score* is 1 for left, 0.5 for a tie, 0 for right, or in between for a soft vote; None means that it follows
    from the outcome. *left_first* is set if each order is a vote of its own. *weight* is how many votes it counts for.
    """

    key: ComparisonKey
    outcome: Outcome
    annotator: str = ""
    left_score: float | None = None
    left_first: bool | None = None
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class VoteTable(Sequence[Vote]):
    """n votes: *item* and *annotator* are int32[n] codes of *keys* and *annotators*, *outcome* is int8[n].

    *left_score* is float64[n], NaN if it follows from the outcome; *left_first* is int8[n], 1, 0 or BOTH; *weight* is
    float64[n]. Each of the three may be None: it follows from the outcome, BOTH, 1.
    """

    keys: ComparisonIndex
    annotators: Sequence[str]
    item: Ints
    annotator: Ints
    outcome: Codes
    left_score: Floats | None = None
    left_first: Codes | None = None
    weight: Floats | None = None

    @staticmethod
    def of(rows: Sequence[Vote]) -> VoteTable:
        """The table of *rows*."""
        items, people = Numbers[ComparisonKey](), Numbers[str]()
        item, annotator = items.of(vote.key for vote in rows), people.of(vote.annotator for vote in rows)
        return VoteTable(
            keys=ComparisonIndex.of(items),
            annotators=tuple(people),
            item=item,
            annotator=annotator,
            outcome=np.array([vote.outcome - 1 for vote in rows], dtype=np.int8),
            left_score=np.array(
                [np.nan if vote.left_score is None else vote.left_score for vote in rows], dtype=np.float64
            ),
            left_first=np.array([BOTH if vote.left_first is None else vote.left_first for vote in rows], dtype=np.int8),
            weight=np.array([vote.weight for vote in rows], dtype=np.float64),
        )

    def __len__(self) -> int:
        return self.item.size

    @overload
    def __getitem__(self, at: int) -> Vote: ...
    @overload
    def __getitem__(self, at: slice) -> VoteTable: ...
    def __getitem__(self, at: int | slice) -> Vote | VoteTable:
        """The vote at a position, or those of a slice."""
        if isinstance(at, slice):
            return self.among(at)
        left_score = np.nan if self.left_score is None else float(self.left_score[at])
        first = BOTH if self.left_first is None else int(self.left_first[at])
        weight = 1.0 if self.weight is None else float(self.weight[at])
        key = self.keys[int(self.item[at])]
        return _vote(key, int(self.outcome[at]), self.annotators[self.annotator[at]], left_score, first, weight)

    def __iter__(self) -> Iterator[Vote]:
        n, keys = len(self), list(self.keys)
        return map(
            _vote,
            map(keys.__getitem__, self.item.tolist()),
            self.outcome.tolist(),
            map(self.annotators.__getitem__, self.annotator.tolist()),
            repeat(np.nan, n) if self.left_score is None else self.left_score.tolist(),
            repeat(BOTH, n) if self.left_first is None else self.left_first.tolist(),
            repeat(1.0, n) if self.weight is None else self.weight.tolist(),
        )

    def among(self, rows: slice | Flags | Ints) -> VoteTable:
        """The votes in these *rows*."""
        return VoteTable(
            keys=self.keys,
            annotators=self.annotators,
            item=self.item[rows],
            annotator=self.annotator[rows],
            outcome=self.outcome[rows],
            left_score=None if self.left_score is None else self.left_score[rows],
            left_first=None if self.left_first is None else self.left_first[rows],
            weight=None if self.weight is None else self.weight[rows],
        )

    def compact(self) -> VoteTable:
        """The same votes, without the comparisons that no vote is on."""
        used, item = np.unique(self.item, return_inverse=True)
        if used.size == len(self.keys):
            return self
        return replace(self, keys=self.keys.among(used), item=item.astype(np.int32))

    @property
    def unnamed(self) -> Flags:
        """Which votes have no annotator's name, bool[n]."""
        return np.array([not name for name in self.annotators], dtype=np.bool_)[self.annotator]

    @property
    def left_scores(self) -> Floats:
        """The left score of each vote, float64[n]: 1 left, 0.5 tie, 0 right, or the value of a soft vote."""
        of_outcome = np.array([LEFT_SCORE[outcome] for outcome in Outcome])[self.outcome]
        return (
            of_outcome if self.left_score is None else np.where(np.isnan(self.left_score), of_outcome, self.left_score)
        )

    @property
    def columns(self) -> VoteColumns:
        """The votes under the table's own codes; each comparison is its own cluster."""
        annotator = np.where(self.unnamed, NOBODY, self.annotator)
        return VoteColumns(item=self.item, outcome=self.outcome, cluster=self.item, annotator=annotator)

    def means(self) -> dict[ComparisonKey, float]:
        """The mean left score of each comparison with votes, each annotator once, in the order of first votes."""
        items, first = np.unique(self.item, return_index=True)
        weight = self.columns.weight
        left_scores = self.left_scores if weight is None else weight * self.left_scores
        sums, counts = np.bincount(self.item, left_scores), np.bincount(self.item, weight)
        order = items[np.argsort(first)]
        return dict(zip(self.keys.among(order), (sums[order] / counts[order]).tolist(), strict=True))

    @property
    def prompt(self) -> Ints:
        """The code of each vote's prompt, int32[n]."""
        return self.keys.prompt[self.item]


def _vote(key: ComparisonKey, code: int, annotator: str, left_score: float, first: int, weight: float) -> Vote:
    soft = None if isnan(left_score) else left_score
    return Vote(
        key=key,
        outcome=Outcome(code + 1),
        annotator=annotator,
        left_score=soft,
        left_first=None if first == BOTH else bool(first),
        weight=weight,
    )


class Numbers(dict[T, int]):
    """Numbers for names, in the order of first occurrence."""

    def of(self, names: Iterable[T]) -> Ints:
        """The number of each of *names*; new names get the next ones."""
        return np.array([self.setdefault(name, len(self)) for name in names], dtype=np.int32)
