"""Two columns of ratings with errors: how reliable they are, and their slope and correlation without the errors.

Noise in the ratings pulls the least-squares slope and every correlation towards zero (attenuation). With ratings x and
y of m contestants that sum to zero, and the covariances S_xx, S_xy and S_yy of their errors:

- the reliability of x is 1 - tr S_xx / x'x: C. Spearman (1904), American Journal of Psychology 15(1);
- the slope of y on x is N / D with N = x'y - tr S_xy and D = x'x - tr S_xx: W. A. Fuller (1987), "Measurement Error
  Models", chapter 1. Its interval is the set of slopes b for which N - b D does not differ significantly from zero: E.
  C. Fieller (1954), Journal of the Royal Statistical Society B 16(2). Where D does not differ from zero, all slopes or
  those outside an interval fit, and the slope is not determined;
- Pearson's correlation is N / sqrt(D E) with E = y'y - tr S_yy, with an interval by the delta method. It is meaningful
  only if both columns are reliable.

Variances of N, D and E are those of their gradients at the ratings. They include the product of the errors, which
matters where noise is as large as the differences.
"""

import math
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats


@dataclass(frozen=True)
class BoundedFigure:
    """A *value* with its interval, or None three times if the data do not determine it."""

    value: float | None
    low: float | None
    high: float | None


UNDETERMINED = BoundedFigure(None, None, None)


@dataclass(frozen=True, eq=False)
class NoisyRatings:
    """Ratings *x* and *y* of m contestants (float64[m]), each summing to zero, with their errors.

    *x_influences* and *y_influences*, float64[G, m], are the influences of G prompts: the covariances of the errors are
    their sums of products.
    """

    x: Floats
    y: Floats
    x_influences: Floats
    y_influences: Floats

    @property
    def reliabilities(self) -> tuple[float, float]:
        """The share of the variance between the ratings that is not noise, of x and of y; at least 0."""
        x_share, y_share = (
            1 - _noise(influences, influences) / float(ratings @ ratings)
            for ratings, influences in ((self.x, self.x_influences), (self.y, self.y_influences))
        )
        return max(0.0, x_share), max(0.0, y_share)

    @property
    def least_squares_slope(self) -> float:
        """The slope of y on x, attenuated by the noise in x."""
        return float(self.x @ self.y / (self.x @ self.x))

    def slope(self, critical: float) -> BoundedFigure:
        """The slope of y on x without attenuation, with Fieller's interval at the *critical* value of t.

        >>> x = np.array([-1.0, 0.0, 1.0])
        >>> noise = np.array([[0.1, 0.0, -0.1], [-0.1, 0.0, 0.1]])
        >>> slope = NoisyRatings(x, 2 * x, noise, noise).slope(1.96)
        >>> round(slope.value, 3), round(slope.low, 2), round(slope.high, 2)
        (2.02, 1.83, 2.7)
        """
        n, d = self._products
        by_n, by_d = self._n_influences, 2 * self.x_influences @ self.x
        # The slopes b with (n - b d)^2 <= critical^2 var(n - b d): a quadratic inequality.
        square = d * d - critical**2 * float(by_d @ by_d)
        linear = n * d - critical**2 * float(by_n @ by_d)
        constant = n * n - critical**2 * float(by_n @ by_n)
        if d <= 0 or square <= 0:
            return UNDETERMINED
        half = math.sqrt(max(0.0, linear**2 - square * constant))
        return BoundedFigure(n / d, (linear - half) / square, (linear + half) / square)

    def pearson(self, critical: float) -> BoundedFigure:
        """Pearson's correlation without attenuation, with its interval at the *critical* value of t, from -1 to 1.

        >>> x = np.array([-1.0, 0.0, 1.0])
        >>> noise = np.array([[0.1, 0.0, -0.1], [-0.1, 0.0, 0.1]])
        >>> NoisyRatings(x, x, noise, np.zeros((2, 3))).pearson(1.96).value
        1.0
        """
        n, d = self._products
        e = float(self.y @ self.y) - _noise(self.y_influences, self.y_influences)
        if d <= 0 or e <= 0:
            return UNDETERMINED
        value = n / math.sqrt(d * e)
        by_d, by_e = 2 * self.x_influences @ self.x, 2 * self.y_influences @ self.y
        influence = self._n_influences / math.sqrt(d * e) - value / 2 * (by_d / d + by_e / e)
        half = critical * math.sqrt(float(influence @ influence))
        value = min(1.0, max(-1.0, value))
        return BoundedFigure(value, max(-1.0, value - half), min(1.0, value + half))

    @property
    def _products(self) -> tuple[float, float]:
        """The sum of products of y and x, and the sum of squares of x, without the noise in them."""
        n = float(self.x @ self.y) - _noise(self.x_influences, self.y_influences)
        return n, float(self.x @ self.x) - _noise(self.x_influences, self.x_influences)

    @property
    def _n_influences(self) -> Floats:
        influences: Floats = self.x_influences @ self.y + self.y_influences @ self.x
        return influences


def _noise(first: Floats, second: Floats) -> float:
    """The trace of the covariance of the errors of two columns of ratings."""
    return float(np.vdot(first, second))
