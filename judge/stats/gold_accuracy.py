"""The accuracy of a source against gold labels, by the rules of benchmarks for LLM judges.

A verdict has 1 point if it is right, -1 if it names the other output, and 0 if it is a tie where the gold label names a
winner, or names a winner where the gold label is a tie. Each rule gives points to units (presentations, comparisons or
prompts); a unit is right with a positive number. A unit without an outcome has no points and is not right, but the
accuracy of the units with an outcome is computed too.

The sum over both orders is the rule of JudgeBench (S. Tan et al. (2024), arXiv:2410.12784, `utils/metrics.py` of its
code), where a right verdict and a tie are right together. The whole prompt is the rule of RewardBench 2 (S. Malik et
al. (2025), arXiv:2506.01937) for pairs: the right output has to beat every wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Codes, Flags, Floats, Ints, places, present, sums
from judge.stats.agreement import IntervalMethod
from judge.stats.battles import FLIPPED, TIE
from judge.stats.cluster_intervals import Estimate, mean
from judge.stats.errors import StatisticsError

NO_OUTCOME = -1
"""The code of a verdict without an outcome."""
ORDERS = 2


class GoldRule(Enum):
    """When a unit is right."""

    LEFT_FIRST = auto()
    """Presentations with left shown first: the outcome is the gold label."""
    RIGHT_FIRST = auto()
    """The same with right shown first."""
    AVERAGE = auto()
    """All presentations or, for a source without orders, all votes."""
    BOTH_ORDERS = auto()
    """Comparisons: right in both orders."""
    ORDER_AGREEMENT = auto()
    """Comparisons: the same outcome in both orders, right or not."""
    SUM_OVER_ORDERS = auto()
    """Comparisons: the points of all verdicts sum to more than 0."""
    WHOLE_PROMPT = auto()
    """Prompts: each comparison is right by the sum over both orders."""


@dataclass(frozen=True)
class GoldFigure:
    """The accuracy of n units by a *rule*, with intervals over prompts.

    *accuracy* is the share of all units that are right, and *with_outcome* that of the units that have an outcome.
    *correct*, *incorrect* (negative points) and *neither* (0 points) count the latter. *unreadable* units lack an
    outcome although the source has verdicts on them, and *missing* ones lack a verdict. The five sum to n.
    """

    rule: GoldRule
    accuracy: Estimate
    with_outcome: Estimate
    correct: int
    incorrect: int
    neither: int
    unreadable: int
    missing: int


@dataclass(frozen=True, eq=False)
class GoldIntervals:
    """How intervals are computed: at a *level*, by a *method* instead of the sandwich if there is one."""

    level: float = 0.95
    method: IntervalMethod | None = None

    def share(self, right: Flags, cluster: Ints) -> Estimate:
        """The share of rows that are *right* (bool[n]), with its interval over clusters (int32[n]).

        >>> GoldIntervals().share(np.array([True, False]), np.array([0, 1], dtype=np.int32)).value
        0.5
        """
        if self.method is None or not right.size:
            return mean(right.astype(np.float64), cluster, self.level, (0.0, 1.0))
        prompts = present(cluster)
        place = places(cluster, prompts)
        counts = np.stack([sums(place[rows], None, prompts.size) for rows in (right, ~right)], axis=1)
        return self.method(counts, _share_of_first, self.level, right.size, (0.0, 1.0))


def _share_of_first(tables: Floats) -> Floats:
    share: Floats = tables[:, 0] / tables.sum(axis=1)
    return share


def gold_points(gold: npt.ArrayLike, outcome: npt.ArrayLike) -> Floats:
    """The points of outcomes against gold labels, float64: 1 right, -1 the other output, 0 else, NaN for NO_OUTCOME.

    >>> gold_points([0, 0, 0, 0, 2, 2], [0, 1, 2, NO_OUTCOME, 2, 0]).tolist()
    [1.0, -1.0, 0.0, nan, 1.0, 0.0]
    """
    truth, given = np.asarray(gold, dtype=np.int8), np.asarray(outcome, dtype=np.int8)
    points: Floats = (given == truth) - 1.0 * ((truth != TIE) & (given == FLIPPED[truth]))
    points[given == NO_OUTCOME] = np.nan
    return points


def accuracy_by_order(
    gold: Codes, outcome: Codes, shown: Flags, cluster: Ints, intervals: GoldIntervals | None = None
) -> tuple[GoldFigure, ...]:
    """Measure a judge against the gold labels of n comparisons, by each rule that applies.

    *gold* is int8[n], outcome codes. *outcome* is int8[n, 2], the judge's outcomes with left and with right shown
    first, in the comparison's own orientation, or NO_OUTCOME. *shown* is bool[n, 2], where it has a verdict of any
    status. *cluster* is int32[n], the prompts. A judge that has both orders of some comparison should have both of
    all, and of others one order. The rules that need both orders, or the order that was never shown, are left out then.

    Raises StatisticsError for columns of different length.

    >>> figures = accuracy_by_order(
    ...     np.array([0, 0, 1], dtype=np.int8),
    ...     np.array([[0, 2], [0, 1], [1, NO_OUTCOME]], dtype=np.int8),
    ...     np.array([[True, True], [True, True], [True, False]]),
    ...     np.arange(3, dtype=np.int32),
    ... )
    >>> [(figure.rule.name, figure.correct, figure.accuracy.n, figure.with_outcome.n) for figure in figures]
    [('LEFT_FIRST', 3, 3, 3), ('RIGHT_FIRST', 0, 3, 2), ('AVERAGE', 3, 6, 5), ('BOTH_ORDERS', 0, 3, 2),\
 ('ORDER_AGREEMENT', 0, 3, 2), ('SUM_OVER_ORDERS', 2, 3, 3)]
    """
    if outcome.shape != (gold.size, ORDERS) or shown.shape != outcome.shape or cluster.size != gold.size:
        raise StatisticsError("Gold labels, outcomes by order, and prompts must be on the same comparisons.")
    units = _units_by_order(gold, outcome, shown, cluster)
    return tuple(_figure(unit, intervals or GoldIntervals()) for unit in units)


def accuracy_of_votes(
    gold: Codes, item: Ints, outcome: Codes, cluster: Ints, intervals: GoldIntervals | None = None
) -> tuple[GoldFigure, ...]:
    """Measure a source without orders against the gold labels of n comparisons.

    *gold* is int8[n] and *cluster* int32[n], the prompts. *item* is int32[m], the comparison of each vote, and
    *outcome* int8[m]. A comparison without votes counts once in the average, as missing.

    >>> figures = accuracy_of_votes(
    ...     np.array([0, 1], dtype=np.int8), np.zeros(3, dtype=np.int32), np.array([0, 0, 1]), np.arange(2)
    ... )
    >>> [(figure.rule.name, figure.correct, figure.missing, figure.accuracy.value) for figure in figures]
    [('AVERAGE', 2, 1, 0.5), ('SUM_OVER_ORDERS', 1, 1, 0.5)]
    """
    points = gold_points(gold[item], outcome)
    counts = sums(item, None, gold.size)
    without = np.flatnonzero(counts == 0)
    total = np.where(counts > 0, sums(item, points, gold.size), np.nan)
    average = _Units(
        rule=GoldRule.AVERAGE,
        points=np.concatenate((points, np.full(without.size, np.nan))),
        shown=np.repeat([True, False], [points.size, without.size]),
        cluster=np.concatenate((cluster[item], cluster[without])),
    )
    units = (average, *_comparisons_and_prompts(np.sign(total), counts > 0, cluster))
    return tuple(_figure(unit, intervals or GoldIntervals()) for unit in units)


@dataclass(frozen=True, eq=False)
class _Units:
    """What a rule counts: *points* (float64[n], NaN without an outcome), which have verdicts, and their prompts."""

    rule: GoldRule
    points: Floats
    shown: Flags
    cluster: Ints

    def select(self, rows: Flags) -> _Units:
        """Those in these *rows*."""
        return _Units(rule=self.rule, points=self.points[rows], shown=self.shown[rows], cluster=self.cluster[rows])


def _units_by_order(gold: Codes, outcome: Codes, shown: Flags, cluster: Ints) -> Iterator[_Units]:
    points = gold_points(gold[:, np.newaxis], outcome)
    in_both, in_either = shown[:, 0] & shown[:, 1], shown[:, 0] | shown[:, 1]
    both_orders = bool(in_both.any())
    for order, rule in enumerate((GoldRule.LEFT_FIRST, GoldRule.RIGHT_FIRST)):
        units = _Units(rule=rule, points=points[:, order], shown=shown[:, order], cluster=cluster)
        if units.shown.any():
            yield units if both_orders else units.select(~shown[:, 1 - order])
    if both_orders:
        every = np.repeat(cluster, ORDERS)
        yield _Units(rule=GoldRule.AVERAGE, points=points.ravel(), shown=shown.ravel(), cluster=every)
        twice = np.where(points[:, 0] == points[:, 1], points[:, 0], np.where(np.isnan(points).any(axis=1), np.nan, 0))
        yield _Units(rule=GoldRule.BOTH_ORDERS, points=twice, shown=in_both, cluster=cluster)
        yield _Units(rule=GoldRule.ORDER_AGREEMENT, points=_same_outcome(outcome), shown=in_both, cluster=cluster)
    else:
        once = np.where(shown[:, 0], points[:, 0], points[:, 1])
        yield _Units(rule=GoldRule.AVERAGE, points=once, shown=in_either, cluster=cluster)
    known = ~np.isnan(points)
    total = np.where(known.any(axis=1), np.sign(np.where(known, points, 0).sum(axis=1)), np.nan)
    yield from _comparisons_and_prompts(total, in_either, cluster)


def _same_outcome(outcome: Codes) -> Floats:
    """1 for the same outcome in both orders, -1 for opposite winners, 0 for a tie and a winner, NaN if one is none."""
    points = gold_points(outcome[:, 0], outcome[:, 1])
    # A tie agrees with a tie; with a winner it has 0 points, whichever of the two is taken for the truth.
    points[outcome[:, 0] == NO_OUTCOME] = np.nan
    return points


def _comparisons_and_prompts(points: Floats, shown: Flags, cluster: Ints) -> Iterator[_Units]:
    """The *points* of comparisons, and, if some prompt has several comparisons, the least points on each prompt."""
    yield _Units(rule=GoldRule.SUM_OVER_ORDERS, points=points, shown=shown, cluster=cluster)
    prompts = present(cluster)
    if prompts.size == points.size:
        return
    place = places(cluster, prompts)
    unknown = np.isnan(points)
    least, n_unknown = np.full(prompts.size, np.inf), sums(place, unknown.astype(np.float64))
    np.minimum.at(least, place, np.where(unknown, 0.0, points))
    yield _Units(
        rule=GoldRule.WHOLE_PROMPT,
        points=np.where(n_unknown > 0, np.nan, least),
        shown=sums(place, (~shown).astype(np.float64)) == 0,
        cluster=prompts,
    )


def _figure(units: _Units, intervals: GoldIntervals) -> GoldFigure:
    known = ~np.isnan(units.points)
    right = known & (units.points > 0)
    return GoldFigure(
        rule=units.rule,
        accuracy=intervals.share(right, units.cluster),
        with_outcome=intervals.share(right[known], units.cluster[known]),
        correct=int(right.sum()),
        incorrect=int((known & (units.points < 0)).sum()),
        neither=int((known & (units.points == 0)).sum()),
        unreadable=int((~known & units.shown).sum()),
        missing=int((~units.shown).sum()),
    )
