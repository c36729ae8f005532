"""How sure one may be of a figure computed over prompts, when the question is about new prompts of the same mix.

Rows of one prompt are not independent, so prompts (the clusters) are what is counted: G of them.

- From 40 prompts on: the linearised ("sandwich") variance times G / (G - 1), with Student's t of G - 1 degrees.
- From 5 to 39: the delete-one-prompt jackknife, (G - 1) / G times the summed squared changes, with the same t.
- Below 5: no interval, and the method says so.

A. C. Cameron, D. L. Miller (2015), "A Practitioner's Guide to Cluster-Robust Inference", Journal of Human Resources
50(2): CR1 and CR3. W. G. Cochran (1977), "Sampling Techniques", chapters 6 and 9A: the ratio estimator.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.cancellation import go_on

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
"""How many draws are held at once: 8 MB."""
_KEPT = 8
"""For how many numbers of clusters draws are kept."""

_NOTHING = 1e-24
"""A variance that is zero but for rounding."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its doubt.

    *value* is None where there is nothing to compute it from; *low*, *high* and *standard_error* are None where
    *method* begins with "none: ", followed by why. *n* counts rows and *clusters* the prompts they come from.
    """

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    method: str
    level: float
    n: int
    clusters: int


def method_for(clusters: int) -> str:
    """The name of the interval method that so many *clusters* allow, or "none: ..." with the reason.

    >>> method_for(80), method_for(20), method_for(4)
    ('sandwich-cr1-t', 'jackknife-cr3-t', 'none: 4 prompts, at least 5 are needed')
    """
    if clusters >= FEWEST_FOR_SANDWICH:
        return SANDWICH
    return JACKKNIFE if clusters >= FEWEST else f"none: {clusters} prompts, at least {FEWEST} are needed"


def t_quantile(level: float, clusters: int) -> float:
    """Half the width, in standard errors, of a two-sided interval of *level* over so many *clusters*: t of G - 1.

    Raises ValueError where the level is not between 0 and 1.

    >>> round(t_quantile(0.95, 80), 4)
    1.9905
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a slow import, needed only here

    return float(stdtrit(clusters - 1, (1 + checked_level(level)) / 2))


def checked_level(level: float) -> float:
    """The *level* of an interval. Raises ValueError unless it lies strictly between 0 and 1.

    >>> checked_level(0.95)
    0.95
    """
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, and is not {level}.")
    return level


def ratio(
    numerator: Floats,
    denominator: Floats,
    cluster: Ints | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The ratio of the sums of two columns, with its interval over clusters.

    *numerator* and *denominator* (not negative) are float64[n], *cluster* int32[n], or None where each row is its own.
    Rows with a zero denominator do not count. With *bounds* the interval is cut to them; and a share that sits on a
    bound in every prompt gets the exact binomial interval over prompts (C. J. Clopper, E. S. Pearson (1934), Biometrika
    26(4)) in place of one of no width. Where prompts do not differ otherwise there is none. Without rows the value is
    None.

    >>> found = ratio(np.arange(50.0), np.full(50, 10.0))
    >>> found.value, found.method
    (2.45, 'sandwich-cr1-t')
    """
    used = denominator > 0
    n = int(np.count_nonzero(used))
    top, bottom = _sums(numerator, cluster, used), _sums(denominator, cluster, used)
    top, bottom = top[bottom > 0], bottom[bottom > 0]
    clusters = bottom.size
    checked_level(level)
    if n == 0:
        return Estimate(None, None, None, None, "none: there is nothing to count", level, 0, 0)
    value = float(top.sum() / bottom.sum())
    method = method_for(clusters)
    if method == SANDWICH:
        residual = (top - value * bottom) / bottom.sum()
        variance = clusters / (clusters - 1) * float(residual @ residual)
    elif method == JACKKNIFE:
        without = (top.sum() - top) / (bottom.sum() - bottom)
        variance = (clusters - 1) / clusters * float(np.square(without - value).sum())
    else:
        return Estimate(round(value, _PLACES), None, None, None, method, level, n, clusters)
    if bounds is not None and variance <= _NOTHING and value in bounds:
        return _exact(value, bounds, level, n, clusters)
    if variance <= _NOTHING:
        return Estimate(round(value, _PLACES), None, None, None, ALIKE, level, n, clusters)
    return estimate(value, variance, method, level, n, clusters, bounds)


def mean(
    values: Floats,
    cluster: Ints | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The mean of *values* (float64[n]), with its interval over clusters: the `ratio` to a column of ones.

    >>> found = mean(np.tile([0.0, 1.0, 1.0], 20), np.repeat(np.arange(30, dtype=np.int32), 2))
    >>> found.value, found.clusters, found.method
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
    """A function of summed tables, with its delete-one-cluster jackknife interval at any number of clusters from 5.

    *sums* is float64[G, ...], one table per cluster. *statistic* takes tables float64[k, ...] and gives float64[k], NaN
    where a table does not determine it. *n* is passed on. The value is None where the whole does not determine it;
    there is no interval where some table without one cluster does not, or where it is the same without any of them.

    >>> found = jackknife(np.arange(1.0, 9.0)[:, None], lambda tables: tables[:, 0] ** 2)
    >>> found.value, found.clusters, found.method
    (1296.0, 8, 'jackknife-cr3-t')
    """
    checked_level(level)
    clusters = sums.shape[0]
    total = sums.sum(axis=0, keepdims=True)
    value = float(statistic(total)[0])
    method = method_for(clusters)
    if np.isnan(value):
        return Estimate(None, None, None, None, "none: the figure is not determined", level, n, clusters)
    if method.startswith("none"):
        return Estimate(round(value, _PLACES), None, None, None, method, level, n, clusters)
    without = statistic(total - sums)
    variance = (clusters - 1) / clusters * float(np.square(without - value).sum())
    if np.isnan(variance):
        method = "none: without one of the prompts the figure is not determined"
    elif variance <= _NOTHING:
        method = "none: the figure is the same without any one of the prompts"
    else:
        return estimate(value, variance, JACKKNIFE, level, n, clusters, bounds)
    return Estimate(round(value, _PLACES), None, None, None, method, level, n, clusters)


@dataclass(eq=False)
class Resamples:
    """How often clusters are drawn in each of so many *replicates*: for G clusters always the same draws by *seed*.

    Those of few clusters are kept, as a report draws them again for every figure.
    """

    seed: int
    replicates: int
    _kept: dict[int, Floats] = field(default_factory=dict, init=False, repr=False)

    def of(self, clusters: int) -> Iterator[Floats]:
        """The draws of so many *clusters*, float64[k, *clusters*], some replicates at a time.

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
            many = min(size, self.replicates - start)
            block = rng.multinomial(clusters, chances, many).astype(np.float64)
            if many == self.replicates and len(self._kept) < _KEPT:
                self._kept[clusters] = block
            yield block


def resampled(
    sums: Floats,
    statistic: Callable[[Floats], Floats],
    level: float = 0.95,
    n: int = 0,
    bounds: tuple[float, float] | None = None,
    *,
    resamples: "Resamples",
    percentile: bool = False,
) -> Estimate:
    """The same with the interval of a bootstrap over clusters: its standard error times sqrt(G / (G - 1)) with t.

    With *percentile* the quantiles of the replicates, which are too narrow with few clusters. *resamples* says how
    often each cluster is drawn. Those that do not determine the figure are left out; there is no interval where they
    are more than one of a hundred.

    >>> resamples = Resamples(0, 2000)
    >>> found = resampled(np.arange(1.0, 9.0)[:, None], lambda tables: tables[:, 0] ** 2, resamples=resamples)
    >>> found.value, found.clusters, found.method
    (1296.0, 8, 'bootstrap-se-t')
    """
    checked_level(level)
    clusters = sums.shape[0]
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    if np.isnan(value):
        return Estimate(None, None, None, None, "none: the figure is not determined", level, n, clusters)
    if clusters < FEWEST:
        return Estimate(round(value, _PLACES), None, None, None, method_for(clusters), level, n, clusters)
    flat = sums.reshape(clusters, -1)
    tables = np.concatenate([drawn @ flat for drawn in resamples.of(clusters)])
    again = statistic(tables.reshape(-1, *sums.shape[1:]))
    method = "none: the figure is not determined in more than 1 % of resamples"
    return replicated(
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


def replicated(
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
    """A *value* with the interval that its replicates give: *again*, float64[k], of *drawn* resamples of clusters.

    Where more than one of a hundred are missing there is no interval, and *undetermined* says why.

    >>> replicated(1.0, np.linspace(0, 2, 101), 101, 0.9, 9, 50, percentile=True, undetermined="none: so it is").low
    0.1
    """
    if again.size < (1 - _MOST_UNDETERMINED) * drawn:
        return Estimate(round(value, _PLACES), None, None, None, undetermined, level, n, clusters)
    variance = float(again.var(ddof=1)) * clusters / (clusters - 1)
    if not percentile:
        return estimate(value, variance, BOOTSTRAP, level, n, clusters, bounds)
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2]).tolist()
    value, low, high, error = (round(figure, _PLACES) + 0.0 for figure in (value, low, high, variance**0.5))
    return Estimate(value, low, high, error, PERCENTILE, level, n, clusters)


def estimate(
    value: float,
    variance: float,
    method: str,
    level: float,
    n: int,
    clusters: int,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The `Estimate` of a *value* with that *variance* over so many *clusters*: by t of G - 1, cut to *bounds*.

    >>> found = estimate(0.5, 0.01, "by hand", 0.95, 100, 80)
    >>> found.low, found.high
    (0.300954979, 0.699045021)
    """
    error = variance**0.5
    low, high = (value + sign * t_quantile(level, clusters) * error for sign in (-1, 1))
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    low, high, value, error = (round(figure, _PLACES) + 0.0 for figure in (low, high, value, error))
    return Estimate(value, low, high, error, method, level, n, clusters)


def _sums(column: Floats, cluster: Ints | None, used: Flags) -> Floats:
    if cluster is None:
        return column[used]
    return sums(cluster[used], column[used])


def _exact(value: float, bounds: tuple[float, float], level: float, n: int, clusters: int) -> Estimate:
    from_bound = (bounds[1] - bounds[0]) * (1 - ((1 - level) / 2) ** (1 / clusters))
    low, high = (value, value + from_bound) if value == bounds[0] else (value - from_bound, value)
    return Estimate(value, round(low, _PLACES), round(high, _PLACES), None, EXACT, level, n, clusters)
