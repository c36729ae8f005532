"""Intervals of figures over prompts by a bootstrap that resamples prompts.

B. Efron, R. J. Tibshirani (1993), "An Introduction to the Bootstrap", chapters 6, 12 and 13.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.cancellation import go_on
from judge.stats.cluster_intervals import (
    ALIKE,
    BOOTSTRAP,
    NOTHING,
    PERCENTILE,
    Estimate,
    estimate,
    too_few,
    without_interval,
)
from judge.stats.levels import check_level

_MOST_UNDETERMINED = 0.01
_PLACES = 9

_CELLS = 1 << 20
"""The number of draws in memory at once: 8 MB."""
_KEPT = 8
"""The number of draws that are kept, one for each number of clusters."""


@dataclass(eq=False)
class Resamples:
    """How often each cluster is drawn in each of *replicates* resamples; *seed* fixes the draws for each G.

    Draws for few clusters are kept, because a report uses them again for every figure.
    """

    seed: int
    replicates: int
    _kept: dict[int, Floats] = field(default_factory=dict, init=False, repr=False)

    def of(self, clusters: int) -> Iterator[Floats]:
        """Yield the draws for a number of *clusters* in blocks, float64[k, *clusters*].

        >>> [block.sum(axis=1).tolist() for block in Resamples(0, 3).of(5)]
        [[5.0, 5.0, 5.0]]
        """
        if clusters in self._kept:
            go_on()
            yield self._kept[clusters]
            return
        rng, chances = np.random.default_rng(self.seed), np.full(clusters, 1 / clusters)
        size = max(1, _CELLS // clusters)
        for start in range(0, self.replicates, size):
            go_on()
            size_of_block = min(size, self.replicates - start)
            block = rng.multinomial(clusters, chances, size_of_block).astype(np.float64)
            if size_of_block == self.replicates and len(self._kept) < _KEPT:
                self._kept[clusters] = block
            yield block


def bootstrap_interval(
    sums: Floats,
    statistic: Callable[[Floats], Floats],
    level: float = 0.95,
    n: int = 0,
    bounds: tuple[float, float] | None = None,
    *,
    resamples: Resamples,
    percentile: bool = False,
) -> Estimate:
    """A function of summed tables, with its interval by a bootstrap over clusters.

    The arguments are those of `jackknife`, and *resamples* gives the draws of clusters. The interval uses the standard
    deviation of the replicates times sqrt(G / (G - 1)), with t of G - 1. With *percentile* it is between quantiles of
    the replicates, which is too narrow with few clusters. Resamples that do not determine the figure are left out; if
    they are more than 1 %, there is no interval.

    >>> resamples = Resamples(0, 2000)
    >>> result = bootstrap_interval(np.arange(1.0, 9.0)[:, None], lambda tables: tables[:, 0] ** 2, resamples=resamples)
    >>> result.value, result.clusters, result.method
    (1296.0, 8, 'bootstrap-se-t')
    """
    check_level(level)
    clusters = sums.shape[0]
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    if np.isnan(value):
        return without_interval(None, "none: the figure is not determined", level, n, clusters)
    if few := too_few(clusters):
        return without_interval(round(value, _PLACES), few, level, n, clusters)
    flat = sums.reshape(clusters, -1)
    tables = np.concatenate([drawn @ flat for drawn in resamples.of(clusters)])
    again = statistic(tables.reshape(-1, *sums.shape[1:]))
    method = "none: the figure is not determined in more than 1 % of resamples"
    return interval_from_replicates(
        value,
        again[~np.isnan(again)],
        resamples.replicates,
        level,
        n,
        clusters,
        bounds,
        percentile=percentile,
        undetermined=method,
    )


def interval_from_replicates(
    value: float,
    again: Floats,
    drawn: int,
    level: float,
    n: int,
    clusters: int,
    bounds: tuple[float, float] | None = None,
    *,
    percentile: bool = False,
    undetermined: str,
) -> Estimate:
    """A *value* with its interval from the replicates *again* (float64[k]) of *drawn* resamples of clusters.

    If more than 1 % of the replicates are missing, there is no interval, and *undetermined* is the reason.

    >>> again = np.linspace(0, 2, 101)
    >>> interval_from_replicates(1.0, again, 101, 0.9, 9, 50, percentile=True, undetermined="none: too few").low
    0.1
    """
    if again.size < (1 - _MOST_UNDETERMINED) * drawn:
        return without_interval(round(value, _PLACES), undetermined, level, n, clusters)
    variance = float(again.var(ddof=1)) * clusters / (clusters - 1)
    if variance <= NOTHING:
        return without_interval(round(value, _PLACES), ALIKE, level, n, clusters)
    if not percentile:
        return estimate(value, variance, BOOTSTRAP, level, n, clusters, bounds)
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2]).tolist()
    value, low, high, error = (round(figure, _PLACES) + 0.0 for figure in (value, low, high, variance**0.5))
    return Estimate(
        value=value,
        low=low,
        high=high,
        standard_error=error,
        method=PERCENTILE,
        level=level,
        n=n,
        clusters=clusters,
        freedom=clusters - 1,
    )
