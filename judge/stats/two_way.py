"""Intervals over prompts and annotators at once, for inference to new prompts judged by new annotators.

Two pairs of votes are not independent if they share a prompt or an annotator. The variance over both is the variance
over prompts, plus that over annotators, minus that over the annotators of each prompt, which both contain: A. C.
Cameron, J. B. Gelbach, D. L. Miller (2011), "Robust Inference With Multiway Clustering", Journal of Business & Economic
Statistics 29(2). Each of the three is a delete-one jackknife. If annotators hardly differ, the difference of the last
two is noise around zero, and may be far below it. So the variance is at least that over prompts, and at least that over
annotators. Its degrees of freedom follow by F. E. Satterthwaite (1946), "An Approximate Distribution of Estimates of
Variance Components", Biometrics Bulletin 2(6), from the effective numbers of prompts and of annotators: one with most
votes counts as few. A figure with two bounds has the interval of a share (see `score_intervals`).

A pair of two annotators is left out with either. Two pairs of the same two annotators would then count twice, so the
variance over couples of annotators is subtracted: M. Fafchamps, F. Gubert (2007), "The formation of risk sharing
networks", Journal of Development Economics 83(2).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Floats, Ints
from judge.stats.cluster_intervals import (
    ALIKE,
    FEWEST,
    NOTHING,
    Estimate,
    exact_interval,
    interval_of_variance,
    too_few,
    without_interval,
)
from judge.stats.cluster_variance import effective
from judge.stats.levels import check_level
from judge.stats.votes import NOBODY, VotePairs

METHOD = "two-way-jackknife-{}"
UNKNOWN = "none: without one of the prompts or annotators the figure is not determined"

Tables = Callable[[VotePairs, Ints], Floats]
"""The tables of *pairs* in each of the clusters with these codes, float64[G, 3, 3]."""
Columns = list[npt.NDArray[np.int64]]
"""Keys of each row of pairs, int64[rows]: two columns if each row belongs to two clusters, such as two annotators."""

_PLACES = 9


def two_way(
    groups: Sequence[VotePairs],
    tables: Tables,
    statistic: Callable[[Floats], Floats],
    level: float = 0.95,
    n: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """A function of the summed *tables* of each of *groups*, with its interval over prompts and annotators.

    *statistic* maps float64[k, groups, 3, 3] to float64[k], NaN where the tables do not determine it. *n* is copied to
    the result, and *bounds* limit the interval. An annotator in
    all pairs of a group, such as the judge, is not a cluster: the interval is for this annotator. There is no interval
    below 5 prompts, or below 5 annotators with a name. Raises StatisticsError for a level outside 0 to 1.

    >>> from judge.stats.agreement import prompt_tables, share_agreeing
    >>> from judge.stats.votes import VoteColumns, pairs_between
    >>> item, rng = np.repeat(np.arange(20), 3), np.random.default_rng(1)
    >>> people = VoteColumns(item, rng.integers(0, 2, 60), item, rng.integers(0, 6, 60))
    >>> judge = VoteColumns(np.arange(20), rng.integers(0, 2, 20), np.arange(20), np.full(20, 9))
    >>> two_way([pairs_between(judge, people)], prompt_tables, lambda t: share_agreeing(t[:, 0])).method
    'two-way-jackknife-t'
    """
    check_level(level)
    prompts = [[group.cluster.astype(np.int64)] for group in groups]
    annotators, names, named = _coded([_annotators(group) for group in groups])
    n_prompts = np.unique(np.concatenate([column for columns in prompts for column in columns])).size
    total = _summed(groups, tables, [[np.zeros_like(column) for column in columns] for columns in prompts])
    value = float(statistic(total)[0]) if n_prompts else np.nan
    if np.isnan(value):
        return without_interval(None, "none: the figure is not determined", level, n, n_prompts)
    if few := too_few(n_prompts) or _few_annotators(named):
        return without_interval(round(value, _PLACES), few, level, n, n_prompts)
    variances, counts = np.zeros(3), np.full(3, np.inf)
    for clustering, sign, keys in _clusterings(prompts, annotators, names):
        left_out = _summed(groups, tables, keys)
        changes = statistic(total - left_out) - value
        variances[clustering] += sign * (changes.size - 1) / changes.size * float(np.square(changes).sum())
        if sign > 0:
            counts[clustering] = effective(left_out.reshape(changes.size, -1).sum(axis=1))
    if np.isnan(variances).any():
        return without_interval(round(value, _PLACES), UNKNOWN, level, n, n_prompts)
    variance = float(max(variances[0], variances[1], variances[0] + variances[1] - variances[2]))
    if variance <= NOTHING:
        if bounds is None:
            return without_interval(round(value, _PLACES), ALIKE, level, n, n_prompts)
        return exact_interval(value, float(counts.min()), level, n, n_prompts, bounds)
    precision = np.square(variances[:2]) / np.maximum(counts[:2] - 1, 1.0)
    freedom = max(1.0, variance**2 / float(precision.sum()))
    return interval_of_variance(value, variance, freedom, METHOD, level, n, n_prompts, bounds)


def _few_annotators(named: int) -> str:
    return "" if named >= FEWEST else f"none: {named} annotators with a name, at least {FEWEST} are needed"


def _annotators(pairs: VotePairs) -> Columns:
    """The annotators of each pair that are clusters; negative for those without a name.

    Votes without a name are of different people. Those on one item may share a code, because their prompt is a cluster.
    """
    if pairs.annotators is None:
        return []
    unnamed = -2 - pairs.item.astype(np.int64)
    columns = [np.where(column == NOBODY, unnamed, column) for column in pairs.annotators]
    return columns if pairs.exchangeable else [column for column in columns if np.unique(column).size > 1]


def _coded(annotators: Sequence[Columns]) -> tuple[list[Columns], int, int]:
    """The same annotators with codes from 0, the number of codes, and how many of these have a name."""
    names = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *chain.from_iterable(annotators)]))
    codes = [[np.searchsorted(names, column) for column in columns] for columns in annotators]
    return codes, names.size, int(np.count_nonzero(names >= 0))


def _clusterings(
    prompts: Sequence[Columns], annotators: Sequence[Columns], names: int
) -> Iterator[tuple[int, int, list[Columns]]]:
    """Parts of the variances over prompts (0), annotators (1) and both (2): which, the sign, and each group's keys."""
    couples = [[np.minimum(*two) * names + np.maximum(*two)] if len(two) > 1 else [] for two in annotators]
    yield 0, 1, list(prompts)
    for sign, keys in ((1, annotators), (-1, couples)):
        if any(keys):
            both = zip(prompts, keys, strict=True)
            yield 1, sign, list(keys)
            yield 2, sign, [[prompt * names**2 + column for column in columns] for (prompt,), columns in both]


def _summed(groups: Sequence[VotePairs], tables: Tables, keys: Sequence[Columns]) -> Floats:
    """The tables of each cluster and group, float64[clusters, groups, 3, 3]."""
    names = np.unique(np.concatenate(list(chain.from_iterable(keys))))
    codes = np.arange(names.size, dtype=np.int32)
    summed = np.zeros((names.size, len(groups), 3, 3))
    for at, (pairs, columns) in enumerate(zip(groups, keys, strict=True)):
        for column in columns:
            clusters = np.searchsorted(names, column).astype(np.int32)
            summed[:, at] += tables(replace(pairs, cluster=clusters), codes)
    return summed
