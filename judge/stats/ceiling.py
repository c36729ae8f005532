"""The judge's agreement with people next to people's agreement with each other, on the same comparisons.

People do not agree on everything, and no judge can agree with all of them. Both figures use the comparisons with the
votes of at least two people and an outcome of the judge; without ties, those on which the judge names a winner and at
least two people do. The difference has its own interval, because both figures come from the same prompts.

Both figures count every comparison once. On one comparison, the judge's agreement is the share of votes equal to its
own, and people's agreement is the share of pairs of votes that are alike. Both have the same expectation if the judge
is one more person. Counting votes instead, as published figures do, weights a comparison of m votes by m for the judge
and by m (m - 1) / 2 for people. If hard comparisons have more votes, the judge then looks better than people although
it is one of them. Alpha counts every comparison as two votes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.agreement import IntervalMethod, Orientation, Ties, prompt_tables, share_agreeing, without_ties
from judge.stats.agreement_two_way import coincidence_tables
from judge.stats.battles import TIE
from judge.stats.cluster_intervals import Estimate, jackknife, ratio, without_interval
from judge.stats.krippendorff import krippendorff_alpha
from judge.stats.planning_power import detectable_difference, needed_for_difference
from judge.stats.two_way import Tables, two_way
from judge.stats.votes import VoteColumns, VotePairs, pairs_between, pairs_within, tallies

Weighting = Literal["COMPARISONS", "VOTES"]
"""What counts once: a comparison, its annotators in equal parts; or each vote and pair of votes, whoever gave them."""


@dataclass(frozen=True)
class PairedEstimate:
    """A figure of two sources, *first* and *second*, and the *difference*: the first minus the second."""

    first: Estimate
    second: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Ceiling:
    """Raw agreement (*rate*) and Krippendorff's *alpha* of the judge with people, and of people with each other.

    *comparisons* and *votes* (of people) are the counts behind them, and *weighting* says what counts once. *largest*
    is the agreement of a source that always gives the most frequent vote; no single outcome per comparison can agree
    more. *detectable* is the smallest difference of rates that a study of this size would detect with power 0.8, and
    *needed* the number of prompts that it takes to detect the difference of interest. Both are None without an
    interval. If intervals are for new annotators too, *needed* is None, because more prompts alone would not help.
    """

    rate: PairedEstimate
    alpha: PairedEstimate
    comparisons: int
    votes: int
    ties: Ties
    weighting: Weighting
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
    weighting: Weighting = "COMPARISONS",
    *,
    new_annotators: bool = False,
) -> Ceiling:
    """Compare the agreement of the *judge* with *people* to the agreement of people with each other.

    The judge has one vote per item. *ties* is WITH (S1) or WITHOUT (S2). *orientation* is both or sorted, and changes
    only alpha. *wanted* is the difference of rates to detect. With an *annotator* (a code), compare the agreement of
    the judge with that annotator to the agreement of all others with that annotator. Published figures have the
    *weighting* VOTES. With *new_annotators*, intervals are for new prompts and new annotators, instead of those of the
    *interval_method*.

    >>> item = np.repeat(np.arange(10, dtype=np.int32), 2)
    >>> people = VoteColumns(item, np.tile([0, 0, 0, 1], 5), item, np.arange(20))
    >>> judge = VoteColumns(item[::2], np.zeros(10, dtype=int), item[::2], np.full(10, 99))
    >>> result = ceiling(judge, people)
    >>> result.comparisons, result.rate.first.value, result.rate.second.value
    (10, 0.75, 0.5)
    """
    compared = _compare(judge, people, ties, annotator, weighting)
    between, within = compared.between, compared.within
    prompts = np.unique(np.concatenate((between.cluster, within.cluster)))
    together = coincidence_tables(orientation)

    def paired(tables: Tables, statistic: Callable[[Floats], Floats], least: float) -> PairedEstimate:
        if new_annotators:
            return _of_new_annotators(compared, tables, statistic, level, least)
        by_prompt = np.stack((tables(between, prompts), tables(within, prompts)), axis=1)
        return paired_estimate(by_prompt, statistic, level, between.n, within.n, interval_method, least)

    rate = paired(prompt_tables, share_agreeing, 0.0)
    return Ceiling(
        rate=rate,
        alpha=paired(together, krippendorff_alpha, -1.0),
        comparisons=np.unique(compared.votes.item).size,
        votes=compared.votes.n,
        ties=ties,
        weighting=weighting,
        largest=_largest(compared.votes, ties, level, weighting),
        detectable=detectable_difference(rate.difference),
        needed=None if new_annotators else needed_for_difference(rate.difference, wanted),
    )


@dataclass(frozen=True, eq=False)
class _Compared:
    """The pairs of the judge with people and of people with each other, and people's *votes* in the first of them."""

    between: VotePairs
    within: VotePairs
    votes: VoteColumns


def _compare(
    judge: VoteColumns, people: VoteColumns, ties: Ties, annotator: int | None, weighting: Weighting
) -> _Compared:
    """The pairs on the comparisons that both figures use, weighted as asked for."""
    if ties == "WITHOUT":
        judge = judge.select(judge.outcome != TIE)
    theirs = others = people.select(np.isin(people.item, judge.item))
    if annotator is not None:
        theirs, others = (theirs.select(np.equal(theirs.annotator == annotator, own)) for own in (True, False))
    if weighting == "VOTES":
        theirs, others = theirs.anonymous(), others.anonymous()
    paired = within = pairs_within(theirs) if annotator is None else pairs_between(others, theirs)
    if ties == "WITHOUT":
        within = without_ties(within)
    # Published figures without ties also count the judge on comparisons with a single vote that is not a tie.
    votes = theirs.select(np.isin(theirs.item, paired.item if weighting == "VOTES" else within.item))
    between = pairs_between(judge, votes)
    if ties == "WITHOUT":
        between = without_ties(between)
    once = weighting == "COMPARISONS"
    return _Compared(
        between=replace(between, by_comparison=once), within=replace(within, by_comparison=once), votes=votes
    )


def _largest(people: VoteColumns, ties: Ties, level: float, weighting: Weighting) -> Estimate:
    """The share of votes that equal the most frequent vote of their comparison."""
    counted = people.select(people.outcome != TIE) if ties == "WITHOUT" else people
    table, first = tallies(counted)
    most, n_votes = table.max(axis=1, initial=0), table.sum(axis=1)
    if weighting == "COMPARISONS":
        most, n_votes = most / n_votes, np.ones(n_votes.size)
    return ratio(most, n_votes, counted.cluster[first], level, (0.0, 1.0))


def _of_new_annotators(
    compared: _Compared, tables: Tables, statistic: Callable[[Floats], Floats], level: float, least: float
) -> PairedEstimate:
    """A *statistic* of the judge and of people, and the difference, with intervals for new prompts and annotators."""
    between, within = compared.between, compared.within

    def first(summed: Floats) -> Floats:
        return statistic(summed[:, 0])

    def difference(summed: Floats) -> Floats:
        return statistic(summed[:, 0]) - statistic(summed[:, 1])

    return PairedEstimate(
        first=two_way([between], tables, first, level, between.n, (least, 1.0)),
        second=two_way([within], tables, first, level, within.n, (least, 1.0)),
        difference=two_way([between, within], tables, difference, level, between.n, (least - 1.0, 1.0 - least)),
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
