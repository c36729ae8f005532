"""The accuracy of a source against gold labels: labels that are right by construction, or taken to be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from judge.agreement.options import AgreeOptions
from judge.columns.arrays import Codes, Flags, Ints
from judge.domain.errors import InvalidInput
from judge.stats.battles import TIE
from judge.stats.gold_accuracy import (
    NO_OUTCOME,
    ORDERS,
    GoldFigure,
    GoldIntervals,
    accuracy_by_order,
    accuracy_of_votes,
)
from judge.votes.comparisons import ComparisonIndex, ComparisonKey
from judge.votes.verdicts_by_order import ByOrder, outcome_codes
from judge.votes.votes import Part, SourceVotes


@dataclass(frozen=True)
class GoldAccuracy:
    """The accuracy by each rule in each part of the data, and *notes* in sentences on what is left out."""

    figures: tuple[tuple[Part, GoldFigure], ...] = ()
    notes: tuple[str, ...] = ()


NO_GOLD = GoldAccuracy()
"""Of a target that is not gold labels."""


def measure_gold(
    source: SourceVotes, target: SourceVotes, parts: Iterable[Part], options: AgreeOptions
) -> GoldAccuracy:
    """Measure *source* against the labels of *target* in each of *parts*; nothing if they are not gold labels.

    A comparison whose gold labels contradict each other is left out. Raises InvalidInput if *options* say that the
    target is gold and it has several votes on a comparison, but is not made of gold labels.
    """
    if not (target.gold or options.gold):
        return NO_GOLD
    gold = _GoldLabels.of(target)
    if gold.several and not target.gold:
        message = f"{target.source} has several votes on a comparison: merge them, as with labels:PATTERN@majority"
        raise InvalidInput("options.gold", message)
    judge = _verdicts(source)
    figures = []
    for part in parts:
        inside = gold.select(part.among(gold.keys, target.categories, target.tags))
        if len(inside.keys):
            figures += [(part, figure) for figure in _figures(source, judge, inside, options)]
    return GoldAccuracy(figures=tuple(figures), notes=_notes(gold.contradictory))


def _notes(contradictory: int) -> tuple[str, ...]:
    if not contradictory:
        return ()
    comparisons = "1 comparison is" if contradictory == 1 else f"{contradictory:,} comparisons are"
    return (f"{comparisons} left out of the accuracy, because their gold labels contradict each other.",)


@dataclass(frozen=True, eq=False)
class _GoldLabels:
    """The outcome (int8[n]) of each of n comparisons; *several* says whether one has more than one vote."""

    keys: ComparisonIndex
    outcome: Codes
    contradictory: int = 0
    several: bool = False

    @staticmethod
    def of(target: SourceVotes) -> _GoldLabels:
        """The outcomes of the comparisons of *target* whose votes are all the same."""
        rows = target.rows.compact()
        n = len(rows.keys)
        least, most = np.full(n, TIE + 1, dtype=np.int8), np.full(n, NO_OUTCOME, dtype=np.int8)
        np.minimum.at(least, rows.item, rows.outcome)
        np.maximum.at(most, rows.item, rows.outcome)
        alike = least == most
        return _GoldLabels(
            keys=rows.keys.among(alike),
            outcome=most[alike],
            contradictory=int(n - alike.sum()),
            several=len(rows) > n,
        )

    def select(self, rows: Flags) -> _GoldLabels:
        """Those in these *rows*."""
        return _GoldLabels(keys=self.keys.among(rows), outcome=self.outcome[rows])


def _verdicts(source: SourceVotes) -> ByOrder | None:
    """The verdicts of a single judge by order; None for labels and juries, which have no orders."""
    return None if source.members else next(iter(source.behind.values()), None)


def _figures(
    source: SourceVotes, judge: ByOrder | None, gold: _GoldLabels, options: AgreeOptions
) -> tuple[GoldFigure, ...]:
    intervals = GoldIntervals(options.level, options.interval_method)
    if judge is None:
        rows = source.rows.compact()
        place = _places(rows.keys, gold.keys)[rows.item]
        kept = place >= 0
        return accuracy_of_votes(gold.outcome, place[kept], rows.outcome[kept], gold.keys.prompt, intervals)
    place = _places(judge.keys, gold.keys)
    kept = place >= 0
    outcome = np.full((len(gold.keys), ORDERS), NO_OUTCOME, dtype=np.int8)
    shown = np.zeros(outcome.shape, dtype=np.bool_)
    means = judge.means[kept]
    outcome[place[kept]] = np.where(np.isnan(means), NO_OUTCOME, outcome_codes(means))
    shown[place[kept]] = judge.shown[kept]
    return accuracy_by_order(gold.outcome, outcome, shown, gold.keys.prompt, intervals)


def _places(keys: ComparisonIndex, among: ComparisonIndex) -> Ints:
    """The position of each of *keys* in *among*, int32[n]; -1 for those that are not there."""
    place: dict[ComparisonKey, int] = {key: number for number, key in enumerate(among)}
    return np.array([place.get(key, -1) for key in keys], dtype=np.int32)
