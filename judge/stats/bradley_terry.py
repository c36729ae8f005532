"""Bradley-Terry strengths: the chance that i beats j is s_i / (s_i + s_j).

R. A. Bradley, M. E. Terry (1952), "Rank Analysis of Incomplete Block Designs: I", Biometrika 39(3/4). A tie counts as
half a win for each side, or as `tie_rules` says. With half wins and nothing else the likelihood depends on the battles
only through the m x m sums of wins, and is concave in the log strengths, so Newton's method on those sums finds its one
maximum in a handful of steps, if Ford's condition (see `components`) holds. Nothing is added to make an estimate exist
where the battles do not give one, unless a ridge is asked for, which the fit then names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from judge.columns.arrays import Floats, Ints, rounded
from judge.stats.battles import Battles
from judge.stats.cluster_intervals import t_quantile
from judge.stats.components import strong_components
from judge.stats.errors import Disconnected
from judge.stats.newton import newton
from judge.stats.paired_model import Covariates, Design, Model, climbed
from judge.stats.ranks import ranks
from judge.stats.sandwich import Covariance, covariance
from judge.stats.scorecard import Block
from judge.stats.simultaneous import difference_errors
from judge.stats.tie_rules import DAVIDSON, HALF_WIN, RAO_KUPPER, RULES, expected

POINTS = 400 / math.log(10)
"""Rating points in one unit of log strength."""

_PLACES = 6


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


@dataclass(frozen=True)
class Effect:
    """What *name* is worth: its coefficient in natural log odds a unit, with its interval, NaN where there is none."""

    name: str
    value: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class BradleyTerryFit:
    """A fit, with its *model* at the maximum.

    What is derived from it below is rounded. *iterations* is the number of Newton steps taken, *ridge* what was added.
    """

    model: Model
    ties: str
    iterations: int
    tolerance: float
    ridge: float = 0.0
    strata: Ints | None = None
    resampled_covariance: Covariance | None = None
    """In place of the sandwich, where it comes from elsewhere: a bootstrap, or labels."""

    @property
    def battles(self) -> Battles:
        """The battles fitted."""
        return self.model.design.battles

    @property
    def log_strengths(self) -> Floats:
        """The natural logarithms of the strengths, float64[m], which sum to zero, as computed."""
        return self.model.parameters[: self.model.m]

    @property
    def ratings(self) -> Floats:
        """1000 + 400 log10(strength / geometric mean strength), float64[m], rounded to 1e-6: their mean is 1000."""
        return rounded(1000 + POINTS * self.log_strengths, _PLACES)

    @property
    def ranks(self) -> Ints:
        """The rank of each contestant, int32[m]: 1 is best, equals share the better one."""
        return ranks(self.ratings)

    def expected(self, i: int, j: int) -> float:
        """The expected score of contestant *i* (a code) against *j*, a tie counting half, position and style being
        equal; rounded to 1e-6.
        """
        return self._expected(self.log_strengths[i] - self.log_strengths[j])

    def expected_against_mean(self, i: int) -> float:
        """The expected score of contestant *i* (a code) against one of the mean log strength; rounded to 1e-6."""
        return self._expected(self.log_strengths[i])

    def _expected(self, ahead: float) -> float:
        return round(float(expected(self.model.rule, np.array([ahead]), self.model.tau)[0]), _PLACES)

    def effects(self, level: float = 0.95) -> tuple[Effect, ...]:
        """The position effect, the covariates' coefficients and the tie parameter (as far as fitted), with intervals.

        The tie parameter is log nu of Davidson's model or log theta of Rao and Kupper's. Raises ValueError for a
        senseless level.
        """
        names = (*self.model.design.effects, *(("ties",) if self.model.ties else ()))
        found, at = self.covariance, slice(self.model.m, None)
        values = self.model.parameters[at]
        error = np.full(values.size, np.nan) if found.effects is None else np.sqrt(found.effects.diagonal()[at])
        low, high = _around(values, error, level, found)
        columns = (rounded(values, _PLACES), low, high, rounded(error, _PLACES))
        return tuple(Effect(name, *row) for name, *row in zip(names, *(c.tolist() for c in columns), strict=True))

    @cached_property
    def covariance(self) -> Covariance:
        """The covariance of the log strengths over prompts, not rounded."""
        return (
            covariance(self.model, self.ridge, self.strata)
            if self.resampled_covariance is None
            else self.resampled_covariance
        )

    def interval(self, level: float = 0.95) -> Intervals:
        """The interval of every rating, for new prompts of the same mix. Raises ValueError for a senseless level."""
        found = self.covariance
        variance = np.full(len(self.log_strengths), np.nan) if found.matrix is None else found.matrix.diagonal()
        error = POINTS * np.sqrt(variance)
        low, high = found.opened(*_around(1000 + POINTS * self.log_strengths, error, level, found))
        return Intervals(low, high, rounded(error, _PLACES), found.method, level, found.clusters)

    def relative_to(self, group: Sequence[int], level: float = 0.95) -> tuple[Floats, Floats, Floats]:
        """How far everybody is ahead of the mean of a *group* (codes), and the intervals' ends: points, float64[m].

        Raises ValueError for a senseless level or an empty group.

        >>> fit = bradley_terry(Battles.from_names(["a"] * 60, ["b"] * 60, ["left", "left", "right"] * 20))
        >>> [column.round(1).tolist() for column in fit.relative_to([1])]
        [[120.4, 0.0], [24.4, 0.0], [216.4, 0.0]]
        """
        if not len(group):
            raise ValueError("There is nobody in the group to compare with.")
        found = self.covariance
        mean = np.zeros(len(self.log_strengths))
        mean[list(group)] = 1 / len(group)
        ahead = POINTS * (self.log_strengths - mean @ self.log_strengths)
        error = np.full(ahead.size, np.nan)
        if found.matrix is not None:
            of_mean = found.matrix @ mean
            error = POINTS * np.sqrt(np.maximum(found.matrix.diagonal() + mean @ of_mean - 2 * of_mean, 0))
        low, high = found.opened(*_around(ahead, error, level, found))
        return rounded(ahead, _PLACES), low, high

    def differences(self, reference: int, level: float = 0.95) -> Differences:
        """Every contestant's difference to the *reference* (a code), with its own interval from the same covariance.

        Raises ValueError for a senseless level or an unknown reference.
        """
        if not 0 <= reference < len(self.log_strengths):
            raise ValueError(f"There is no contestant with the code {reference} to compare with.")
        found = self.covariance
        difference = POINTS * (self.log_strengths - self.log_strengths[reference])
        error = np.full(difference.size, np.nan)
        if found.matrix is not None:
            error = POINTS * difference_errors(found.matrix)[:, reference]
        error[reference] = 0
        low, high = found.opened(*_around(difference, error, level, found), reference)
        return Differences(
            reference,
            rounded(difference, _PLACES),
            low,
            high,
            rounded(error, _PLACES),
            _chance_above_zero(difference, error, found.freedom),
            found.method,
            level,
            found.clusters,
        )


def block(fit: BradleyTerryFit, reference: int, others: Sequence[int]) -> Block | None:
    """The differences of *others* (codes) to the *reference* with their covariance, in rating points; None without.

    >>> fit = bradley_terry(Battles.from_names(["a"] * 60, ["b"] * 60, ["left", "left", "right"] * 20))
    >>> found = block(fit, 1, [0])
    >>> None if found is None else (found.difference.round(1).tolist(), found.freedom)
    ([120.4], 59)
    """
    found = fit.covariance
    if found.matrix is None:
        return None
    contrasts = np.zeros((len(others), fit.model.m))
    contrasts[np.arange(len(others)), list(others)] = POINTS
    contrasts[:, reference] = -POINTS
    nowhere = np.zeros(fit.model.m)
    low, high = (np.isinf(end)[list(others)] for end in found.opened(nowhere, nowhere, reference))
    return Block(contrasts @ fit.log_strengths, contrasts @ found.matrix @ contrasts.T, found.freedom, low, high)


def bradley_terry(
    battles: Battles,
    *,
    ties: str = HALF_WIN,
    position: bool = False,
    covariates: Covariates | None = None,
    ridge: float = 0.0,
    strata: Ints | None = None,
    tolerance: float = 1e-10,
    max_iterations: int = 100,
) -> BradleyTerryFit:
    """The maximum-likelihood Bradley-Terry fit of *battles*.

    *ties* is the tie rule (`tie_rules`), *position* fits what being on the left is worth, *covariates* what else speaks
    for a side (style control), and *ridge* takes ridge / 2 times the squared log strengths off the log likelihood.
    *strata* (int32[n_clusters]) lets prompts vary within their strata alone.

    It has settled when what Newton's steps leave of any parameter is less than *tolerance*. Raises Disconnected where
    the battles do not order all contestants on one scale, which a ridge mends, NotConverged after *max_iterations*
    steps, and ValueError for an unknown rule, a negative ridge, nothing but ties under a rule that models them, or an
    effect that the battles do not tell from the strengths. Without any tie every rule is the first.

    >>> fit = bradley_terry(Battles.from_names(["a"] * 4, ["b"] * 4, ["left", "left", "left", "right"]))
    >>> fit.expected(0, 1)
    0.75
    """
    if ties not in RULES:
        raise ValueError(f"The tie rule {ties!r} is none of {', '.join(RULES)}.")
    if not (math.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"A ridge is a number from 0, and not {ridge}.")
    if covariates is not None and len(covariates.values) != battles.n:
        raise ValueError(f"There are {battles.n} battles, and {len(covariates.values)} rows of covariates.")
    design = Design(battles, position, covariates)
    counts = battles.counted(design.table)
    parts = strong_components(counts.wins)
    if len(parts) > 1 and ridge == 0:
        raise Disconnected(tuple(tuple(battles.contestants[i] for i in part) for part in parts))
    tied, all_of_them = float(counts.ties.sum()) / 2, float(counts.wins.sum())
    rule = ties if tied else HALF_WIN
    if rule != HALF_WIN and tied == all_of_them:
        raise ValueError(f"All battles are ties, which the rule {ties} cannot rank by.")
    start = np.zeros(design.m + len(design.effects) + (rule != HALF_WIN))
    if rule == RAO_KUPPER:
        start[-1] = 2 * math.atanh(tied / all_of_them)
    elif rule == DAVIDSON:
        start[-1] = math.log(2 * tied / (all_of_them - tied))
    model = Model(design, rule, start)
    if start.size == design.m and ridge == 0:
        strengths, iterations = newton(counts.wins, tolerance, max_iterations)
        model = model.at(strengths)
    else:
        model, iterations = climbed(model, ridge, tolerance, max_iterations)
    return BradleyTerryFit(model, ties, iterations, tolerance, ridge, strata)


def _around(centre: Floats, error: Floats, level: float, found: Covariance) -> tuple[Floats, Floats]:
    half = error * t_quantile(level, found.freedom + 1)
    return rounded(centre - half, _PLACES), rounded(centre + half, _PLACES)


def _chance_above_zero(difference: Floats, error: Floats, freedom: int) -> Floats:
    from scipy.special import stdtr  # noqa: PLC0415 - a slow import, needed only here

    t = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    np.divide(difference, error, out=t, where=error != 0)
    return rounded(stdtr(freedom, t), _PLACES)
