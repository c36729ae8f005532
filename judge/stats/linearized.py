"""A figure with its first-order influence by cluster, and Student's t for few clusters or clusters of unequal size.

The variance is the sum over clusters g of influence_g^2 / (1 - h_g), where h_g is the share of the cluster in the
information behind the figure. A cluster with a large share pulls the figure towards itself, so its influence looks too
small. The degrees of freedom are the effective number of clusters less 1, 1 / sum(h_g^2) - 1, after Satterthwaite: G
- 1 for G clusters of equal size.

R. M. Bell, D. F. McCaffrey (2002), "Bias Reduction in Standard Errors for Linear Regression with Multi-Stage Samples",
Survey Methodology 28(2); L. Kish (1965), "Survey Sampling", for the effective number.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from judge.columns.arrays import Floats, Ints, sums

NOTHING = 1e-18
"""Smaller variances are rounding errors of zero."""
_MOST_SHARE = 0.99


@dataclass(frozen=True, eq=False)
class Linearized:
    """A figure's *value*, and its *influence* and the *information* behind it by cluster, float64[G] each.

    The influences sum to 0. The unit of information does not matter.

    >>> mean = Linearized(0.5, np.array([-0.5, 0.5, -0.5, 0.5]) / 4, np.ones(4))
    >>> round(mean.variance, 4), mean.freedom
    (0.0833, 3.0)
    """

    value: float
    influence: Floats
    information: Floats

    @property
    def clusters(self) -> int:
        """The number of clusters with any information."""
        return int(np.count_nonzero(self.information > 0))

    @cached_property
    def inflation(self) -> Floats:
        """The factor of each cluster's squared influence, float64[G]: 1 / (1 - h)."""
        factor: Floats = 1 / (1 - np.minimum(self._share, _MOST_SHARE))
        return factor

    @property
    def variance(self) -> float:
        """The estimated variance of the value."""
        return float(self.inflation @ self.influence**2)

    @property
    def freedom(self) -> float:
        """The degrees of freedom of Student's t, at least 1."""
        return max(1 / float(self._share @ self._share) - 1, 1.0)

    @property
    def z(self) -> float:
        """The value in standard errors; 0 without a standard error."""
        return self.value / self.variance**0.5 if self.variance > NOTHING else 0.0

    @cached_property
    def _share(self) -> Floats:
        total = self.information.sum()
        share: Floats = self.information / total if total > 0 else np.ones_like(self.information)
        return share


def linearized_mean(values: Floats, cluster: Ints) -> Linearized:
    """The mean of *values* (float64[n], n at least 1) over clusters with the codes *cluster* (int32[n]).

    >>> mean = linearized_mean(np.array([0.0, 1.0, 1.0]), np.array([0, 1, 1]))
    >>> round(mean.value, 3), mean.information.tolist()
    (0.667, [1.0, 2.0])
    """
    value = float(values.mean())
    return Linearized(value, sums(cluster, values - value) / values.size, sums(cluster))
