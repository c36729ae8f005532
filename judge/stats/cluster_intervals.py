"""Intervals of figures over prompts, for inference to new prompts of the same mix.

Rows of one prompt are not independent, so the G prompts are the clusters.

- From 40 prompts on: the linearized ("sandwich") variance times G / (G - 1), with Student's t of G - 1 degrees of
  freedom.
- From 5 to 39: the delete-one-prompt jackknife, (G - 1) / G times the sum of squared changes, with the same t.
- Below 5: no interval, and `method` gives the reason.

A. C. Cameron, D. L. Miller (2015), "A Practitioner's Guide to Cluster-Robust Inference", Journal of Human Resources
50(2): CR1 and CR3. W. G. Cochran (1977), "Sampling Techniques", chapters 6 and 9A: the ratio estimator.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.cancellation import go_on
from judge.stats.errors import StatisticsError

SANDWICH = "sandwich-cr1-t"
JACKKNIFE = "jackknife-cr3-t"
EXACT = "exact-binomial-over-prompts"
ALIKE = "none: the prompts do not differ, so they do not tell how far a new one would"
BOOTSTRAP = "bootstrap-se-t"
PERCENTILE = "bootstrap-percentile"

FEWEST_FOR_SANDWICH = 40
FEWEST = 5

_MOST_UNDETERMINED = 0.01
_PLACES = 9

_CELLS = 1 << 20
"""The number of draws in memory at once: 8 MB."""
_KEPT = 8
"""The number of draws that are kept, one for each number of clusters."""

_NOTHING = 1e-24
"""Smaller variances are rounding errors of zero."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    *value* is None if there is nothing to compute it from. *low*, *high* and *standard_error* are None if *method*
    begins with "none: ", followed by the reason. *n* counts rows, and *clusters* the prompts they come from.
    """

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    method: str
    level: float
    n: int
    clusters: int


def without_interval(value: float | None, reason: str, level: float, n: int, clusters: int) -> Estimate:
    """An `Estimate` without an interval. *reason* begins with "none: ".

    >>> without_interval(0.5, "none: 4 prompts, at least 5 are needed", 0.95, 9, 4).low is None
    True
    """
    return Estimate(
        value=value, low=None, high=None, standard_error=None, method=reason, level=level, n=n, clusters=clusters
    )


def method_for(clusters: int) -> str:
    """The name of the interval method for a number of *clusters*, or "none: ..." with the reason.

    >>> method_for(80), method_for(20), method_for(4)
    ('sandwich-cr1-t', 'jackknife-cr3-t', 'none: 4 prompts, at least 5 are needed')
    """
    if clusters >= FEWEST_FOR_SANDWICH:
        return SANDWICH
    return JACKKNIFE if clusters >= FEWEST else f"none: {clusters} prompts, at least {FEWEST} are needed"


def t_quantile(level: float, clusters: int) -> float:
    """Half the width, in standard errors, of a two-sided interval of *level* over G *clusters*, by t of G - 1.

    Raises StatisticsError for a level outside 0 to 1.

    >>> round(t_quantile(0.95, 80), 4)
    1.9905
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a slow import, needed only here

    return float(stdtrit(clusters - 1, (1 + check_level(level)) / 2))


def check_level(level: float) -> float:
    """Return the *level* of an interval. Raises StatisticsError unless it is between 0 and 1.

    >>> check_level(0.95)
    0.95
    """
    if not 0 < level < 1:
        raise StatisticsError(f"The level of an interval must be between 0 and 1, not {level}.")
    return level


def ratio(
    numerator: Floats,
    denominator: Floats,
    cluster: Ints | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The ratio of the sums of two columns, with its interval over clusters.

    *numerator* and *denominator* (not negative) are float64[n]. *cluster* is int32[n], or None if each row is its own
    cluster. Rows with a zero denominator do not count. *bounds* limit the interval. If the ratio equals a bound in
    every prompt, the interval is the exact binomial one over prompts (C. J. Clopper, E. S. Pearson (1934), Biometrika
    26(4)). If the prompts do not differ otherwise, there is no interval. Without rows the value is None.

    >>> rate = ratio(np.arange(50.0), np.full(50, 10.0))
    >>> rate.value, rate.method
    (2.45, 'sandwich-cr1-t')
    """
    used = denominator > 0
    n = int(np.count_nonzero(used))
    top, bottom = _sums(numerator, cluster, used), _sums(denominator, cluster, used)
    top, bottom = top[bottom > 0], bottom[bottom > 0]
    clusters = bottom.size
    check_level(level)
    if n == 0:
        return without_interval(None, "none: there is nothing to count", level, 0, 0)
    value = float(top.sum() / bottom.sum())
    method = method_for(clusters)
    if method == SANDWICH:
        residual = (top - value * bottom) / bottom.sum()
        variance = clusters / (clusters - 1) * float(residual @ residual)
    elif method == JACKKNIFE:
        without = (top.sum() - top) / (bottom.sum() - bottom)
        variance = (clusters - 1) / clusters * float(np.square(without - value).sum())
    else:
        return without_interval(round(value, _PLACES), method, level, n, clusters)
    if bounds is not None and variance <= _NOTHING and value in bounds:
        return _exact(value, bounds, level, n, clusters)
    if variance <= _NOTHING:
        return without_interval(round(value, _PLACES), ALIKE, level, n, clusters)
    return estimate(value, variance, method, level, n, clusters, bounds)


def mean(
    values: Floats,
    cluster: Ints | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The mean of *values* (float64[n]), with its interval over clusters: their `ratio` to a column of ones.

    >>> average = mean(np.tile([0.0, 1.0, 1.0], 20), np.repeat(np.arange(30, dtype=np.int32), 2))
    >>> average.value, average.clusters, average.method
    (0.666666667, 30, 'jackknife-cr3-t')
    """
    return ratio(values, np.ones(values.size), cluster, level, bounds)


def jackknife(
    sums: Floats,
    statistic: Callable[[Floats], Floats],
    level: float = 0.95,
    n: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """A function of summed tables, with its delete-one-cluster jackknife interval from 5 clusters on.

    *sums* is float64[G, ...], one table per cluster. *statistic* maps tables float64[k, ...] to float64[k], NaN where a
    table does not determine it. *n* is copied to the result. The value is None if the sum of all tables does not
    determine it. There is no interval if some sum without one cluster does not, or if leaving out a cluster never
    changes the value.

    >>> result = jackknife(np.arange(1.0, 9.0)[:, None], lambda tables: tables[:, 0] ** 2)
    >>> result.value, result.clusters, result.method
    (1296.0, 8, 'jackknife-cr3-t')
    """
    check_level(level)
    clusters = sums.shape[0]
    total = sums.sum(axis=0, keepdims=True)
    value = float(statistic(total)[0])
    method = method_for(clusters)
    if np.isnan(value):
        return without_interval(None, "none: the figure is not determined", level, n, clusters)
    if method.startswith("none"):
        return without_interval(round(value, _PLACES), method, level, n, clusters)
    without = statistic(total - sums)
    variance = (clusters - 1) / clusters * float(np.square(without - value).sum())
    if np.isnan(variance):
        method = "none: without one of the prompts the figure is not determined"
    elif variance <= _NOTHING:
        method = "none: the figure is the same without any one of the prompts"
    else:
        return estimate(value, variance, JACKKNIFE, level, n, clusters, bounds)
    return without_interval(round(value, _PLACES), method, level, n, clusters)


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
    if clusters < FEWEST:
        return without_interval(round(value, _PLACES), method_for(clusters), level, n, clusters)
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
    if not percentile:
        return estimate(value, variance, BOOTSTRAP, level, n, clusters, bounds)
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2]).tolist()
    value, low, high, error = (round(figure, _PLACES) + 0.0 for figure in (value, low, high, variance**0.5))
    return Estimate(
        value=value, low=low, high=high, standard_error=error, method=PERCENTILE, level=level, n=n, clusters=clusters
    )


def estimate(
    value: float,
    variance: float,
    method: str,
    level: float,
    n: int,
    clusters: int,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The `Estimate` of a *value* with a *variance* over G *clusters*: by t of G - 1, limited to *bounds*.

    >>> result = estimate(0.5, 0.01, "by hand", 0.95, 100, 80)
    >>> result.low, result.high
    (0.300954979, 0.699045021)
    """
    error = variance**0.5
    low, high = (value + sign * t_quantile(level, clusters) * error for sign in (-1, 1))
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    low, high, value, error = (round(figure, _PLACES) + 0.0 for figure in (low, high, value, error))
    return Estimate(
        value=value, low=low, high=high, standard_error=error, method=method, level=level, n=n, clusters=clusters
    )


def _sums(column: Floats, cluster: Ints | None, used: Flags) -> Floats:
    if cluster is None:
        return column[used]
    return sums(cluster[used], column[used])


def _exact(value: float, bounds: tuple[float, float], level: float, n: int, clusters: int) -> Estimate:
    from_bound = (bounds[1] - bounds[0]) * (1 - ((1 - level) / 2) ** (1 / clusters))
    low, high = (value, value + from_bound) if value == bounds[0] else (value - from_bound, value)
    return Estimate(
        value=value,
        low=round(low, _PLACES),
        high=round(high, _PLACES),
        standard_error=None,
        method=EXACT,
        level=level,
        n=n,
        clusters=clusters,
    )
