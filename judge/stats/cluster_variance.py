"""The variance of a figure over prompts of unequal size, and how well that variance is known.

A figure is v = sum of y / sum of d over G prompts (clusters), d_g being the weight of a prompt, N their sum and
h_g = d_g / N the *leverage*. The residuals r_g = (y_g - v d_g) / N vary less than their prompts do, because v follows
a large prompt. CR2 corrects this: V0 = sum of r_g^2 / (1 - h_g).

How V0 is distributed depends on the variances g of the prompts, which are not known. The working model has them grow
with size: g = Q (e + rho (d^2 - e)) / N^2, where Q is the variance of a row, e is the sum of the squared weights of a
prompt's rows (its number of rows without weights), and rho, from 0 to 1, is how alike the rows of a prompt are. rho is
estimated from V0's terms. With fewer than 5 effective prompts they do not tell rho, which is then 1. Under the model,
the corrected residuals have the covariance

    C = w (diag(g) - h g' - g h' + s h h') w,    w = diag(1 - h)^-1/2,    s = sum of g,

so V0 is a weighted sum of squared normals, whose weights are the eigenvalues of C. V = V0 s / tr C has the expectation
s, S2 = tr CC / (tr C)^2 and S3 = tr CCC / (tr C)^3 give the critical value (see `critical_values`), and 1 / S2 are
Satterthwaite's degrees of freedom. With prompts of one size V is G / (G - 1) times the sum of r^2, and 1 / S2 = G - 1,
whatever rho is. tr CCC is approximated from the diagonal of C.

R. M. Bell, D. F. McCaffrey (2002), Survey Methodology 28(2); J. E. Pustejovsky, E. Tipton (2018), Journal of Business
and Economic Statistics 36(4); G. W. Imbens, M. Kolesár (2016), Review of Economics and Statistics 98(4).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.critical_values import critical_value

FEWEST_EFFECTIVE = 5
"""With fewer effective prompts, the rows of a prompt count as alike."""

_SMALL = 1e-5
"""The share of a table that is added to a cell to see its influence."""

_LEAST_RHO = 0.02
"""The rho of the weights with which rho is estimated is at least this."""


@dataclass(frozen=True)
class ClusterVariance:
    """The *variance* of a figure, with the moments *s2* and *s3* of its estimate (see `critical_values`)."""

    variance: float
    s2: float
    s3: float

    def critical_value(self, level: float) -> float:
        """Half the width, in standard errors, of a two-sided interval of *level*.

        >>> round(ClusterVariance(variance=1.0, s2=1 / 9, s3=1 / 81).critical_value(0.95), 3)
        2.262
        """
        return float(critical_value(level, np.array(self.s2), np.array(self.s3)))


def effective(weight: Floats) -> float:
    """The effective number of clusters of unequal *weight* (float64[G]): (sum d)^2 / sum d^2.

    L. Kish (1965), "Survey Sampling", section 11.7.

    >>> effective(np.array([1.0, 1.0, 2.0]))
    2.6666666666666665
    """
    return float(weight.sum() ** 2 / (weight @ weight))


@dataclass(frozen=True, eq=False)
class ClusterSums:
    """What the variance of a ratio is computed from, by cluster.

    *residual* is y - v d, float64[G], in the units of y; *weight* is d, float64[G], positive. *row_variance* is Q, the
    mean squared residual of a row of weight 1. *squares* is e, float64[G], the sum of the squared weights of the rows;
    None stands for rows of weight 1, for which it is the weight.
    """

    residual: Floats
    weight: Floats
    row_variance: float
    squares: Floats | None = None

    @property
    def independent(self) -> Floats:
        """The variance of each cluster, in units of Q, if rows were independent: float64[G]."""
        return self.weight if self.squares is None else self.squares


def share_sums(counted: Floats, of: Floats) -> ClusterSums:
    """The sums of a share of rows, of which *counted* of so many (*of*) have it in each cluster: float64[G] each.

    >>> share_sums(np.array([1.0, 3.0]), np.array([4.0, 4.0])).residual.tolist()
    [-1.0, 1.0]
    """
    value = float(counted.sum() / of.sum())
    return ClusterSums(residual=counted - value * of, weight=of, row_variance=value * (1 - value))


def cluster_variance(sums: ClusterSums) -> ClusterVariance:
    """The variance of the ratio of two sums over clusters.

    >>> result = cluster_variance(share_sums(np.array([1.0, 2.0, 3.0, 4.0, 0.0]), np.full(5, 4.0)))
    >>> round(result.variance, 6), round(1 / result.s2, 6)
    (0.03125, 4.0)
    """
    leverage = sums.weight / sums.weight.sum()
    # A prompt that is alone has leverage 1 and residual 0.
    inflation = np.divide(1.0, 1 - leverage, out=np.zeros_like(leverage), where=leverage < 1)
    terms = np.square(sums.residual) * inflation
    alike = np.maximum(np.square(sums.weight) - sums.independent, 0.0)
    few = effective(sums.weight) < FEWEST_EFFECTIVE
    rho = 1.0 if few else _rho(terms, sums.independent, alike, sums.row_variance)
    shape = sums.independent + rho * alike
    ratio, s2, s3 = _moments(shape / shape.sum(), leverage, inflation)
    return ClusterVariance(variance=float(terms.sum()) / float(sums.weight.sum()) ** 2 * ratio, s2=s2, s3=s3)


def row_bounded_variance(sums: ClusterSums) -> ClusterVariance:
    """The same as `cluster_variance`, for figures of rows between two bounds: limited by what the rows can vary.

    At least as if all rows were independent, and at most as if those of a cluster were all alike.

    >>> row_bounded_variance(share_sums(np.full(5, 2.0), np.full(5, 4.0))).variance
    0.0125
    """
    result = cluster_variance(sums)
    least = sums.row_variance * float(sums.independent.sum()) / float(sums.weight.sum()) ** 2
    most = sums.row_variance / effective(sums.weight)
    return replace(result, variance=min(max(result.variance, least), most))


def jackknife_variance(
    change: Floats, weight: Floats, total: Floats, statistic: Callable[[Floats], Floats]
) -> ClusterVariance:
    """The variance of a *statistic* of the table *total* from its *change* without each cluster, float64[G].

    *weight*, float64[G], is how much of *total* each cluster has. *statistic* maps float64[k, ...] to float64[k].

    >>> tables = np.array([[3.0, 1.0], [2.0, 2.0], [4.0, 0.0], [1.0, 3.0], [5.0, 3.0]])
    >>> share = lambda table: table[:, 0] / table.sum(axis=1)
    >>> total, weight = tables.sum(axis=0), tables.sum(axis=1)
    >>> result = jackknife_variance(share(total[None]) - share(total - tables), weight, total, share)
    >>> same = cluster_variance(share_sums(tables[:, 0], weight))
    >>> round(result.variance / same.variance, 6)
    1.0
    """
    # Leaving out a cluster of leverage h changes a ratio by its residual divided by (1 - h).
    residual = change * (weight.sum() - weight)
    return cluster_variance(
        ClusterSums(residual=residual, weight=weight, row_variance=_cell_variance(total, statistic))
    )


def _cell_variance(total: Floats, statistic: Callable[[Floats], Floats]) -> float:
    """The mean squared influence of a single count on *statistic*, over the counts of the table *total*."""
    counts, n = total.ravel(), float(total.sum())
    cells = np.flatnonzero(counts)
    more = np.tile(counts, (cells.size + 1, 1))
    more[np.arange(cells.size), cells] += n * _SMALL
    values = statistic(more.reshape(-1, *total.shape))
    return float(np.square((values[:-1] - values[-1]) / _SMALL) @ counts[cells] / n)


def _rho(terms: Floats, squares: Floats, alike: Floats, row_variance: float) -> float:
    """How alike the rows of a cluster are, by moments weighted with the model's own variances."""
    if row_variance <= 0 or not alike.any():
        return 0.0
    excess = terms / row_variance - squares
    first = max(float(excess.sum() / alike.sum()), _LEAST_RHO)
    precision = (squares + first * alike) ** -2.0
    return float(np.clip((precision * excess) @ alike / ((precision * alike) @ alike), 0.0, 1.0))


def _moments(shape: Floats, leverage: Floats, inflation: Floats) -> tuple[float, float, float]:
    """The ratio s / tr C, S2 and S3 for cluster variances of a *shape* that sums to 1. C is never formed."""
    diagonal = inflation * (shape * (1 - 2 * leverage) + np.square(leverage))
    trace = float(diagonal.sum())
    d, p, q = inflation * shape, np.sqrt(inflation) * leverage, np.sqrt(inflation) * shape
    pp, pq, qq = float(p @ p), float(p @ q), float(q @ q)
    squared = float(d @ d + 2 * d @ (p * p - 2 * p * q)) + 2 * (pp * qq + pq * pq) - 4 * pp * pq + pp * pp
    cubed = float((diagonal**3).sum()) * (squared / float(diagonal @ diagonal)) ** 2
    return 1 / trace, squared / trace**2, cubed / trace**3
