"""Two judges against the same votes: which of them agrees with people more, and how many votes it takes to tell.

Both are held against the same votes of the same comparisons, so that what is hard for both is hard for neither; the
difference has an interval of its own, from both figures over the same prompts.
"""

from dataclasses import dataclass

import numpy as np

from judge.stats.agreement import IntervalMethod, Ties, decided, prompt_tables, share_agreeing
from judge.stats.battles import TIE
from judge.stats.ceiling import PairedEstimate, paired_estimate
from judge.stats.cluster_intervals import jackknife
from judge.stats.simultaneous import detectable, prompts_needed
from judge.stats.votes import VoteColumns, pairs_between


@dataclass(frozen=True)
class SecondSourceComparison:
    """The raw agreement of two judges with the same *votes* on so many *comparisons* of so many *prompts*.

    *detectable* is the smallest difference that these prompts would tell from 0 with power 0.8; *needed* the number of
    prompts, and *needed_votes* of votes if there are as many a prompt as now, that it takes to tell the difference
    wanted. All three are None without an interval.
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
    """How the *judge* and its *second* agree with *people* on what both have an outcome of.

    *ties* is WITH (S1), or WITHOUT (S2): where neither of them nor the vote is a tie. *wanted* is the difference one
    would like to tell from 0.

    >>> item = np.arange(10, dtype=np.int32)
    >>> people, other = (VoteColumns(item, np.tile(said, 5), item, item) for said in ([0, 1], [0, 0]))
    >>> found = compare_sources(people, other, people)
    >>> found.rate.one.value, found.rate.other.value, found.votes
    (1.0, 0.5, 10)
    """
    if ties == "WITHOUT":
        judge, second = (side.select(side.outcome != TIE) for side in (judge, second))
    common = np.intersect1d(judge.item, second.item)
    people = people.select(np.isin(people.item, common))
    sides = [pairs_between(side.select(np.isin(side.item, common)), people) for side in (judge, second)]
    if ties == "WITHOUT":
        people = people.select(people.outcome != TIE)
        sides = [decided(side) for side in sides]
    prompts = np.unique(people.cluster)
    tables = np.stack([prompt_tables(side, prompts) for side in sides], axis=1)
    rate = paired_estimate(tables, share_agreeing, level, sides[0].n, sides[1].n, interval_method, 0.0)
    error = rate.difference.standard_error
    needed = prompts_needed(error, prompts.size, wanted, level) if error else None
    return SecondSourceComparison(
        rate,
        np.unique(people.item).size,
        people.n,
        prompts.size,
        ties,
        round(detectable(error, prompts.size, level), 6) if error else None,
        needed,
        needed and -(-needed * people.n // prompts.size),
    )
