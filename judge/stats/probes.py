"""Probes of a judge: what sways it beyond what people see, such as the length of an output or who wrote it.

A judge may see what people see more or less sharply: its log odds are then kappa times people's. A probe is silent for
such a judge. People's votes and the judge's scores on the same comparisons are fitted to the same regressors, and the
judge's coefficients are compared with kappa times people's.

- Style: logit P(left wins) = theta[left] - theta[right] + a * style + b * Z, with style and Z left minus right. Z is
  what people's other votes on an output say about it, so it has neither a vote's own error nor its annotator's taste.
  The error of Z is the same in both regressions, so kappa = b_J / b_H holds however large it is, and the effect of
  style is a_J - kappa a_H. With Z as a mere covariate of the judge's regression, style takes over what the error of Z
  hides, and a fair judge looks biased if style goes along with quality.
- A family of contestants: logit P(left wins) = theta[left] - theta[right]. Here kappa is the slope of the judge's log
  strengths on people's among contestants on the same side (in the family, or outside), and the effect is the distance
  of the family from that line. A judge can be sharper between contestants than between the outputs of one contestant,
  so the kappa of style does not serve here.

Multiplied by b_H, an effect of 0 reads a_J b_H - b_J a_H = 0, which does not divide by a figure that may be near 0.
This test, inverted, gives the interval. T. W. Anderson, H. Rubin (1949), Annals of Mathematical Statistics 20(1): the
inverted test. E. C. Fieller (1954), Journal of the Royal Statistical Society B 16(2): the interval of a ratio.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.battles import LEFT, RIGHT, Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.cluster_intervals import ALIKE, Estimate, too_few, without_interval
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level
from judge.stats.linearized import NOTHING, Linearized
from judge.stats.paired_model import Covariates, make_invertible
from judge.stats.votes import NOBODY

METHOD = "anderson-rubin-cr2-t"
LEAST_Z = 3.0
"""No effect is reported unless people's side of kappa is at least this many standard errors above 0."""
NO_OTHERS = "none: no output has the votes of two annotators, so people's view of it is not known"
QUALITY = "quality"
"""The name of Z among the covariates."""

_PRIOR = 1.0
"""The information of a prior with a standard deviation of 1 in log odds, which shrinks Z of little-known outputs."""
_PLACES = 9


@dataclass(frozen=True, eq=False)
class ProbeVotes:
    """n votes of people, each next to the judge's score of the same comparison.

    *left* and *right* are int32[n], codes of the m *contestants*; *left_output* and *right_output* are int32[n], codes
    of outputs. *comparison*, *annotator* (NOBODY if unknown) and *prompt* are int32[n]. *people* is float64[n], the
    left score of the vote, and *judge* is float64[n], the judge's mean left score of the comparison (1 left, 0.5 tie,
    0 right).
    """

    contestants: tuple[str, ...]
    left: Ints
    right: Ints
    left_output: Ints
    right_output: Ints
    comparison: Ints
    annotator: Ints
    prompt: Ints
    people: Floats
    judge: Floats

    @property
    def weight(self) -> Floats:
        """The weight of each vote, float64[n]: every comparison counts once."""
        weight: Floats = 1 / sums(self.comparison)[self.comparison]
        return weight


@dataclass(frozen=True)
class StyleEffects:
    """What style sways a judge beyond what people see.

    *z* is how many standard errors Z's coefficient is above 0 in people's regression; None if there is no Z.
    *sharpness* is kappa. *effects* are those of the covariates, in natural log odds per unit, by name. A figure that
    cannot be told has no value, and its method begins with "none: ", followed by the reason.
    """

    z: float | None
    sharpness: Estimate
    effects: tuple[tuple[str, Estimate], ...]


@dataclass(frozen=True, eq=False)
class _Fit:
    """A regression: its *parameters*, inverse information (*bread*), and weighted residuals and variances by vote."""

    parameters: Floats
    bread: Floats
    residual: Floats
    variance: Floats


@dataclass(frozen=True, eq=False)
class _TwoFits:
    """The regressions of people's votes and of the judge's scores on the same *covariates*."""

    votes: ProbeVotes
    covariates: Covariates
    people: _Fit
    judge: _Fit

    def effect(self, contrast: Floats, slope_contrast: Floats, level: float, n: int) -> Estimate:
        """The judge's *contrast* minus kappa times people's; kappa is the ratio of *slope_contrast*."""
        of_judge, of_people = contrast @ self.judge.parameters, contrast @ self.people.parameters
        kappa_judge, kappa_people = slope_contrast @ self.judge.parameters, slope_contrast @ self.people.parameters
        top = self.combined(
            float(of_judge * kappa_people - kappa_judge * of_people),
            kappa_people * contrast - of_people * slope_contrast,
            of_judge * slope_contrast - kappa_judge * contrast,
        )
        return _ratio(top, self.of_people(slope_contrast), level, n)

    def sharpness(self, slope_contrast: Floats, level: float, n: int) -> Estimate:
        """Kappa: the *slope_contrast* of the judge's coefficients divided by that of people's."""
        top = self.combined(float(slope_contrast @ self.judge.parameters), slope_contrast, 0 * slope_contrast)
        return _ratio(top, self.of_people(slope_contrast), level, n)

    def of_people(self, contrast: Floats) -> Linearized:
        """A *contrast* of people's coefficients."""
        return self.combined(float(contrast @ self.people.parameters), 0 * contrast, contrast)

    def combined(self, value: float, judge: Floats, people: Floats) -> Linearized:
        """A *value* whose derivatives are *judge* by the judge's coefficients and *people* by people's."""
        prompt, size = self.votes.prompt, int(self.votes.prompt.max()) + 1
        influence, information = np.zeros((2, size))
        for fit, derivative in ((self.judge, judge), (self.people, people)):
            along = _predictor(self.votes, self.covariates.values, fit.bread @ derivative)
            influence += sums(prompt, fit.residual * along, size)
            information += sums(prompt, fit.variance * along**2, size)
        return Linearized(value, influence, information)


def style_effects(votes: ProbeVotes, style: Covariates, level: float = 0.95) -> StyleEffects:
    """Estimate how far *style* sways the judge beyond people's view of the outputs.

    *style* holds the covariates of each vote, left minus right. Raises StatisticsError as `bradley_terry` does, and for
    a level outside 0 to 1.

    >>> item, won = np.arange(40, dtype=np.int32), np.tile([1.0, 1, 1, 0], 10)
    >>> left, right = np.zeros((2, 40), dtype=np.int32) + [[0], [1]]
    >>> votes = ProbeVotes(("a", "b"), left, right, item, item + 40, item, item, item, people=won, judge=won)
    >>> style_effects(votes, Covariates(("length",), np.tile([1.0, -1], 20)[:, None])).sharpness.method
    "none: no output has the votes of two annotators, so people's view of it is not known"
    """
    check_level(level)
    quality = _quality(votes)
    n = int(np.count_nonzero(sums(votes.comparison)))
    if not quality.any():
        return _unknown(style, None, NO_OTHERS, level, n, votes)
    covariates = Covariates((*style.names, QUALITY), np.column_stack((style.values, quality)))
    fits = _two_fits(votes, covariates)
    units = np.eye(fits.people.parameters.size)[len(votes.contestants) :]
    z = fits.of_people(units[-1]).z
    if z < LEAST_Z:
        reason = f"none: people's other votes on an output say too little of it: z {z:.1f}, not at least {LEAST_Z:g}"
        return _unknown(style, z, reason, level, n, votes)
    return StyleEffects(
        z=z,
        sharpness=fits.sharpness(units[-1], level, n),
        effects=tuple(
            (name, fits.effect(unit, units[-1], level, n)) for name, unit in zip(style.names, units[:-1], strict=True)
        ),
    )


def family_effect(votes: ProbeVotes, family: Collection[int], level: float = 0.95) -> Estimate:
    """Estimate how much higher the judge scores a *family* (codes of contestants) than people's scores predict.

    The effect is a share of a comparison between the family and another contestant: the log odds times the mean of
    p (1 - p), the change of the judge's score per log odds. Raises StatisticsError as `bradley_terry` does, for a level
    outside 0 to 1, and for a family that is empty or everybody.

    >>> item, won = np.arange(120, dtype=np.int32), np.repeat(np.tile([1.0, 1, 1, 1, 0], 8), 3)
    >>> left, right = np.tile([[0, 0, 1], [1, 2, 2]], 40).astype(np.int32)
    >>> votes = ProbeVotes(("a", "b", "c"), left, right, left, right, item, item, item // 3, people=won, judge=won)
    >>> family_effect(votes, [0]).value
    0.0
    """
    check_level(level)
    inside = np.zeros(len(votes.contestants), dtype=np.bool_)
    inside[list(family)] = True
    if inside.all() or not inside.any():
        raise StatisticsError("A family must be some of the contestants, and not all of them.")
    between = inside[votes.left] != inside[votes.right]
    n = int(np.count_nonzero(sums(votes.comparison[between])))
    fits = _two_fits(votes, Covariates((), np.empty((votes.left.size, 0))))
    slope_contrast = _within(fits.people.parameters, inside)
    z = fits.of_people(slope_contrast).z
    if z < LEAST_Z:
        reason = (
            f"none: people see too little difference among the other contestants: z {z:.1f}, not at least {LEAST_Z:g}"
        )
        return without_interval(None, reason, level, n, np.unique(votes.prompt[between]).size)
    contrast = np.where(inside, 1 / inside.sum(), -1 / (~inside).sum())
    effect = fits.effect(contrast, slope_contrast, level, n)
    return _scaled(effect, float(fits.judge.variance[between].sum() / votes.weight[between].sum()))


def _two_fits(votes: ProbeVotes, covariates: Covariates) -> _TwoFits:
    return _TwoFits(
        votes=votes,
        covariates=covariates,
        people=_fit(votes, votes.people, covariates),
        judge=_fit(votes, votes.judge, covariates),
    )


def _fit(votes: ProbeVotes, score: Floats, covariates: Covariates) -> _Fit:
    """Fit the regression of *score* (float64[n]). A score between 0 and 1 makes two battles, one for each side."""
    n, weight = score.size, votes.weight
    parts = np.concatenate((weight * score, weight * (1 - score)))
    row = np.flatnonzero(parts > 0)
    vote = row % n
    battles = Battles(
        contestants=votes.contestants,
        left=votes.left[vote],
        right=votes.right[vote],
        outcome=np.where(row < n, LEFT, RIGHT).astype(np.int8),
        weight=parts[row],
    )
    values = covariates.values[vote]
    fit = bradley_terry(battles, covariates=Covariates(covariates.names, values) if covariates.names else None)
    expected = _logistic(_predictor(votes, covariates.values, fit.model.parameters))
    return _Fit(
        parameters=fit.model.parameters,
        bread=np.linalg.inv(make_invertible(fit.model.information(), fit.model.m)).astype(np.float64, copy=False),
        residual=weight * (score - expected),
        variance=weight * expected * (1 - expected),
    )


def _predictor(votes: ProbeVotes, covariates: Floats, parameters: Floats) -> Floats:
    """The linear predictor of each vote, float64[n]: log strengths first, then a coefficient per covariate."""
    ahead: Floats = parameters[votes.left] - parameters[votes.right]
    return ahead + covariates @ parameters[len(votes.contestants) :]


def _logistic(eta: Floats) -> Floats:
    chance: Floats = 1 / (1 + np.exp(-np.clip(eta, -500, 500)))
    return chance


def _quality(votes: ProbeVotes) -> Floats:
    """Z of the left output minus Z of the right one, float64[n], from the votes of other annotators.

    It is one Newton step towards the outputs' posterior modes from their contestants' strengths: the sum of residuals
    over the sum of p (1 - p), plus the prior's.
    """
    fit = _fit(votes, votes.people, Covariates((), np.empty((votes.left.size, 0))))
    residual, variance = fit.residual / votes.weight, fit.variance / votes.weight
    unknown = votes.annotator == NOBODY
    annotator = np.where(unknown, votes.annotator.max() + 1 + np.arange(unknown.size), votes.annotator)
    outputs = np.concatenate((votes.left_output, votes.right_output))
    size = int(outputs.max()) + 1
    _, own = np.unique(np.concatenate((annotator, annotator)) * size + outputs, return_inverse=True)
    signed, both = np.concatenate((residual, -residual)), np.concatenate((variance, variance))
    others = sums(outputs, signed)[outputs] - sums(own, signed)[own]
    known = sums(outputs, both)[outputs] - sums(own, both)[own]
    left, right = (others / (known + _PRIOR)).reshape(2, -1)
    # Without other votes the two sums differ by rounding errors alone.
    alone = (sums(outputs)[outputs] == sums(own)[own]).reshape(2, -1)
    quality: Floats = np.where(alone[0], 0.0, left) - np.where(alone[1], 0.0, right)
    return quality


def _within(strengths: Floats, inside: Flags) -> Floats:
    """The *strengths* around their means on both sides of a family, float64[m]."""
    centered = strengths.copy()
    for side in (inside, ~inside):
        centered[side] -= strengths[side].mean()
    return centered


def _ratio(top: Linearized, bottom: Linearized, level: float, n: int) -> Estimate:
    """The ratio of *top* to *bottom* with Fieller's interval, or why there is none."""
    from scipy.special import stdtrit  # noqa: PLC0415 - a slow import, needed only here

    clusters = top.clusters
    if few := too_few(clusters):
        return without_interval(None, few, level, n, clusters)
    inflated = top.inflation * np.stack((top.influence, bottom.influence))
    (var_top, both), (_, var_bottom) = inflated @ np.stack((top.influence, bottom.influence)).T
    value = top.value / bottom.value
    if var_top <= NOTHING:
        return without_interval(round(value, _PLACES), ALIKE, level, n, clusters)
    squared = float(stdtrit(top.freedom, (1 + level) / 2)) ** 2
    a, b = bottom.value**2 - squared * var_bottom, top.value * bottom.value - squared * both
    if a <= 0:
        reason = (
            f"none: the effective number of prompts is {top.freedom + 1:.1f}, too few for an interval with two ends"
        )
        return without_interval(None, reason, level, n, clusters)
    half = max(b**2 - a * (top.value**2 - squared * var_top), 0.0) ** 0.5
    error = max(var_top - 2 * value * both + value**2 * var_bottom, 0.0) ** 0.5 / abs(bottom.value)
    low, high, value, error = (round(float(x), _PLACES) + 0.0 for x in ((b - half) / a, (b + half) / a, value, error))
    return Estimate(
        value=value, low=low, high=high, standard_error=error, method=METHOD, level=level, n=n, clusters=clusters
    )


def _scaled(effect: Estimate, factor: float) -> Estimate:
    """The *effect* in units of 1 / *factor*."""
    figures = (effect.value, effect.low, effect.high, effect.standard_error)
    value, low, high, error = (None if x is None else round(x * factor, _PLACES) + 0.0 for x in figures)
    return replace(effect, value=value, low=low, high=high, standard_error=error)


def _unknown(style: Covariates, z: float | None, reason: str, level: float, n: int, votes: ProbeVotes) -> StyleEffects:
    """No effects, and the *reason*."""
    nothing = without_interval(None, reason, level, n, np.unique(votes.prompt).size)
    return StyleEffects(z=z, sharpness=nothing, effects=tuple((name, nothing) for name in style.names))
