"""Intervals of figures over prompts, for inference to new prompts of the same mix.

Rows of one prompt are not independent, so the G prompts are the clusters. Below 5 prompts there is no interval, and
`too_few` gives the reason. The variance and the critical value follow the sizes of the prompts: see
`cluster_variance`.

- A figure with two bounds, such as a share or a kappa, has the interval of a share (see `score_intervals`). If all
  prompts have the same value, it is the exact binomial one over the effective number of prompts.
- A figure without bounds has a symmetric interval, and none if all prompts have the same value.

The variance of a ratio comes from its residuals (W. G. Cochran (1977), "Sampling Techniques", chapters 6 and 9A), that
of another function of summed tables from its changes without each prompt (the jackknife).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.cluster_variance import (
    ClusterSums,
    ClusterVariance,
    cluster_variance,
    effective,
    jackknife_variance,
    row_bounded_variance,
    share_sums,
)
from judge.stats.critical_values import satterthwaite_t
from judge.stats.levels import check_level
from judge.stats.score_intervals import score_interval

EXACT = "exact-binomial-over-prompts"
WHOLE_RANGE = "whole-range"
"""Of a figure that one prompt alone determines: everything between its bounds."""
ALIKE = "none: every prompt has the same result, so nothing shows how far a new one could differ"
BOOTSTRAP = "bootstrap-se-t"
PERCENTILE = "bootstrap-percentile"

FEWEST = 5

_PLACES = 9

NOTHING = 1e-24
"""Smaller variances are rounding errors of zero."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    *value* is None if there is nothing to compute it from. *low*, *high* and *standard_error* are None if *method*
    begins with "none: ", followed by the reason. *n* counts rows, and *clusters* the prompts they come from. *freedom*
    is the degrees of freedom of the standard error; None without one, and for intervals of other shapes.
    """

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    method: str
    level: float
    n: int
    clusters: int
    freedom: float | None = None


def without_interval(value: float | None, reason: str, level: float, n: int, clusters: int) -> Estimate:
    """An `Estimate` without an interval. *reason* begins with "none: ".

    >>> without_interval(0.5, "none: 4 prompts, at least 5 are needed", 0.95, 9, 4).low is None
    True
    """
    return Estimate(
        value=value, low=None, high=None, standard_error=None, method=reason, level=level, n=n, clusters=clusters
    )


def too_few(prompts: int, of: str = "") -> str:
    """Why there is no interval over so few *prompts*, "none: ..."; empty if they are enough.

    >>> too_few(3, " of its own"), too_few(5)
    ('none: 3 prompts of its own, at least 5 are needed', '')
    """
    if prompts >= FEWEST:
        return ""
    return f"none: {prompts} prompt{'' if prompts == 1 else 's'}{of}, at least {FEWEST} are needed"


def t_quantile(level: float, clusters: int) -> float:
    """Half the width, in standard errors, of a two-sided interval of *level* over G *clusters*, by t of G - 1.

    Raises StatisticsError for a level outside 0 to 1.

    >>> round(t_quantile(0.95, 80), 4)
    1.9905
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a slow import, needed only here

    return float(stdtrit(clusters - 1, (1 + check_level(level)) / 2))


def ratio(
    numerator: Floats,
    denominator: Floats,
    cluster: Ints | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The ratio of the sums of two columns, with its interval over clusters.

    *numerator* and *denominator* (not negative) are float64[n]. *cluster* is int32[n], or None if each row is its own
    cluster. Rows with a zero denominator do not count. *bounds* are the least and the largest possible ratio of a row,
    if there are any. Without rows the value is None.

    >>> rate = ratio(np.arange(50.0), np.full(50, 10.0))
    >>> rate.value, rate.method
    (2.45, 'cr2-t')
    """
    check_level(level)
    used = denominator > 0
    top, bottom, n = numerator[used], denominator[used], int(np.count_nonzero(used))
    if n == 0:
        return without_interval(None, "none: there is nothing to count", level, 0, 0)
    value = float(top.sum() / bottom.sum())
    residual, weight, squares = top - value * bottom, bottom, np.square(bottom)
    row_variance = float(residual @ residual / squares.sum())
    if cluster is not None:
        residual, weight, squares = (sums(cluster[used], column) for column in (residual, weight, squares))
        residual, squares, weight = residual[weight > 0], squares[weight > 0], weight[weight > 0]
    by_cluster = ClusterSums(residual=residual, weight=weight, squares=squares, row_variance=row_variance)
    return linear_interval(value, by_cluster, level, n, bounds)


def mean(
    values: Floats,
    cluster: Ints | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The mean of *values* (float64[n]), with its interval over clusters: their `ratio` to a column of ones.

    >>> average = mean(np.tile([0.0, 1.0, 1.0], 20), np.repeat(np.arange(30, dtype=np.int32), 2))
    >>> average.value, average.clusters, average.method
    (0.666666667, 30, 'cr2-t')
    """
    return ratio(values, np.ones(values.size), cluster, level, bounds)


def mean_by_cluster(
    numerator: Floats,
    denominator: Floats,
    cluster: Ints | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The mean of the clusters' own ratios, each of which counts once. The arguments are those of `ratio`.

    >>> cluster = np.repeat(np.arange(5, dtype=np.int32), [1, 1, 1, 1, 6])
    >>> mean_by_cluster(np.repeat([1.0, 0.0], [4, 6]), np.ones(10), cluster).value
    0.8
    """
    if cluster is not None:
        numerator, denominator = sums(cluster, numerator), sums(cluster, denominator)
    used = denominator > 0
    return mean(numerator[used] / denominator[used], None, level, bounds)


def share_of_counts(counted: Floats, of: Floats, level: float = 0.95) -> Estimate:
    """A share of rows that are *counted* by cluster already: float64[G], out of so many rows *of* each, float64[G].

    The same as `mean` of ones and zeros.

    >>> share_of_counts(np.full(10, 3.0), np.full(10, 4.0)) == mean(
    ...     np.tile([1.0, 1.0, 1.0, 0.0], 10), np.repeat(np.arange(10, dtype=np.int32), 4), 0.95, (0.0, 1.0)
    ... )
    True
    """
    check_level(level)
    counted, of = counted[of > 0], of[of > 0]
    if of.size == 0:
        return without_interval(None, "none: there is nothing to count", level, 0, 0)
    value = float(counted.sum() / of.sum())
    return linear_interval(value, share_sums(counted, of), level, int(of.sum()), (0.0, 1.0))


def linear_interval(
    value: float,
    sums: ClusterSums,
    level: float = 0.95,
    n: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """A *value* that solves sum of residuals = 0, with its interval over clusters from 5 of them on.

    *n* is copied to the result, and *bounds* are the least and the largest possible value of a row, if there are any.

    >>> sums = ClusterSums(residual=np.array([1.0, -1, 2, -2, 0]), weight=np.full(5, 4.0), row_variance=0.25)
    >>> linear_interval(0.5, sums).method
    'cr2-t'
    """
    clusters = sums.weight.size
    if few := too_few(clusters):
        return without_interval(round(value, _PLACES), few, level, n, clusters)
    spread = cluster_variance(sums) if bounds is None else row_bounded_variance(sums)
    return _interval(value, spread, sums.weight, "cr2-{}", level, n, bounds)


def jackknife(
    sums: Floats,
    statistic: Callable[[Floats], Floats],
    level: float = 0.95,
    n: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """A function of summed tables of counts, with its interval over clusters, by leaving out each cluster.

    *sums* is float64[G, ...], one table per cluster, whose total is its weight. *statistic* maps tables
    float64[k, ...] to float64[k], NaN where a table does not determine it; tables twice as large must give the same.
    *n* is copied to the result, and *bounds* are the least and the largest possible value, if there are any. The value
    is None if the sum of all tables does not determine it. If some sum without one cluster does not, the interval is
    the whole range between the bounds.

    >>> tables = np.array([[3.0, 1.0], [2.0, 2.0], [4.0, 0.0], [1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])
    >>> result = jackknife(tables, lambda table: table[:, 0] / table.sum(axis=1))
    >>> result.value, result.clusters, result.method
    (0.625, 6, 'jackknife-t')
    """
    check_level(level)
    sums = sums[sums.any(axis=tuple(range(1, sums.ndim)))]
    clusters = sums.shape[0]
    total = sums.sum(axis=0, keepdims=True)
    value = float(statistic(total)[0])
    if np.isnan(value):
        return without_interval(None, "none: the figure is not determined", level, n, clusters)
    if few := too_few(clusters):
        return without_interval(round(value, _PLACES), few, level, n, clusters)
    change = value - statistic(total - sums)
    if np.isnan(change).any():
        if bounds is None:
            reason = "none: without one of the prompts the figure is not determined"
            return without_interval(round(value, _PLACES), reason, level, n, clusters)
        return _without_error(value, bounds, WHOLE_RANGE, level, n, clusters)
    weight = sums.reshape(clusters, -1).sum(axis=1)
    spread = jackknife_variance(change, weight, total[0], statistic)
    return _interval(value, spread, weight, "jackknife-{}", level, n, bounds)


def _interval(
    value: float,
    spread: ClusterVariance,
    weight: Floats,
    method: str,
    level: float,
    n: int,
    bounds: tuple[float, float] | None,
) -> Estimate:
    clusters, error, freedom = weight.size, spread.variance**0.5, 1 / spread.s2
    if spread.variance <= NOTHING:
        if bounds is None:
            return without_interval(round(value, _PLACES), ALIKE, level, n, clusters)
        return exact_interval(value, effective(weight), level, n, clusters, bounds)
    critical = spread.critical_value(level)
    ends, name = _ends(value, spread.variance, critical, level, bounds)
    return _estimate(value, ends, error, method.format(name), level, n, clusters, freedom)


def exact_interval(
    value: float, like: float, level: float, n: int, clusters: int, bounds: tuple[float, float]
) -> Estimate:
    """The interval of a *value* that all clusters have, which count as so many (*like*) equal ones.

    None of them differed, so a share of new ones may differ that is not improbable by that, in either direction.

    >>> exact_interval(1.0, 20.0, 0.95, 100, 20, (0.0, 1.0)).low
    0.831566529
    """
    differ = 1 - ((1 - level) / 2) ** (1 / like)
    ends = value - differ * (value - bounds[0]), value + differ * (bounds[1] - value)
    return _without_error(value, ends, EXACT, level, n, clusters)


def _ends(
    value: float, variance: float, critical: float, level: float, bounds: tuple[float, float] | None
) -> tuple[tuple[float, float], str]:
    """The ends of an interval whose half is *critical* standard errors, and the name of its shape."""
    if bounds is None:
        half = critical * variance**0.5
        return (value - half, value + half), "t"
    width = bounds[1] - bounds[0]
    share = min(max((value - bounds[0]) / width, 0.0), 1.0)
    low, high, name = score_interval(share, share * (1 - share) * width**2 / variance, critical, level)
    return (bounds[0] + width * low, bounds[0] + width * high), name


def interval_of_variance(
    value: float,
    variance: float,
    freedom: float,
    method: str,
    level: float,
    n: int,
    clusters: int,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """A *value* with a positive *variance* of so many degrees of *freedom*: by t, or with *bounds* as a share.

    "{}" in *method* becomes the shape of the interval. The value is not at one of its bounds.

    >>> result = interval_of_variance(0.9, 0.01, 12.5, "by-hand-{}", 0.95, 100, 80, (0.0, 1.0))
    >>> result.method, result.low, result.high
    ('by-hand-korn-graubard', 0.47961352, 0.999215152)
    """
    critical = float(satterthwaite_t(level, np.array(freedom)))
    ends, name = _ends(value, variance, critical, level, bounds)
    return _estimate(value, ends, variance**0.5, method.format(name), level, n, clusters, freedom)


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
    return _estimate(value, (low, high), error, method, level, n, clusters, clusters - 1)


def _without_error(
    value: float, ends: tuple[float, float], method: str, level: float, n: int, clusters: int
) -> Estimate:
    value, low, high = (round(figure, _PLACES) + 0.0 for figure in (value, *ends))
    return Estimate(
        value=value, low=low, high=high, standard_error=None, method=method, level=level, n=n, clusters=clusters
    )


def _estimate(
    value: float,
    ends: tuple[float, float],
    error: float,
    method: str,
    level: float,
    n: int,
    clusters: int,
    freedom: float,
) -> Estimate:
    interval = _without_error(value, ends, method, level, n, clusters)
    return replace(interval, standard_error=round(error, _PLACES), freedom=round(freedom, _PLACES))
