"""The probability of being the best, after shrinking the strengths for having been selected.

The contestant with the largest estimate is partly where it is by luck, so draws around the estimates make it the best
too often. Here the true strengths are taken to come from one normal distribution (the contestants are exchangeable),
and the estimates to be normal around them with their covariance S. Given the variance A of the truth, the posterior is
normal with mean A (A + S)^-1 y and covariance A S (A + S)^-1, where y are the strengths around their mean: B. Efron, C.
Morris (1973), "Stein's Estimation Rule and Its Competitors", Journal of the American Statistical Association 68(341).

A is where y' (A + S)^-1 y equals its expectation m - 1: R. C. Paule, J. Mandel (1982), "Consensus Values and Weighting
Factors", Journal of Research of the National Bureau of Standards 87(5). Where the strengths vary no more than their
errors do, A is 0, and everybody is the best with the same probability.
"""

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.simultaneous import draw_multivariate_normal

DRAWS = 2000
"""The default number of draws: a probability is exact to within 0.022."""
_STEPS = 100
_SETTLED = 1e-12
_SLIGHT = 1e-12
"""A smaller error, as a share of the largest, is a rounding error of zero."""


def probability_best(
    strengths: Floats, covariance: Floats, freedom: float | Floats, rng: np.random.Generator, draws: int = DRAWS
) -> Floats:
    """The probability that each of m contestants has the largest true strength: float64[m], summing to 1.

    *strengths* is float64[m], *covariance* float64[m, m], and *freedom* the degrees of freedom of its variances: one
    number, or one for each contestant. A contestant whose variance is NaN is left out and gets NaN.

    >>> clear = probability_best(np.array([1.0, 0.0]), np.eye(2) * 0.01, 79, np.random.default_rng(0))
    >>> bool(clear[0] > 0.99), float(clear.sum())
    (True, 1.0)
    >>> probability_best(np.array([0.1, 0.0, -0.1]), np.eye(3), 79, np.random.default_rng(0)).round(3).tolist()
    [0.333, 0.333, 0.333]
    """
    probability = np.full(strengths.size, np.nan)
    known = np.flatnonzero(np.isfinite(covariance.diagonal()))
    m = known.size
    if not m:
        return probability
    centered = strengths[known] - strengths[known].mean()
    errors = _centered(covariance[np.ix_(known, known)])
    variance = variance_of_strengths(centered, errors)
    if variance == 0:
        probability[known] = 1 / m
        return probability
    shrinkage = np.linalg.solve(variance * np.eye(m) + errors, variance * np.eye(m))
    spread = shrinkage @ errors
    # A common shift, which is taken out again, makes the covariance, of rank m - 1, positive definite.
    spread = (spread + spread.T) / 2 + spread.diagonal().mean()
    normal = draw_multivariate_normal(spread, rng, draws)
    degrees = np.broadcast_to(freedom, strengths.shape)[known]
    wide = np.sqrt(degrees / rng.chisquare(degrees, normal.shape))
    drawn = shrinkage @ centered + (normal - normal.mean(axis=1, keepdims=True)) * wide
    probability[known] = np.bincount(drawn.argmax(axis=1), minlength=m) / draws
    return probability


def variance_of_strengths(strengths: Floats, covariance: Floats) -> float:
    """The variance of m true strengths around their mean, 0 or more. *covariance* is that of the estimates.

    >>> round(variance_of_strengths(np.array([2.0, 0.0, -2.0]), np.eye(3)), 6)
    3.0
    """
    errors, axes = np.linalg.eigh(_centered(covariance))
    # One axis is that of the sum of the strengths, which is 0. It adds nothing to the squares.
    dimensions = max(strengths.size - 1, 1)
    errors = np.maximum(errors, _SLIGHT * errors[-1])
    squares = np.square(axes.T @ (strengths - strengths.mean()))
    if not errors.all():
        return float(squares.sum() / dimensions)
    variance = 0.0
    if (squares / errors).sum() <= dimensions:
        return variance
    for _ in range(_STEPS):
        # The sum falls and is convex in the variance, so that Newton's steps from 0 approach its root from below.
        weighted = squares / (variance + errors)
        step = (weighted.sum() - dimensions) / (weighted / (variance + errors)).sum()
        variance += step
        if step <= _SETTLED * variance:
            break
    return float(variance)


def _centered(covariance: Floats) -> Floats:
    """The covariance of the differences to the mean."""
    rows = covariance - covariance.mean(axis=0)
    centered: Floats = rows - rows.mean(axis=1)[:, None]
    return centered
