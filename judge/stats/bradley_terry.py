"""Bradley-Terry strengths: the chance that i beats j is s_i / (s_i + s_j).

R. A. Bradley, M. E. Terry (1952), "Rank Analysis of Incomplete Block Designs: I", Biometrika 39(3/4). A tie counts as
half a win for each side. The likelihood depends on the battles only through the m x m sums of wins, and is concave in
the log strengths, so Newton's method on those sums finds its one maximum in a handful of steps, if Ford's condition
(see `components`) holds. Nothing is added to make an estimate exist where the battles do not give one.

The gradient is a row sum of A - A' with A = wins * (chance of the opposite). Written so, it is antisymmetric to the
last bit, rounding cancels between contestants, and convergence does not depend on the number of battles.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from judge.stats.arrays import Floats, Ints, rounded
from judge.stats.battles import Battles, Counts
from judge.stats.clustered import t_quantile
from judge.stats.components import strong_components
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.ranks import ranks
from judge.stats.sandwich import Covariance, covariance, grounded, information

POINTS = 400 / math.log(10)
"""Rating points in one unit of log strength."""

_PLACES = 6
_FURTHEST = 700.0
_SHARES = tuple(0.5**halvings for halvings in range(30))


@dataclass(frozen=True, eq=False)
class Intervals:
    """The intervals of m ratings: *low*, *high* and *standard_error* are float64[m] in rating points.

    They are NaN where *method* begins with "none: ", followed by why. *clusters* is the number of prompts.
    """

    low: Floats
    high: Floats
    standard_error: Floats
    method: str
    level: float
    clusters: int


@dataclass(frozen=True, eq=False)
class Differences:
    """How far each of m contestants is ahead of the *reference* (a code): rating points, float64[m] each.

    *probability_better* is the approximate chance, by t of G - 1, that the contestant is truly the stronger; 0.5 for
    the reference itself. Intervals and chances are NaN where *method* begins with "none: ".
    """

    reference: int
    difference: Floats
    low: Floats
    high: Floats
    standard_error: Floats
    probability_better: Floats
    method: str
    level: float
    clusters: int


@dataclass(frozen=True, eq=False)
class BradleyTerryFit:
    """The fit of *battles*, which it keeps.

    *log_strengths* is float64[m], natural logarithms that sum to zero, as computed; what is derived from it below is
    rounded. *iterations* is the number of Newton steps taken.
    """

    battles: Battles
    counts: Counts
    log_strengths: Floats
    iterations: int
    tolerance: float

    @property
    def ratings(self) -> Floats:
        """1000 + 400 log10(strength / geometric mean strength), float64[m], rounded to 1e-6: their mean is 1000."""
        return rounded(1000 + POINTS * self.log_strengths, _PLACES)

    @property
    def ranks(self) -> Ints:
        """The rank of each contestant, int32[m]: 1 is best, equals share the better one."""
        return ranks(self.ratings)

    def expected(self, i: int, j: int) -> float:
        """The chance that contestant *i* (a code) beats *j*, a tie counting half; rounded to 1e-6."""
        return round(float(_chances(self.log_strengths[[i, j]])[0, 1]), _PLACES)

    @cached_property
    def covariance(self) -> Covariance:
        """The covariance of the log strengths over prompts, not rounded."""
        return covariance(self.battles, self.counts, _chances(self.log_strengths))

    def interval(self, level: float = 0.95) -> Intervals:
        """The interval of every rating, for new prompts of the same mix. Raises ValueError for a senseless level."""
        found = self.covariance
        variance = np.full(len(self.log_strengths), np.nan) if found.matrix is None else found.matrix.diagonal()
        error = POINTS * np.sqrt(variance)
        low, high = _around(1000 + POINTS * self.log_strengths, error, level, found)
        return Intervals(low, high, rounded(error, _PLACES), found.method, level, found.clusters)

    def differences(self, reference: int, level: float = 0.95) -> Differences:
        """Every contestant's difference to the *reference* (a code), with its own interval from the same covariance.

        Raises ValueError for a senseless level or an unknown reference.
        """
        if not 0 <= reference < len(self.log_strengths):
            raise ValueError(f"There is no contestant with the code {reference} to compare with.")
        found = self.covariance
        difference = POINTS * (self.log_strengths - self.log_strengths[reference])
        error = POINTS * np.sqrt(_difference_variance(found, reference, difference.size))
        low, high = _around(difference, error, level, found)
        return Differences(
            reference,
            rounded(difference, _PLACES),
            low,
            high,
            rounded(error, _PLACES),
            _chance_above_zero(difference, error, found.clusters),
            found.method,
            level,
            found.clusters,
        )


def bradley_terry(battles: Battles, *, tolerance: float = 1e-10, max_iterations: int = 100) -> BradleyTerryFit:
    """The maximum-likelihood Bradley-Terry fit of *battles*, ties as half wins.

    It has settled when no log strength moves by more than *tolerance* in a Newton step. Raises Disconnected where the
    battles do not order all contestants on one scale, and NotConverged after *max_iterations* steps.

    >>> fit = bradley_terry(Battles.from_names(["a"] * 4, ["b"] * 4, ["left", "left", "left", "right"]))
    >>> fit.expected(0, 1)
    0.75
    """
    counts = battles.counts()
    parts = strong_components(counts.wins)
    if len(parts) > 1:
        raise Disconnected(tuple(tuple(battles.contestants[i] for i in part) for part in parts))
    strengths, iterations = _newton(counts.wins, tolerance, max_iterations)
    return BradleyTerryFit(battles, counts, strengths, iterations, tolerance)


def _newton(wins: Floats, tolerance: float, max_iterations: int) -> tuple[Floats, int]:
    wins = wins / wins.max()
    strengths = np.zeros(len(wins))
    chances = _chances(strengths)
    for iteration in range(1, max_iterations + 1):
        gradient = _gradient(wins, chances)
        try:
            step = np.linalg.solve(grounded(information(wins, chances)), gradient).astype(np.float64, copy=False)
        except np.linalg.LinAlgError:
            raise NotConverged(iteration, tolerance) from None
        settled = np.abs(step).max() <= tolerance
        strengths = _ascended(wins, strengths, step, float(gradient @ step))
        if settled:
            return strengths - strengths.mean(), iteration
        chances = _chances(strengths)
    raise NotConverged(max_iterations, tolerance)


def _ascended(wins: Floats, strengths: Floats, step: Floats, uphill: float) -> Floats:
    """The strengths after the *step*, or after a half, a quarter ... of it where it would pass the maximum by far.

    *uphill* is the slope along the step at its start; too far is where the way down is half as steep.
    """
    moved = strengths
    for share in _SHARES:
        moved = np.clip(strengths + share * step, -_FURTHEST, _FURTHEST)
        if float(_gradient(wins, _chances(moved)) @ step) >= -uphill / 2:
            break
    return moved


def _chances(log_strengths: Floats) -> Floats:
    """The chance that row beats column, float64[m, m]."""
    strength: Floats = np.exp(log_strengths)[:, None]
    chances: Floats = strength / (strength + strength.T)
    return chances


def _gradient(wins: Floats, chances: Floats) -> Floats:
    surprise: Floats = wins * chances.T
    gradient: Floats = (surprise - surprise.T).sum(axis=1)
    return gradient


def _around(centre: Floats, error: Floats, level: float, found: Covariance) -> tuple[Floats, Floats]:
    half = error * t_quantile(level, max(found.clusters, 2))
    return rounded(centre - half, _PLACES), rounded(centre + half, _PLACES)


def _difference_variance(found: Covariance, reference: int, m: int) -> Floats:
    if found.matrix is None:
        unknown = np.full(m, np.nan)
        unknown[reference] = 0
        return unknown
    diagonal = found.matrix.diagonal()
    variance: Floats = np.maximum(diagonal + diagonal[reference] - 2 * found.matrix[:, reference], 0)
    variance[reference] = 0
    return variance


def _chance_above_zero(difference: Floats, error: Floats, clusters: int) -> Floats:
    from scipy.special import stdtr  # noqa: PLC0415 - a slow import, needed only here

    t = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    np.divide(difference, error, out=t, where=error != 0)
    return rounded(stdtr(max(clusters - 1, 1), t), _PLACES)
