"""Inference on all contestants at once: ranks and all pairs.

Ranks. Each pair has a critical value of its own, such that the differences of all pairs hold together by Bonferroni.
Contestant i is significantly behind those whose difference to it exceeds that many standard errors. Its rank then lies
in [1 + significantly better, m - significantly worse], for all contestants at once at the requested level: M. Mogstad,
J. P. Romano, A. M. Shaikh, D. Wilhelm (2024), "Inference for Ranks with Applications to Mobility across Neighbourhoods
and Academic Achievement across Countries", Review of Economic Studies 91(1). Percentiles of ranks in draws do not have
that property, and a critical value from draws from the fitted covariance does not hold for many contestants on few
prompts.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints, round_to
from judge.stats.errors import StatisticsError
from judge.stats.standard_errors import StandardErrors

DRAWS = 1000
"""The default number of draws from the fitted covariance: a level of 0.95 is met to within 0.014."""
_PLACES = 6
_SLIGHT = 1e-10
"""Added to each variance, as a share of their mean, so that a covariance of lower rank has a Cholesky root."""
_EQUAL = 5e-9
"""Smaller differences of log strengths are rounding errors: a millionth of a rating point."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """The best (*low*) and worst (*high*) ranks that cannot be excluded, int32[m] each, at *level* for all at once."""

    low: Ints
    high: Ints
    level: float


@dataclass(frozen=True, eq=False)
class PairwiseDifferences:
    """The differences of all pairs of contestants, float64[m, m], row minus column, each with its own interval."""

    difference: Floats
    low: Floats
    high: Floats
    standard_error: Floats


def rank_intervals(strengths: Floats, errors: StandardErrors, level: float = 0.95) -> Ranks:
    """The ranks that cannot be excluded for m *strengths* (float64[m]), by the *errors* of their differences, [m, m].

    A pair without a standard error is not counted, and neither of the two can be excluded to be better. Raises
    StatisticsError for a level outside 0 to 1.

    >>> errors = StandardErrors.of_t(np.full((3, 3), 0.1), 60)
    >>> ranks = rank_intervals(np.array([2.0, 0.0, 0.1]), errors)
    >>> ranks.low.tolist(), ranks.high.tolist()
    ([1, 2, 2], [1, 3, 3])
    """
    m = strengths.size
    first, second = np.triu_indices(m, 1)
    of_pairs = errors.at((first, second))
    half = np.full((m, m), np.inf)
    half[first, second] = of_pairs.simultaneous_half_width(level, int(np.isfinite(of_pairs.error).sum()))
    half[second, first] = half[first, second]
    ahead = np.subtract.outer(strengths, strengths) > np.maximum(half, _EQUAL)
    low, high = 1 + ahead.sum(axis=0), m - ahead.sum(axis=1)
    return Ranks(low=low.astype(np.int32), high=high.astype(np.int32), level=level)


def pairs(strengths: Floats, errors: StandardErrors, scale: float, level: float = 0.95) -> PairwiseDifferences:
    """The differences of all pairs of contestants, each with its own interval.

    They are differences of *strengths* (float64[m]), with standard *errors* ([m, m]), times *scale*. The intervals are
    not adjusted for their number, and NaN without a standard error. Raises StatisticsError for a level outside 0 to 1.

    >>> differences = pairs(np.array([1.0, 0.0]), StandardErrors.of_t(np.full((2, 2), 0.2), 79), 100.0)
    >>> differences.difference.tolist(), differences.standard_error.round(1).tolist()
    ([[0.0, 100.0], [-100.0, 0.0]], [[0.0, 20.0], [20.0, 0.0]])
    """
    difference = scale * np.subtract.outer(strengths, strengths)
    scaled = errors.scaled(scale)
    np.fill_diagonal(scaled.error, 0)
    half = scaled.half_width(level)
    np.fill_diagonal(half, 0)
    columns = (difference, difference - half, difference + half, scaled.error)
    return PairwiseDifferences(*(round_to(column, _PLACES) for column in columns))


def draw_multivariate_t(covariance: Floats, freedom: float, rng: np.random.Generator, draws: int) -> Floats:
    """Draw from a multivariate t with mean 0: float64[draws, k].

    *covariance* is float64[k, k], that of the normal part.

    >>> draw_multivariate_t(np.eye(2), 79, np.random.default_rng(0), 5).shape
    (5, 2)
    """
    wide = np.sqrt(freedom / rng.chisquare(freedom, draws))
    result: Floats = draw_multivariate_normal(covariance, rng, draws) * wide[:, None]
    return result


def draw_multivariate_normal(covariance: Floats, rng: np.random.Generator, draws: int) -> Floats:
    """Draw from a multivariate normal with mean 0 and a *covariance* (float64[k, k]): float64[draws, k].

    A Cholesky root, unlike eigenvectors, is not sensitive to rounding, so different linear algebra kernels draw the
    same.

    >>> draw_multivariate_normal(np.eye(2), np.random.default_rng(0), 5).shape
    (5, 2)
    """
    k = covariance.shape[0]
    slight = _SLIGHT * float(covariance.trace()) / max(k, 1) or 1.0
    try:
        root = np.linalg.cholesky(covariance + slight * np.eye(k))
    except np.linalg.LinAlgError:
        raise StatisticsError("The covariance of the contestants is not that of a distribution.") from None
    result: Floats = rng.standard_normal((draws, k)) @ root.T
    return result
