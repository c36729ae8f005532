"""Critical values of intervals whose variance is estimated from prompts of unequal size.

An estimate divided by its standard error is Z / sqrt(V), with Z normal and V the estimated variance over the true one.
V is a weighted sum of squared normals with the weights l_1, l_2, ..., which sum to 1. Two moments describe it: S2, the
sum of l^2, and S3, the sum of l^3.

- With k equal weights, S2 = 1 / k and S3 = S2^2, and the critical value is that of Student's t with k degrees of
  freedom. Taking t with 1 / S2 degrees of freedom for all weights is Satterthwaite's approximation: F. E. Satterthwaite
  (1946), Biometrics Bulletin 2(6); R. M. Bell, D. F. McCaffrey (2002), Survey Methodology 28.
- With one large weight among small ones, S3 is larger, and Satterthwaite's t too wide. V then gets the three moments of
  a + b * chi-square(n), with b = S3 / S2, n = S2^3 / S3^2 and a = 1 - b n: M. J. Buckley, G. K. Eagleson (1988),
  Australian Journal of Statistics 30A.

The two-sided tail probability of c is then the integral over u from 0 to pi / 2 of
2 / pi * exp(-a c^2 / (2 sin^2 u)) * (1 + b c^2 / sin^2 u)^(-n / 2): J. W. Craig (1991), IEEE MILCOM, for the normal
tail, and the Laplace transform of chi-square.
"""

from functools import cache

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.levels import check_level

_NODES = 16
"""Nodes of the Gauss-Legendre rule. Critical values are correct to a millionth from a level of 0.9 on."""
_MOST_STEPS = 100
_SETTLED = 1e-6
_ALMOST_NONE = 1e-12
"""S2 is at least this: a trillion degrees of freedom are normal."""
_OF_THREE_MOMENTS = 0.75
"""The largest exponent of `critical_value` in the critical value for many comparisons."""
_FEW_DEGREES, _ENOUGH_DEGREES = 4.0, 8.0
"""Below the first, that exponent is 0; between the two, it rises to the largest."""


def satterthwaite_t(level: float | Floats, freedom: Floats) -> Floats:
    """Critical values of two-sided intervals of *level* by Student's t with *freedom* degrees of freedom.

    *freedom* may have any shape, and need not be whole; *level* is one number, or one for each of them. Raises
    StatisticsError for a level outside 0 to 1.

    >>> satterthwaite_t(0.95, np.array([4.5, 79.0])).round(3).tolist()
    [2.659, 1.99]
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a slow import, needed only here

    quantiles: Floats = stdtrit(np.asarray(freedom, dtype=np.float64), 1 - _alpha(level) / 2)
    return quantiles


def critical_value(level: float | Floats, s2: Floats, s3: Floats) -> Floats:
    """Critical values, in standard errors, of two-sided intervals of *level* by the three moments of V.

    *s2* and *s3* are the sums of squares and of cubes of the weights in V, of any one shape; the result has it too, NaN
    where a moment is NaN. *level* is one number, or one for each of them. *s3* is limited to what *s2* allows, from
    *s2*^2 to *s2*^1.5. Raises StatisticsError for a level outside 0 to 1.

    >>> critical_value(0.95, np.array([1 / 4, 1 / 4]), np.array([1 / 16, 1 / 10])).round(3).tolist()
    [2.776, 2.394]
    """
    from scipy.special import ndtri  # noqa: PLC0415 - as above

    s2, s3 = (np.asarray(moment, dtype=np.float64) for moment in (s2, s3))
    alpha = np.broadcast_to(_alpha(level), s2.shape).ravel()
    moments = _shape(s2.ravel(), s3.ravel())
    # The logarithm of the tail is convex in c^2, and no tail is lighter than the normal one: Newton's steps that begin
    # at the normal quantile only ever approach the solution from below.
    squared = np.square(ndtri(alpha / 2))
    for _ in range(_MOST_STEPS):
        tail, slope = _tail(squared, *moments)
        step = (np.log(alpha) - np.log(tail)) * tail / slope
        squared = squared + step
        if not (np.abs(step) > _SETTLED * squared).any():
            break
    critical: Floats = np.sqrt(squared).reshape(s2.shape)
    return critical


def simultaneous_critical_value(level: float | Floats, comparisons: int, s2: Floats, s3: Floats) -> Floats:
    """Critical values with which the intervals of a number of *comparisons* hold together at *level*, by Bonferroni.

    That far in the tails, three moments are not enough if prompts differ in size, and Satterthwaite's t is too wide.
    The result is a weighted geometric mean of the two, with an exponent of 3/4 for `critical_value` from 8 degrees of
    freedom on, and of 0 up to 4. The exponents have no theory: they were chosen in simulations of all differences of up
    to 40 contestants. With equal prompts, they make no difference.

    >>> simultaneous_critical_value(0.95, 10, np.array([1 / 8, 1 / 8]), np.array([1 / 64, 1 / 24])).round(2).tolist()
    [3.83, 3.33]
    """
    if comparisons <= 1:
        return critical_value(level, s2, s3)
    return adjusted_critical_value(1 - _alpha(level) / comparisons, s2, s3)


def adjusted_critical_value(adjusted: float | Floats, s2: Floats, s3: Floats) -> Floats:
    """The same at a level that is *adjusted* for many comparisons: one number, or one for each of them.

    >>> adjusted_critical_value(0.995, np.array([1 / 8, 1 / 8]), np.array([1 / 64, 1 / 24])).round(2).tolist()
    [3.83, 3.33]
    """
    own, freedom = critical_value(adjusted, s2, s3), 1 / np.maximum(s2, _ALMOST_NONE)
    by_t = satterthwaite_t(adjusted, freedom)
    exponent = _OF_THREE_MOMENTS * np.clip((freedom - _FEW_DEGREES) / (_ENOUGH_DEGREES - _FEW_DEGREES), 0.0, 1.0)
    blended: Floats = own**exponent * by_t ** (1 - exponent)
    return blended


def tail_probability(distance: Floats, s2: Floats, s3: Floats) -> Floats:
    """The two-sided tail probability of each *distance* from 0, in standard errors: the inverse of `critical_value`.

    The arrays have one shape, and the result is NaN where an argument is.

    >>> tail_probability(np.array([2.776, 0.0]), np.full(2, 1 / 4), np.full(2, 1 / 16)).round(3).tolist()
    [0.05, 1.0]
    """
    moments = _shape(*(np.asarray(moment, dtype=np.float64).ravel() for moment in (s2, s3)))
    tail, _ = _tail(np.square(np.ravel(distance)), *moments)
    return np.clip(tail, 0.0, 1.0).reshape(np.shape(distance))


def _alpha(level: float | Floats) -> Floats:
    """One minus each *level*, which must lie between 0 and 1."""
    levels = np.asarray(level, dtype=np.float64)
    for end in (levels.min(initial=1.0), levels.max(initial=0.0)) if levels.size else ():
        check_level(float(end))
    return 1 - levels


def _shape(s2: Floats, s3: Floats) -> tuple[Floats, Floats, Floats]:
    """The constants a, b and n of V = a + b * chi-square(n)."""
    s2 = np.clip(s2, _ALMOST_NONE, 1.0)
    s3 = np.clip(s3, np.square(s2), s2**1.5)
    return np.maximum(1 - np.square(s2) / s3, 0.0), s3 / s2, s2**3 / np.square(s3)


@cache
def _rule() -> tuple[Floats, Floats]:
    """The squared sines of the nodes, float64[nodes, 1], and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return np.square(np.sin((nodes + 1) * np.pi / 4))[:, None], weights


def _tail(squared: Floats, a: Floats, b: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """The two-sided tail probability of each c^2 in *squared*, and its derivative: float64[k] each."""
    sine, weights = _rule()
    density = np.exp(-a * squared / (2 * sine) - freedom / 2 * np.log1p(b * squared / sine))
    falls = a / (2 * sine) + freedom * b / (2 * (sine + b * squared))
    return weights @ density / 2, -(weights @ (density * falls)) / 2
