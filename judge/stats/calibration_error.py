"""The expected calibration error, with an interval that holds where there is no error, and its debiased relative.

With g_k the sum over the votes of bin k of right answers (1 or 0) less confidence, divided by all votes, the expected
calibration error is E = sum of |g_k|: M. P. Naeini, G. F. Cooper, M. Hauskrecht (2015), AAAI-15. Noise alone makes E
positive, so its own sampling variance says little.

- The lower end of the interval inverts a test. If the true gaps were f times the observed ones, E would be the sum of
  |f g_k + noise|, where the noise is multivariate t with the covariance of the gaps over prompts and their degrees of
  freedom. The end is f E for the least f, from 0 to 1, that gives an error as large as the observed one with a
  probability of (1 - level) / 2. It is 0 for a judge whose error could be noise.
- The upper end is that of a mean, of the errors right less confidence with the signs of their bins' gaps.

The root mean square error, debiased, is sqrt(sum of (g_k^2 - V_k) / w_k), where w_k is the share of votes in the bin
and V_k the variance of g_k: J. Broecker (2012), Climate Dynamics 39(3/4); A. Kumar, P. Liang, T. Ma (2019), NeurIPS.
"""

from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.cluster_intervals import FEWEST, Estimate, mean
from judge.stats.cluster_variance import ClusterSums, cluster_variance

INVERTED = "inverted-test"

_DRAWS = 2000
_STEPS = 16
"""How often the factor f is halved: it is right to 1/65,000."""
_PLACES = 9
_NOTHING = 1e-300


@dataclass(frozen=True, eq=False)
class BinErrors:
    """The *error* of each vote, right (1 or 0) less the confidence, float64[n]; its bin, *step*, and its *cluster*.

    *step* and *cluster* are codes without gaps, int32[n].
    """

    error: Floats
    step: Ints
    cluster: Ints

    @property
    def gaps(self) -> Floats:
        """The sums of errors by cluster and bin: float64[G, k]."""
        k = int(self.step.max()) + 1
        cell = self.cluster.astype(np.int64) * k + self.step
        return sums(cell, self.error, (int(self.cluster.max()) + 1) * k).reshape(-1, k)


def calibration_error(errors: BinErrors, rng: np.random.Generator, level: float = 0.95) -> Estimate:
    """The expected calibration error, with its interval, for which *rng* draws noise.

    >>> cluster = np.repeat(np.arange(40, dtype=np.int32), 2)
    >>> errors = BinErrors(np.tile([0.3, -0.7, -0.3, 0.7], 20), np.zeros(80, dtype=np.int32), cluster)
    >>> result = calibration_error(errors, np.random.default_rng(0))
    >>> result.value, result.low
    (0.0, 0.0)
    """
    gap = errors.gaps.sum(axis=0)
    # The sum of the gaps' absolute values is the mean of the errors with their bins' signs.
    estimate = mean(errors.error * np.where(gap < 0, -1.0, 1.0)[errors.step], errors.cluster, level, (-1.0, 1.0))
    if estimate.low is None or estimate.value is None or estimate.standard_error is None:
        return estimate
    low = _lower_end(errors, estimate.value, rng, (1 - level) / 2)
    return replace(estimate, low=round(low, _PLACES), method=f"{INVERTED}-{estimate.method}")


def root_mean_square_error(errors: BinErrors) -> float | None:
    """The debiased root mean square calibration error, at least 0; None below 5 prompts.

    >>> errors = BinErrors(np.tile([0.3, 0.1], 20), np.zeros(40, dtype=np.int32), np.arange(40, dtype=np.int32))
    >>> round(root_mean_square_error(errors), 3)
    0.199
    """
    if int(errors.cluster.max()) + 1 < FEWEST:
        return None
    gap, covariance, _ = _covariance(errors)
    weight = sums(errors.step) / errors.step.size
    used = weight > 0
    squared = float(((gap**2 - covariance.diagonal())[used] / weight[used]).sum())
    return round(float(np.sqrt(max(squared, 0.0))), _PLACES)


def _covariance(errors: BinErrors) -> tuple[Floats, Floats, float]:
    """The gaps over all votes, float64[k], their covariance, float64[k, k], and its degrees of freedom."""
    weight, gaps = sums(errors.cluster), errors.gaps
    n = errors.error.size
    gap = gaps.sum(axis=0) / n
    residual = gaps - weight[:, None] * gap
    terms = residual / np.sqrt(np.maximum(1 - weight / n, 1 / n))[:, None]
    covariance = terms.T @ terms
    # The bins share the working model, which takes the residuals of a prompt together.
    together = cluster_variance(
        ClusterSums(
            residual=np.sqrt(np.square(residual).sum(axis=1)),
            weight=weight,
            row_variance=float(errors.error @ errors.error) / n,
        )
    )
    scale = together.variance / max(float(covariance.trace()), _NOTHING)
    return gap, covariance * scale, 1 / together.s2


def _lower_end(errors: BinErrors, value: float, rng: np.random.Generator, tail: float) -> float:
    gap, covariance, freedom = _covariance(errors)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    noise = rng.standard_normal((_DRAWS, gap.size)) @ root.T
    noise *= np.sqrt(freedom / rng.chisquare(freedom, _DRAWS))[:, None]

    def as_large(factor: float) -> float:
        return float((np.abs(factor * gap + noise).sum(axis=1) >= value).mean())

    if as_large(0.0) >= tail:
        return 0.0
    below, above = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (below + above) / 2
        below, above = (below, middle) if as_large(middle) >= tail else (middle, above)
    return below * value
