"""The agreement of two sources with the same votes: which is higher, and how many votes it takes to find out.

Both sources are compared with the same votes on the same comparisons, so hard comparisons affect both equally. The
difference has its own interval, from both figures over the same prompts.
"""

from dataclasses import dataclass

import numpy as np

from judge.stats.agreement import IntervalMethod, Ties, prompt_tables, share_agreeing, without_ties
from judge.stats.battles import TIE
from judge.stats.ceiling import PairedEstimate, paired_estimate
from judge.stats.cluster_intervals import jackknife
from judge.stats.planning_power import detectable_difference, needed_for_difference
from judge.stats.votes import VoteColumns, pairs_between


@dataclass(frozen=True)
class SecondSourceComparison:
    """The raw agreement (*rate*) of two sources with the same *votes* on *comparisons* of *prompts*, which are counts.

    *detectable* is the smallest difference that these prompts would detect with power 0.8. *needed* is the number of
    prompts that it takes to detect the difference of interest, and *needed_votes* the number of votes on them, with as
    many votes per prompt as now. All three are None without an interval.
    """

    rate: PairedEstimate
    comparisons: int
    votes: int
    prompts: int
    ties: Ties
    detectable: float | None
    needed: int | None
    needed_votes: int | None


def compare_sources(
    judge: VoteColumns,
    second: VoteColumns,
    people: VoteColumns,
    ties: Ties = "WITH",
    level: float = 0.95,
    interval_method: IntervalMethod = jackknife,
    wanted: float = 0.05,
) -> SecondSourceComparison:
    """Compare how the *judge* and a *second* source agree with *people* on the comparisons that both have judged.

    *ties* is WITH (S1) or WITHOUT (S2: pairs in which neither the vote nor a source's outcome is a tie). *wanted* is
    the difference to detect.

    >>> item = np.arange(10, dtype=np.int32)
    >>> people, other = (VoteColumns(item, np.tile(outcome, 5), item, item) for outcome in ([0, 1], [0, 0]))
    >>> result = compare_sources(people, other, people)
    >>> result.rate.first.value, result.rate.second.value, result.votes
    (1.0, 0.5, 10)
    """
    if ties == "WITHOUT":
        judge, second = (side.select(side.outcome != TIE) for side in (judge, second))
    common = np.intersect1d(judge.item, second.item)
    people = people.select(np.isin(people.item, common))
    sides = [pairs_between(side.select(np.isin(side.item, common)), people) for side in (judge, second)]
    if ties == "WITHOUT":
        people = people.select(people.outcome != TIE)
        sides = [without_ties(side) for side in sides]
    prompts = np.unique(people.cluster)
    tables = np.stack([prompt_tables(side, prompts) for side in sides], axis=1)
    rate = paired_estimate(tables, share_agreeing, level, sides[0].n, sides[1].n, interval_method, 0.0)
    needed = needed_for_difference(rate.difference, wanted)
    return SecondSourceComparison(
        rate=rate,
        comparisons=np.unique(people.item).size,
        votes=people.n,
        prompts=prompts.size,
        ties=ties,
        detectable=detectable_difference(rate.difference),
        needed=needed,
        needed_votes=needed and -(-needed * people.n // prompts.size),
    )
