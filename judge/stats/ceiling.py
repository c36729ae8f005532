"""The judge's agreement with people next to people's agreement with each other, on the same comparisons.

People do not agree on everything, and no judge can agree with all of them. Both figures use the comparisons with at
least two human votes and an outcome of the judge; without ties, those on which the judge names a winner. The difference
has its own interval, because both figures come from the same prompts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.agreement import IntervalMethod, Orientation, Ties, prompt_tables, share_agreeing, without_ties
from judge.stats.battles import TIE
from judge.stats.chance import both_orientations
from judge.stats.cluster_intervals import Estimate, jackknife, ratio, t_quantile, without_interval
from judge.stats.krippendorff import coincidences, krippendorff_alpha
from judge.stats.planning_power import detectable, prompts_needed
from judge.stats.votes import VoteColumns, pairs_between, pairs_within


@dataclass(frozen=True)
class PairedEstimate:
    """A figure of two sources, *first* and *second*, and the *difference*: the first minus the second."""

    first: Estimate
    second: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Ceiling:
    """Raw agreement (*rate*) and Krippendorff's *alpha* of the judge with people, and of people with each other.

    *comparisons* and *votes* (of people) are the counts behind them. *largest* is the agreement of a source that always
    gives the most frequent vote; no single outcome per comparison can agree more. *detectable* is the smallest
    difference of rates that these prompts would detect with power 0.8, and *needed* the number of prompts that it takes
    to detect the difference of interest. Both are None without an interval.
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
    """Compare the agreement of the *judge* with *people* to the agreement of people with each other.

    The judge has one vote per item. *ties* is WITH (S1) or WITHOUT (S2). *orientation* is both or sorted, and changes
    only alpha. *wanted* is the difference of rates to detect. With an *annotator* (a code), compare the agreement of
    the judge with that annotator to the agreement of all others with that annotator.

    >>> item = np.repeat(np.arange(10, dtype=np.int32), 2)
    >>> people = VoteColumns(item, np.tile([0, 0, 0, 1], 5), item, np.arange(20))
    >>> judge = VoteColumns(item[::2], np.zeros(10, dtype=int), item[::2], np.full(10, 99))
    >>> result = ceiling(judge, people)
    >>> result.comparisons, result.rate.first.value, result.rate.second.value
    (10, 0.75, 0.5)
    """
    if ties == "WITHOUT":
        judge = judge.select(judge.outcome != TIE)
    items, n_votes = np.unique(people.item, return_counts=True)
    common = np.intersect1d(items[n_votes > 1], judge.item)
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
        between, within = without_ties(between), without_ties(within)
    prompts = np.unique(np.concatenate((between.cluster, within.cluster)))
    rates = np.stack((prompt_tables(between, prompts), prompt_tables(within, prompts)), axis=1)
    together = np.stack((coincidences(between, prompts), coincidences(within, prompts)), axis=1)
    if orientation == "both":
        together = both_orientations(together)
    rate = paired_estimate(rates, share_agreeing, level, between.n, within.n, interval_method, 0.0)
    error, clusters = rate.difference.standard_error, rate.difference.clusters
    return Ceiling(
        rate=rate,
        alpha=paired_estimate(together, krippendorff_alpha, level, between.n, within.n, interval_method, -1.0),
        comparisons=np.unique(theirs.item).size,
        votes=theirs.n,
        ties=ties,
        largest=_largest(theirs.select(theirs.outcome != TIE) if ties == "WITHOUT" else theirs, level),
        detectable=round(detectable(error, clusters - 1, t_quantile(level, clusters)), 6) if error else None,
        needed=prompts_needed(error, clusters - 1, clusters, wanted, 1 - level) if error else None,
    )


def _largest(people: VoteColumns, level: float) -> Estimate:
    """The share of votes that equal the most frequent vote of their comparison."""
    items, at, n_votes = np.unique(people.item, return_inverse=True, return_counts=True)
    table = np.bincount(at * 3 + people.outcome, minlength=3 * items.size).reshape(-1, 3)
    cluster = people.cluster[np.unique(people.item, return_index=True)[1]]
    return ratio(
        table.max(axis=1, initial=0).astype(np.float64), n_votes.astype(np.float64), cluster, level, (0.0, 1.0)
    )


def paired_estimate(
    tables: Floats,
    statistic: Callable[[Floats], Floats],
    level: float,
    n_first: int,
    n_second: int,
    interval_method: IntervalMethod,
    least: float,
) -> PairedEstimate:
    """Compute a *statistic* of both sources in *tables* (float64[G, 2, 3, 3]), and the difference.

    *n_first* and *n_second* are the numbers of pairs behind each source. The statistic lies from *least* to 1.

    >>> tables = np.tile([np.eye(3), np.ones((3, 3))], (5, 1, 1, 1))
    >>> paired_estimate(tables, share_agreeing, 0.95, 15, 45, jackknife, 0.0).difference.value
    0.666666667
    """
    if len(tables) == 0:
        nothing = without_interval(None, "none: there is no comparison with votes for both", level, 0, 0)
        return PairedEstimate(first=nothing, second=nothing, difference=nothing)
    return PairedEstimate(
        interval_method(tables, lambda t: statistic(t[:, 0]), level, n_first, (least, 1.0)),
        interval_method(tables, lambda t: statistic(t[:, 1]), level, n_second, (least, 1.0)),
        interval_method(
            tables, lambda t: statistic(t[:, 0]) - statistic(t[:, 1]), level, n_first, (least - 1.0, 1.0 - least)
        ),
    )
