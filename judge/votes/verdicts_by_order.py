"""A judge's verdicts on comparisons in each order, before the orders are reconciled."""

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
"""The left scores of each comparison by order, one per repeat; None for a verdict without an outcome."""


@dataclass(frozen=True, slots=True)
class OutcomesByOrder:
    """A comparison's outcome in each order, if both were shown; None for an order without an outcome."""

    key: ComparisonKey
    left_first: Outcome | None
    right_first: Outcome | None


def outcome_codes(left_scores: Floats) -> Codes:
    """The outcome code of each left score: 0 left above one half, 1 right below it, 2 tie otherwise and for NaN."""
    return np.where(left_scores > 0.5, 0, np.where(left_scores < 0.5, 1, 2)).astype(np.int8)  # noqa: PLR2004  # half


@dataclass(frozen=True, eq=False)
class ByOrder:
    """n verdicts on *keys*, which are distinct and in the order of first occurrence.

    *item* is int32[n], the position of each verdict's comparison in *keys*; *order* int8[n], the order with respect to
    the left and right of *keys*; *left_score* float64[n], NaN for a verdict without an outcome; *weight* float64[n],
    how many votes each verdict counts for, or None for 1; *answer* int64[n], the store's ids of calls, or 0.
    """

    keys: ComparisonIndex
    item: Ints
    order: Codes
    left_score: Floats
    weight: Floats | None
    answer: NDArray[np.int64]

    @cached_property
    def cell(self) -> Ints:
        """The comparison and the order of each verdict as one number, int32[n]."""
        return self.item * ORDERS + (self.order - 1)

    @cached_property
    def has_outcome(self) -> Flags:
        """Which verdicts have an outcome."""
        return ~np.isnan(self.left_score)

    @cached_property
    def shown(self) -> Flags:
        """Whether each comparison was shown in each order, bool[keys, orders]."""
        return self._counts(np.ones(self.item.size, dtype=np.bool_)) > 0

    @cached_property
    def means(self) -> Floats:
        """The mean left score over repeats, float64[keys, orders]; NaN without an outcome."""
        return self._mean(self.left_score)

    @cached_property
    def weights(self) -> Floats | None:
        """How many votes each outcome counts for, float64[keys, orders]; None for one each."""
        return None if self.weight is None else self._mean(self.weight)

    @cached_property
    def weights_of_both(self) -> Floats | None:
        """The mean weight over both orders, float64[keys]; None for one each."""
        if self.weight is None:
            return None
        sums = self._sums(self.weight).sum(axis=1)
        return _quotient(sums, self._counts(self.has_outcome).sum(axis=1))

    def _mean(self, value: Floats) -> Floats:
        return _quotient(self._sums(value), self._counts(self.has_outcome))

    def _sums(self, value: Floats) -> Floats:
        size = len(self.keys) * ORDERS
        sums: Floats = np.bincount(self.cell[self.has_outcome], value[self.has_outcome], size).astype(np.float64)
        return sums.reshape(-1, ORDERS)

    def _counts(self, rows: Flags) -> NDArray[np.int64]:
        return np.bincount(self.cell[rows], minlength=len(self.keys) * ORDERS).reshape(-1, ORDERS)

    @cached_property
    def orders(self) -> tuple[OutcomesByOrder, ...]:
        """The outcomes of the comparisons that were shown in both orders."""
        both: Flags = np.logical_and.reduce(self.shown, axis=1)
        return tuple(
            OutcomesByOrder(key, *(None if isnan(left_score) else whole(left_score) for left_score in left_scores))
            for key, left_scores in zip(self.keys.among(both), self.means[both].tolist(), strict=True)
        )

    @cached_property
    def left_scores(self) -> LeftScores:
        """The left scores of all verdicts, by comparison and order."""
        keys = list(self.keys)
        left_scores: dict[ComparisonKey, dict[Order, list[float | None]]] = {key: {} for key in keys}
        for item, order, left_score in zip(
            self.item.tolist(), self.order.tolist(), self.left_score.tolist(), strict=True
        ):
            known = None if isnan(left_score) else left_score
            left_scores[keys[item]].setdefault(Order(order), []).append(known)
        return left_scores

    @cached_property
    def calls(self) -> frozenset[int]:
        """The ids of the calls behind the verdicts."""
        return frozenset(np.unique(self.answer[self.answer != 0]).tolist())


def _quotient(sums: Floats, counts: NDArray[np.int64]) -> Floats:
    quotient: Floats = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return quotient
