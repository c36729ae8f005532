"""Inference on all contestants at once: ranks and all pairs.

Ranks. With critical value c, the quantile of the largest |difference| / standard error over all pairs under the fitted
covariance, contestant i is significantly behind those whose difference to it exceeds c standard errors. Its rank then
lies in [1 + significantly better, m - significantly worse], for all contestants at once at the requested level: M.
Mogstad, J. P. Romano, A. M. Shaikh, D. Wilhelm (2024), "Inference for Ranks with Applications to Mobility across
Neighbourhoods and Academic Achievement across Countries", Review of Economic Studies 91(1). Percentiles of ranks in
draws do not have that property.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints, round_to
from judge.stats.cluster_intervals import check_level, t_quantile

DRAWS = 1000
"""The default number of draws from the fitted covariance: a level of 0.95 is met to within 0.014."""
_PLACES = 6
_SLIGHT = 1e-10
"""Added to each variance, as a share of their mean, so that a covariance of lower rank has a Cholesky root."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """The best (*low*) and worst (*high*) ranks that cannot be excluded, int32[m] each, at *level* for all at once.

    *critical* is the critical value, in standard errors of a difference.
    """

    low: Ints
    high: Ints
    level: float
    critical: float


@dataclass(frozen=True, eq=False)
class PairwiseDifferences:
    """The differences of all pairs of contestants, float64[m, m], row minus column, each with its own interval."""

    difference: Floats
    low: Floats
    high: Floats
    standard_error: Floats


def rank_intervals(
    strengths: Floats,
    covariance: Floats,
    freedom: int,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = DRAWS,
) -> Ranks:
    """The ranks that cannot be excluded for m *strengths* (float64[m]) with a *covariance* (float64[m, m]).

    *freedom* is the degrees of freedom of the covariance. Raises StatisticsError for a level outside 0 to 1.

    >>> ranks = rank_intervals(np.array([2.0, 0.0, 0.1]), np.eye(3) * 0.01, 60, np.random.default_rng(0))
    >>> ranks.low.tolist(), ranks.high.tolist()
    ([1, 2, 2], [1, 3, 3])
    """
    errors = difference_errors(covariance)
    most = np.sort(_largest(covariance, errors, freedom, rng, draws))
    at = min(int(np.ceil((draws + 1) * check_level(level))), draws) - 1
    critical = float(most[at])
    ahead = np.subtract.outer(strengths, strengths) > critical * errors
    m = strengths.size
    low, high = 1 + ahead.sum(axis=0), m - ahead.sum(axis=1)
    return Ranks(low=low.astype(np.int32), high=high.astype(np.int32), level=level, critical=critical)


def pairs(
    strengths: Floats, covariance: Floats, freedom: int, scale: float, level: float = 0.95
) -> PairwiseDifferences:
    """The differences of all pairs of contestants, each with its own interval.

    The differences are log strengths times *scale*. The intervals are not adjusted for their number. Raises
    StatisticsError for a level outside 0 to 1.

    >>> differences = pairs(np.array([1.0, 0.0]), np.eye(2) * 0.02, 79, 100.0)
    >>> differences.difference.tolist(), differences.standard_error.round(1).tolist()
    ([[0.0, 100.0], [-100.0, 0.0]], [[0.0, 20.0], [20.0, 0.0]])
    """
    difference = scale * np.subtract.outer(strengths, strengths)
    error = scale * difference_errors(covariance)
    half = t_quantile(level, freedom + 1) * error
    columns = (difference, difference - half, difference + half, error)
    return PairwiseDifferences(*(round_to(column, _PLACES) for column in columns))


def difference_errors(covariance: Floats) -> Floats:
    """The standard errors of the differences of all pairs, float64[m, m].

    >>> difference_errors(np.eye(2) * 2.0).tolist()
    [[0.0, 2.0], [2.0, 0.0]]
    """
    diagonal = covariance.diagonal()
    variance = np.add.outer(diagonal, diagonal) - 2 * covariance
    np.fill_diagonal(variance, 0)
    errors: Floats = np.sqrt(np.maximum(variance, 0))
    return errors


def draw_multivariate_t(covariance: Floats, freedom: int, rng: np.random.Generator, draws: int) -> Floats:
    """Draw from a multivariate t with mean 0: float64[draws, k].

    *covariance* is float64[k, k], that of the normal part. A Cholesky root, unlike eigenvectors, is not sensitive to
    rounding, so different linear algebra kernels draw the same.

    >>> draw_multivariate_t(np.eye(2), 79, np.random.default_rng(0), 5).shape
    (5, 2)
    """
    k = covariance.shape[0]
    slight = _SLIGHT * float(covariance.trace()) / max(k, 1) or 1.0
    root = np.linalg.cholesky(covariance + slight * np.eye(k))
    wide = np.sqrt(freedom / rng.chisquare(freedom, draws))
    result: Floats = (rng.standard_normal((draws, k)) @ root.T) * wide[:, None]
    return result


def _draw_strengths(covariance: Floats, freedom: int, rng: np.random.Generator, draws: int) -> Floats:
    """Draw strengths up to a common shift, which makes their covariance, of rank m - 1, positive definite."""
    return draw_multivariate_t(covariance + covariance.diagonal().mean(), freedom, rng, draws)


def _largest(covariance: Floats, errors: Floats, freedom: int, rng: np.random.Generator, draws: int) -> Floats:
    """The largest |difference| in standard errors over all pairs in each draw: float64[draws]."""
    strengths = _draw_strengths(covariance, freedom, rng, draws).T.astype(np.float32)
    m = len(strengths)
    most = np.zeros(draws, dtype=np.float32)
    with np.errstate(divide="ignore"):
        scale = np.where(errors > 0, 1 / errors, 0).astype(np.float32)
    for i in range(m - 1):
        spread = np.abs(strengths[i + 1 :] - strengths[i])
        spread *= scale[i, i + 1 :, None]
        np.maximum(most, spread.max(axis=0), out=most)
    return most.astype(np.float64)
