"""What a judge said of comparisons in each of their orders, before the orders are reconciled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan

import numpy as np
from numpy.typing import NDArray

from judge.columns.arrays import Codes, Flags, Floats, Ints
from judge.domain.outcome import Order, Outcome, whole
from judge.votes.comparisons import ComparisonIndex, ComparisonKey

ORDERS = len(Order)

LeftScores = Mapping[ComparisonKey, Mapping[Order, Sequence[float | None]]]
"""What goes to the left of each comparison, by order, a number a repeat; None where there is no outcome."""


@dataclass(frozen=True, slots=True)
class OutcomesByOrder:
    """A comparison's outcome in each order, where both were shown; None where there is no verdict."""

    key: ComparisonKey
    left_first: Outcome | None
    right_first: Outcome | None


def wholes(left_scores: Floats) -> Codes:
    """The same of many, as outcome codes; NaN is a tie."""
    return np.where(left_scores > 0.5, 0, np.where(left_scores < 0.5, 1, 2)).astype(np.int8)  # noqa: PLR2004  # half


@dataclass(frozen=True, eq=False)
class ByOrder:
    """n verdicts on *keys*, which are distinct and in the order of their coming.

    *item* is int32[n], whose comparison each is; *order* int8[n], what was shown first, as *keys* have left and
    right; *left_score* float64[n], what goes to the left, NaN where there is no outcome; *weight* float64[n], how many
    votes each counts, or None for one; *answer* int64[n], the store's numbers of calls, or 0.
    """

    keys: ComparisonIndex
    item: Ints
    order: Codes
    left_score: Floats
    weight: Floats | None
    answer: NDArray[np.int64]

    @cached_property
    def cell(self) -> Ints:
        """Of each verdict, int32[n]: its comparison and its order as one number."""
        return self.item * ORDERS + (self.order - 1)

    @cached_property
    def told(self) -> Flags:
        """Which verdicts have an outcome."""
        return ~np.isnan(self.left_score)

    @cached_property
    def shown(self) -> Flags:
        """Of each comparison, bool[keys, orders]: whether it was shown so."""
        return self._counted(np.ones(self.item.size, dtype=np.bool_)) > 0

    @cached_property
    def means(self) -> Floats:
        """Of each comparison, float64[keys, orders]: the mean over repeats; NaN where there is no outcome."""
        return self._mean(self.left_score)

    @cached_property
    def weights(self) -> Floats | None:
        """Of each comparison, float64[keys, orders]: how many votes its outcome counts; None for one each."""
        return None if self.weight is None else self._mean(self.weight)

    @cached_property
    def weights_of_both(self) -> Floats | None:
        """Of each comparison, float64[keys]: the same over both orders."""
        if self.weight is None:
            return None
        sums = self._summed(self.weight).sum(axis=1)
        return _divided(sums, self._counted(self.told).sum(axis=1))

    def _mean(self, value: Floats) -> Floats:
        return _divided(self._summed(value), self._counted(self.told))

    def _summed(self, value: Floats) -> Floats:
        size = len(self.keys) * ORDERS
        sums: Floats = np.bincount(self.cell[self.told], value[self.told], size).astype(np.float64)
        return sums.reshape(-1, ORDERS)

    def _counted(self, rows: Flags) -> NDArray[np.int64]:
        return np.bincount(self.cell[rows], minlength=len(self.keys) * ORDERS).reshape(-1, ORDERS)

    @cached_property
    def orders(self) -> tuple[OutcomesByOrder, ...]:
        """The outcomes of what was shown in both orders."""
        both: Flags = np.logical_and.reduce(self.shown, axis=1)
        return tuple(
            OutcomesByOrder(key, *(None if isnan(left_score) else whole(left_score) for left_score in left_scores))
            for key, left_scores in zip(self.keys.among(both), self.means[both].tolist(), strict=True)
        )

    @cached_property
    def left_scores(self) -> LeftScores:
        """What each verdict gives to the left."""
        keys = list(self.keys)
        found: dict[ComparisonKey, dict[Order, list[float | None]]] = {key: {} for key in keys}
        for item, order, left_score in zip(
            self.item.tolist(), self.order.tolist(), self.left_score.tolist(), strict=True
        ):
            said = None if isnan(left_score) else left_score
            found[keys[item]].setdefault(Order(order), []).append(said)
        return found

    @cached_property
    def calls(self) -> frozenset[int]:
        """The calls behind the verdicts."""
        return frozenset(np.unique(self.answer[self.answer != 0]).tolist())


def _divided(sums: Floats, counts: NDArray[np.int64]) -> Floats:
    found: Floats = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return found
