"""Bradley-Terry strengths: the probability that i beats j is s_i / (s_i + s_j).

R. A. Bradley, M. E. Terry (1952), "Rank Analysis of Incomplete Block Designs: I", Biometrika 39(3/4). A tie counts as
half a win for each side, or follows a model of `tie_rules`. With half wins and no effects, the likelihood depends on
the battles only through the m x m sums of wins and is concave in the log strengths. Newton's method on those sums finds
its only maximum in a few steps if Ford's condition holds (see `components`). If the battles determine no estimate,
nothing is added to force one, unless the caller asks for a ridge, which the fit then reports.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from judge.columns.arrays import Floats, Ints, round_to
from judge.stats import sandwich
from judge.stats.battles import LEFT, RIGHT, TIE, Battles
from judge.stats.components import bounds_ties, strong_components
from judge.stats.errors import Disconnected, NoMaximum, StatisticsError
from judge.stats.newton import newton
from judge.stats.paired_model import Covariates, Design, Model, maximize
from judge.stats.ranks import ranks
from judge.stats.sandwich import Covariance
from judge.stats.scorecard import Block
from judge.stats.standard_errors import StandardErrors
from judge.stats.tie_rules import DAVIDSON, HALF_WIN, RAO_KUPPER, RULES, expected

POINTS = 400 / math.log(10)
"""Rating points in one unit of log strength."""

_PLACES = 6
_SLIGHT = 1e-18
"""Smaller variances are rounding errors of zero."""
_UNBOUNDED = 1e4 / POINTS
"""Beside a tie parameter, larger parameters are those of a likelihood that rises forever: 10,000 rating points."""


@dataclass(frozen=True, eq=False)
class Intervals:
    """The intervals of m ratings: *low*, *high* and *standard_error* are float64[m] in rating points.

    They are NaN if *method* begins with "none: ", followed by the reason, and for each contestant with a reason of its
    own in *reasons*: "none: ...", or empty. An interval is relative to the mean of the contestants that have one.
    *freedom* is the degrees of freedom of the standard errors by Satterthwaite. *clusters* is the number of prompts.
    """

    low: Floats
    high: Floats
    standard_error: Floats
    freedom: Floats
    method: str
    reasons: tuple[str, ...]
    level: float
    clusters: int


@dataclass(frozen=True, eq=False)
class Differences:
    """How far each of m contestants is ahead of the *reference* (a code): rating points, float64[m] each.

    *probability_better* is the approximate probability that the contestant is truly stronger; 0.5 for the reference
    itself. Intervals and probabilities are NaN if *method* begins with "none: ", for each contestant with a reason in
    *reasons*, and for all if the reference has one.
    """

    reference: int
    difference: Floats
    low: Floats
    high: Floats
    standard_error: Floats
    probability_better: Floats
    method: str
    reasons: tuple[str, ...]
    level: float
    clusters: int


@dataclass(frozen=True)
class Effect:
    """The coefficient of the effect *name*, in natural log odds per unit. Its interval is NaN if there is none."""

    name: str
    value: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class BradleyTerryFit:
    """A fit, with its *model* at the maximum.

    Figures derived from it are rounded, except the log strengths and their covariance. *iterations* is the number of
    Newton steps. *ridge* is the penalty, and *strata* (int32[n_clusters]) the stratum of each cluster, if given.
    """

    model: Model
    ties: str
    iterations: int
    tolerance: float
    ridge: float = 0.0
    strata: Ints | None = None
    resampled_covariance: Covariance | None = None
    """Replaces the sandwich covariance, if it comes from a bootstrap, from labels, or is over annotators too."""

    @property
    def battles(self) -> Battles:
        """The battles that were fitted."""
        return self.model.design.battles

    @property
    def log_strengths(self) -> Floats:
        """The natural logarithms of the strengths, float64[m], which sum to zero; not rounded."""
        return self.model.parameters[: self.model.m]

    @property
    def ratings(self) -> Floats:
        """1000 + 400 log10(strength / geometric mean strength), float64[m], rounded to 1e-6: their mean is 1000."""
        return round_to(1000 + POINTS * self.log_strengths, _PLACES)

    @property
    def ranks(self) -> Ints:
        """The rank of each contestant, int32[m]: 1 is best, and ties share the better rank."""
        return ranks(self.ratings)

    def expected(self, i: int, j: int) -> float:
        """The expected score of contestant *i* (a code) against *j*, rounded to 1e-6.

        A tie counts half. Position and style are taken as equal.
        """
        return self._expected(self.log_strengths[i] - self.log_strengths[j])

    def expected_against_mean(self, i: int) -> float:
        """The expected score of contestant *i* (a code) against one of the mean log strength; rounded to 1e-6."""
        return self._expected(self.log_strengths[i])

    def _expected(self, ahead: float) -> float:
        return round(float(expected(self.model.rule, np.array([ahead]), self.model.tau)[0]), _PLACES)

    def effects(self, level: float = 0.95) -> tuple[Effect, ...]:
        """The position effect, the covariates' coefficients and the tie parameter, if fitted, with intervals.

        The tie parameter is log nu of Davidson's model or log theta of Rao and Kupper's. Raises StatisticsError for a
        level outside 0 to 1.
        """
        names = (*self.model.design.effects, *(("ties",) if self.model.ties else ()))
        values, errors = self.model.parameters[self.model.m :], self.covariance.of_effects
        if self.covariance.effects is None:
            errors = StandardErrors.unknown(values.size)
        low, high, error = _around(values, errors, level)
        columns = (round_to(values, _PLACES), low, high, error)
        return tuple(Effect(name, *row) for name, *row in zip(names, *(c.tolist() for c in columns), strict=True))

    @cached_property
    def covariance(self) -> Covariance:
        """The covariance of the log strengths over prompts, not rounded."""
        return (
            sandwich.covariance(self.model, self.ridge, self.strata)
            if self.resampled_covariance is None
            else self.resampled_covariance
        )

    def interval(self, level: float = 0.95) -> Intervals:
        """The interval of every rating, for new prompts of the same mix.

        Raises StatisticsError for a level outside 0 to 1.
        """
        covariance = self.covariance
        errors = covariance.ratings.scaled(POINTS)
        low, high, error = _around(1000 + POINTS * self.log_strengths, errors, level)
        low, high = covariance.opened(low, high)
        return Intervals(
            low=low,
            high=high,
            standard_error=error,
            freedom=errors.freedom,
            method=covariance.method,
            reasons=covariance.reasons,
            level=level,
            clusters=covariance.clusters,
        )

    def relative_to(self, group: Sequence[int], level: float = 0.95) -> tuple[Floats, Floats, Floats]:
        """How far each contestant is ahead of the mean of a *group* (codes), with its interval.

        Returns the difference, the low end and the high end: rating points, float64[m] each. If nobody of the group has
        an interval, all ends are NaN. Raises StatisticsError for a level outside 0 to 1 or an empty group.

        >>> fit = bradley_terry(Battles.from_names(["a"] * 60, ["b"] * 60, ["left", "left", "right"] * 20))
        >>> [column.round(1).tolist() for column in fit.relative_to([1])]
        [[120.4, 0.0], [24.4, 0.0], [216.4, 0.0]]
        """
        if not len(group):
            raise StatisticsError("The group to compare with is empty.")
        covariance = self.covariance
        mean = np.zeros(len(self.log_strengths))
        mean[list(group)] = 1 / len(group)
        ahead = POINTS * (self.log_strengths - mean @ self.log_strengths)
        low, high, _ = _around(ahead, covariance.relative_to(group).scaled(POINTS), level)
        if len(group) == 1 and covariance.eligible[group[0]]:
            low[group[0]] = high[group[0]] = 0
        low, high = covariance.opened(low, high)
        return round_to(ahead, _PLACES), low, high

    def differences(self, reference: int, level: float = 0.95) -> Differences:
        """The difference of every contestant to the *reference* (a code), with its interval.

        Raises StatisticsError for a level outside 0 to 1 or an unknown reference.
        """
        if not 0 <= reference < len(self.log_strengths):
            raise StatisticsError(f"There is no contestant with the code {reference} to compare with.")
        covariance = self.covariance
        difference = POINTS * (self.log_strengths - self.log_strengths[reference])
        errors = covariance.relative_to([reference]).scaled(POINTS)
        low, high, error = _around(difference, errors, level)
        better = round_to(errors.probability_above_zero(difference), _PLACES)
        if covariance.eligible[reference]:
            low[reference] = high[reference] = error[reference] = 0
        better[reference] = 0.5
        low, high = covariance.opened(low, high, reference)
        return Differences(
            reference=reference,
            difference=round_to(difference, _PLACES),
            low=low,
            high=high,
            standard_error=error,
            probability_better=better,
            method=covariance.method,
            reasons=covariance.reasons,
            level=level,
            clusters=covariance.clusters,
        )


def block(fit: BradleyTerryFit, reference: int, others: Sequence[int]) -> Block | None:
    """The differences of *others* (codes) to the *reference*, in rating points, with their covariance.

    Returns None if the fit has no covariance.

    A difference that has no interval has a standard error of NaN.

    >>> fit = bradley_terry(Battles.from_names(["a"] * 60, ["b"] * 60, ["left", "left", "right"] * 20))
    >>> cells = block(fit, 1, [0])
    >>> None if cells is None else (cells.difference.round(1).tolist(), cells.errors.freedom.round(3).tolist())
    ([120.4], [59.0])
    """
    covariance = fit.covariance
    if covariance.effects is None:
        return None
    codes, whole = list(others), covariance.relative_to([reference]).scaled(POINTS)
    errors, ends = whole.at(codes), 0 * whole.error
    contrasts = POINTS * (np.eye(fit.model.m)[codes] - np.eye(fit.model.m)[reference])
    matrix = contrasts @ covariance.effects[: fit.model.m, : fit.model.m] @ contrasts.T
    scale = errors.error / np.sqrt(np.maximum(matrix.diagonal(), _SLIGHT))
    low, high = (np.isinf(end)[codes] for end in covariance.opened(ends, ends, reference))
    return Block(
        difference=contrasts @ fit.log_strengths,
        covariance=matrix * np.outer(scale, scale),
        errors=errors,
        open_low=low,
        open_high=high,
    )


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
    """Fit the Bradley-Terry model to *battles* by maximum likelihood.

    *ties* is the tie rule (see `tie_rules`); without ties all rules are the same. *position* also fits the advantage of
    being on the left, and *covariates* the effects of differences between the two sides (style control). *ridge*
    subtracts ridge / 2 times the squared log strengths from the log likelihood. *strata* (int32[n_clusters]) restricts
    the variation of prompts to their strata. Iteration stops when the remaining error of every parameter is less than
    *tolerance*.

    Raises Disconnected if the battles do not order all contestants on one scale, and NoMaximum if they do not bound the
    parameter of a rule that models ties (a ridge avoids both); NotConverged after *max_iterations* steps; and
    StatisticsError for an unknown rule, a negative ridge, only ties under a rule that models them, or an effect that
    cannot be separated from the strengths.

    >>> fit = bradley_terry(Battles.from_names(["a"] * 4, ["b"] * 4, ["left", "left", "left", "right"]))
    >>> fit.expected(0, 1)
    0.75
    """
    if ties not in RULES:
        raise StatisticsError(f"Unknown tie rule {ties!r}: choose one of {', '.join(RULES)}.")
    if not (math.isfinite(ridge) and ridge >= 0):
        raise StatisticsError(f"The ridge must be a finite number of at least 0, not {ridge}.")
    if covariates is not None and len(covariates.values) != battles.n:
        raise StatisticsError(f"There are {battles.n:,} battles but {len(covariates.values):,} rows of covariates.")
    design = Design(battles, position, covariates)
    counts = battles.win_counts(design.table)
    parts = strong_components(counts.wins)
    if len(parts) > 1 and ridge == 0:
        raise Disconnected(tuple(tuple(battles.contestants[i] for i in part) for part in parts))
    tied, total = float(counts.ties.sum()) / 2, float(counts.wins.sum())
    rule = ties if tied else HALF_WIN
    if rule != HALF_WIN:
        _check_ties(design, rule, ridge)
    start = _start(design, rule, tied, total)
    model = Model(design, rule, start)
    if start.size == design.m and ridge == 0:
        strengths, iterations = newton(counts.wins, tolerance, max_iterations)
        model = model.at(strengths)
    else:
        model, iterations = maximize(model, ridge, tolerance, max_iterations)
    if model.ties and ridge == 0 and max(model.tau, np.abs(model.parameters[: model.m]).max()) > _UNBOUNDED:
        raise NoMaximum(rule)
    return BradleyTerryFit(
        model=model, ties=ties, iterations=iterations, tolerance=tolerance, ridge=ridge, strata=strata
    )


def _check_ties(design: Design, rule: str, ridge: float) -> None:
    """Raise an error if *rule* cannot fit the battles of *design*: all are ties, or nothing bounds its parameter."""
    table = design.table
    won = table[:, :, LEFT] + table[:, :, RIGHT].T
    if not won.any():
        raise StatisticsError(f"All battles are ties, so the tie rule {rule} cannot rank the contestants.")
    if ridge == 0 and not bounds_ties(won, table[:, :, TIE]):
        raise NoMaximum(rule)


def _start(design: Design, rule: str, tied: float, total: float) -> Floats:
    """The parameters to begin with: equal strengths, no effects, and the observed share of ties."""
    start = np.zeros(design.m + len(design.effects) + (rule != HALF_WIN))
    if rule == RAO_KUPPER:
        start[-1] = 2 * math.atanh(tied / total)
    elif rule == DAVIDSON:
        start[-1] = math.log(2 * tied / (total - tied))
    return start


def _around(center: Floats, errors: StandardErrors, level: float) -> tuple[Floats, Floats, Floats]:
    """The ends of the intervals around *center*, and their standard errors, rounded."""
    half = errors.half_width(level)
    ends = center - half, center + half, errors.error
    low, high, error = (round_to(column, _PLACES) for column in ends)
    return low, high, error
