"""What holds for all contestants at once: ranks, every pair, and the chance of being the best.

Ranks. With critical value c, the quantile of the largest |difference| / standard error over all pairs under the fitted
covariance, contestant i is significantly behind those whose difference to it exceeds c standard errors. Its rank then
lies in [1 + significantly better, m - significantly worse], for all contestants at once at the level asked for: M.
Mogstad, J. P. Romano, A. M. Shaikh, D. Wilhelm (2024), "Inference for Ranks with Applications to Mobility across
Neighbourhoods and Academic Achievement across Countries", Review of Economic Studies 91(1). Percentiles of drawn ranks
do not have that property.

Planning. A difference of d is detected with power 1 - b where d / error is at least t(1 - a / 2) + t(1 - b), and the
error falls with the square root of the number of prompts: J. Cohen (1988), "Statistical Power Analysis".
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints, rounded
from judge.stats.cluster_intervals import checked_level, t_quantile

DRAWS = 1000
"""Draws from the fitted covariance, unless told otherwise: a level of 0.95 is then met to within 0.014."""
_PLACES = 6
_SLIGHT = 1e-10
"""Added to each variance, as a share of their mean, so that a covariance of lower rank has a root."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """The ranks that cannot be excluded, int32[m] each, for all contestants at once at *level*.

    *critical* is the critical value, in standard errors of a difference.
    """

    low: Ints
    high: Ints
    level: float
    critical: float


@dataclass(frozen=True, eq=False)
class PairwiseDifferences:
    """Every difference of two contestants, float64[m, m], row less column, each with its own interval."""

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
    """The ranks that cannot be excluded of m *strengths* (float64[m]) with that *covariance* (float64[m, m]).

    *freedom* is the degrees of freedom of the covariance. Raises ValueError for a senseless level.

    >>> found = rank_intervals(np.array([2.0, 0.0, 0.1]), np.eye(3) * 0.01, 60, np.random.default_rng(0))
    >>> found.low.tolist(), found.high.tolist()
    ([1, 2, 2], [1, 3, 3])
    """
    errors = difference_errors(covariance)
    most = np.sort(_largest(covariance, errors, freedom, rng, draws))
    at = min(int(np.ceil((draws + 1) * checked_level(level))), draws) - 1
    critical = float(most[at])
    ahead = np.subtract.outer(strengths, strengths) > critical * errors
    m = strengths.size
    low, high = 1 + ahead.sum(axis=0), m - ahead.sum(axis=1)
    return Ranks(low.astype(np.int32), high.astype(np.int32), level, critical)


def probability_best(
    strengths: Floats, covariance: Floats, freedom: int, rng: np.random.Generator, draws: int = DRAWS
) -> Floats:
    """The share of draws in which each of the m contestants has the largest strength: float64[m], summing to 1.

    >>> found = probability_best(np.array([1.0, 0.0]), np.eye(2) * 0.1, 79, np.random.default_rng(0))
    >>> bool(found[0] > 0.97), float(found.sum())
    (True, 1.0)
    """
    found = strengths + _strengths_drawn(covariance, freedom, rng, draws)
    return np.bincount(found.argmax(axis=1), minlength=strengths.size) / draws


def pairs(
    strengths: Floats, covariance: Floats, freedom: int, scale: float, level: float = 0.95
) -> PairwiseDifferences:
    """Every difference between two contestants in units of *scale* log strengths, with intervals of its own each.

    The intervals are not adjusted for their number. Raises ValueError for a senseless level.

    >>> found = pairs(np.array([1.0, 0.0]), np.eye(2) * 0.02, 79, 100.0)
    >>> found.difference.tolist(), found.standard_error.round(1).tolist()
    ([[0.0, 100.0], [-100.0, 0.0]], [[0.0, 20.0], [20.0, 0.0]])
    """
    difference = scale * np.subtract.outer(strengths, strengths)
    error = scale * difference_errors(covariance)
    half = t_quantile(level, freedom + 1) * error
    columns = (difference, difference - half, difference + half, error)
    return PairwiseDifferences(*(rounded(column, _PLACES) for column in columns))


def difference_errors(covariance: Floats) -> Floats:
    """The standard error of every difference, float64[m, m].

    >>> difference_errors(np.eye(2) * 2.0).tolist()
    [[0.0, 2.0], [2.0, 0.0]]
    """
    diagonal = covariance.diagonal()
    variance = np.add.outer(diagonal, diagonal) - 2 * covariance
    np.fill_diagonal(variance, 0)
    errors: Floats = np.sqrt(np.maximum(variance, 0))
    return errors


def detectable(error: float, clusters: int, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest true difference that an interval of *level* would exclude 0 for with that *power*.

    *error* is the standard error of the difference, over so many *clusters* (prompts); the result has its unit.

    >>> round(detectable(10.0, 80), 1)
    28.4
    """
    return error * (t_quantile(level, clusters) + t_quantile(2 * checked_level(power) - 1, clusters))


def prompts_needed(error: float, clusters: int, difference: float, level: float = 0.95, power: float = 0.8) -> int:
    """How many prompts of the same mix it takes to detect a *difference* with that *power*.

    *error* is the standard error of the difference now, over so many *clusters*. Raises ValueError unless the
    difference is positive.

    >>> prompts_needed(10.0, 80, 14.2)
    320
    """
    if not difference > 0:
        raise ValueError(f"A difference to be detected is more than 0, and not {difference}.")
    return max(2, int(np.ceil(round(clusters * (detectable(error, clusters, level, power) / difference) ** 2, 6))))


def drawn(covariance: Floats, freedom: int, rng: np.random.Generator, draws: int) -> Floats:
    """Draws of a multivariate t with mean 0 and that *covariance* of its normal part, float64[draws, k].

    Cholesky's root moves with the covariance no further than rounding does, unlike eigenvectors: other kernels of the
    same machine draw the same.

    >>> drawn(np.eye(2), 79, np.random.default_rng(0), 5).shape
    (5, 2)
    """
    k = covariance.shape[0]
    slight = _SLIGHT * float(covariance.trace()) / max(k, 1) or 1.0
    root = np.linalg.cholesky(covariance + slight * np.eye(k))
    wide = np.sqrt(freedom / rng.chisquare(freedom, draws))
    found: Floats = (rng.standard_normal((draws, k)) @ root.T) * wide[:, None]
    return found


def _strengths_drawn(covariance: Floats, freedom: int, rng: np.random.Generator, draws: int) -> Floats:
    """Draws of strengths up to what all of them have in common, which makes their covariance, of rank m - 1, whole."""
    return drawn(covariance + covariance.diagonal().mean(), freedom, rng, draws)


def _largest(covariance: Floats, errors: Floats, freedom: int, rng: np.random.Generator, draws: int) -> Floats:
    """Of each draw, the largest |difference| in standard errors over all pairs: float64[draws]."""
    found = _strengths_drawn(covariance, freedom, rng, draws).T.astype(np.float32)
    m = len(found)
    most = np.zeros(draws, dtype=np.float32)
    with np.errstate(divide="ignore"):
        scale = np.where(errors > 0, 1 / errors, 0).astype(np.float32)
    for i in range(m - 1):
        spread = np.abs(found[i + 1 :] - found[i])
        spread *= scale[i, i + 1 :, None]
        np.maximum(most, spread.max(axis=0), out=most)
    return most.astype(np.float64)
