"""A judge against people, beside people against each other, on the same comparisons.

People do not agree with each other on everything, and what they do not agree on is no judge's fault. Both figures are
taken where at least two votes of people meet an outcome of the judge; with ties dropped, where the judge is decisive.
The difference has an interval of its own, from both figures without, or with, the same prompts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.agreement import IntervalMethod, Orientation, Ties, decided, prompt_tables, share_agreeing
from judge.stats.battles import TIE
from judge.stats.chance import both_orientations
from judge.stats.cluster_intervals import Estimate, jackknife, ratio
from judge.stats.krippendorff import coincidences, krippendorff_alpha
from judge.stats.simultaneous import detectable, prompts_needed
from judge.stats.votes import VoteColumns, pairs_between, pairs_within


@dataclass(frozen=True)
class PairedEstimate:
    """A figure of *one*, of the *other*, and how far the first is above the second."""

    one: Estimate
    other: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Ceiling:
    """Raw agreement (*rate*) and Krippendorff's *alpha* of the judge with people, and of people with each other.

    They are of so many *comparisons* with so many *votes* of people.
    *largest* is the agreement of whoever says of each comparison what most of its votes say: no single answer can have
    more. *detectable* is the smallest difference of rates that these prompts would tell from 0 with power 0.8, and
    *needed* the number of prompts that it takes to tell the difference wanted; None without an interval.
    """

    rate: PairedEstimate
    alpha: PairedEstimate
    comparisons: int
    votes: int
    ties: Ties
    largest: Estimate
    detectable: float | None
    needed: int | None


def ceiling(
    judge: VoteColumns,
    people: VoteColumns,
    ties: Ties = "WITH",
    orientation: Orientation = "both",
    level: float = 0.95,
    interval_method: IntervalMethod = jackknife,
    wanted: float = 0.05,
    annotator: int | None = None,
) -> Ceiling:
    """How the *judge*, with one vote an item, agrees with *people*, and they with each other.

    *ties* is WITH (S1) or WITHOUT (S2), *orientation* both or sorted, which matters to alpha; *wanted* is the
    difference of rates that one would like to tell from 0. With an *annotator* (a code) it is the judge with that one's
    votes, beside everybody else with them.

    >>> item = np.repeat(np.arange(10, dtype=np.int32), 2)
    >>> people = VoteColumns(item, np.tile([0, 0, 0, 1], 5), item, np.arange(20))
    >>> judge = VoteColumns(item[::2], np.zeros(10, dtype=int), item[::2], np.full(10, 99))
    >>> found = ceiling(judge, people)
    >>> found.comparisons, found.rate.one.value, found.rate.other.value
    (10, 0.75, 0.5)
    """
    if ties == "WITHOUT":
        judge = judge.select(judge.outcome != TIE)
    items, many = np.unique(people.item, return_counts=True)
    common = np.intersect1d(items[many > 1], judge.item)
    people = people.select(np.isin(people.item, common))
    judge, theirs = judge.select(np.isin(judge.item, common)), people
    if annotator is None:
        within = pairs_within(people)
    else:
        theirs, others = (people.select(np.equal(people.annotator == annotator, own)) for own in (True, False))
        within = pairs_between(others, theirs)
        theirs = theirs.select(np.isin(theirs.item, others.item))
    between = pairs_between(judge, theirs)
    if ties == "WITHOUT":
        between, within = decided(between), decided(within)
    prompts = np.unique(np.concatenate((between.cluster, within.cluster)))
    rates = np.stack((prompt_tables(between, prompts), prompt_tables(within, prompts)), axis=1)
    together = np.stack((coincidences(between, prompts), coincidences(within, prompts)), axis=1)
    if orientation == "both":
        together = both_orientations(together)
    rate = paired_estimate(rates, share_agreeing, level, between.n, within.n, interval_method, 0.0)
    error, clusters = rate.difference.standard_error, rate.difference.clusters
    return Ceiling(
        rate,
        paired_estimate(together, krippendorff_alpha, level, between.n, within.n, interval_method, -1.0),
        np.unique(theirs.item).size,
        theirs.n,
        ties,
        _largest(theirs.select(theirs.outcome != TIE) if ties == "WITHOUT" else theirs, level),
        round(detectable(error, clusters, level), 6) if error else None,
        prompts_needed(error, clusters, wanted, level) if error else None,
    )


def _largest(people: VoteColumns, level: float) -> Estimate:
    """The share of votes that are the most frequent of their comparison."""
    items, at, many = np.unique(people.item, return_inverse=True, return_counts=True)
    table = np.bincount(at * 3 + people.outcome, minlength=3 * items.size).reshape(-1, 3)
    cluster = people.cluster[np.unique(people.item, return_index=True)[1]]
    return ratio(table.max(axis=1, initial=0).astype(np.float64), many.astype(np.float64), cluster, level, (0.0, 1.0))


def paired_estimate(
    tables: Floats,
    statistic: Callable[[Floats], Floats],
    level: float,
    ones: int,
    others: int,
    interval_method: IntervalMethod,
    least: float,
) -> PairedEstimate:
    """A *statistic*, *least* to 1, of both halves of *tables* (float64[G, 2, 3, 3]), and their difference.

    *ones* and *others* are the pairs counted in each half.

    >>> tables = np.tile([np.eye(3), np.ones((3, 3))], (5, 1, 1, 1))
    >>> paired_estimate(tables, share_agreeing, 0.95, 15, 45, jackknife, 0.0).difference.value
    0.666666667
    """
    if len(tables) == 0:
        nothing = Estimate(None, None, None, None, "none: there is no comparison with votes for both", level, 0, 0)
        return PairedEstimate(nothing, nothing, nothing)
    return PairedEstimate(
        interval_method(tables, lambda t: statistic(t[:, 0]), level, ones, (least, 1.0)),
        interval_method(tables, lambda t: statistic(t[:, 1]), level, others, (least, 1.0)),
        interval_method(
            tables, lambda t: statistic(t[:, 0]) - statistic(t[:, 1]), level, ones, (least - 1.0, 1.0 - least)
        ),
    )
