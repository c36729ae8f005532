"""Do a judge's probabilities mean what they say?

Against votes that are not ties, with p the probability that the judge gives to the side that was voted for: the Brier
score is the mean of (1 - p) squared (G. W. Brier (1950), Monthly Weather Review 78(1)), the log loss that of -ln p.
Both are the same whichever side is called left. The expected calibration error sorts comparisons by how sure the judge
is, max(p, 1 - p), into five steps from a half to 1, and is the mean distance between how sure it was and how often it
was right: M. P. Naeini, G. F. Cooper, M. Hauskrecht (2015), AAAI-15.

A temperature T divides the log odds of p: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), ICML. Above 1 the judge
is too sure. What it does is measured on prompts it was not fitted on: two halves, each with the other's.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.cluster_intervals import Estimate, jackknife, mean

STEPS = 5
_LEAST = 1e-6
"""Probabilities are kept this far from 0 and 1, so that a sure error has a finite loss."""
_LOG_T = (-4.0, 4.0)
_PLACES = 6


@dataclass(frozen=True)
class CalibrationBin:
    """Comparisons on which the judge was from *low* to *high* sure: how many, how sure on average, how often right."""

    low: float
    high: float
    n: int
    sure: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """Brier score, log loss, expected calibration error (*ece*), reliability *curve*, and what a *temperature* does.

    The last two figures are with the temperature, on prompts it was not fitted on; None with fewer than two prompts.
    """

    brier: Estimate
    log_loss: Estimate
    ece: Estimate
    curve: tuple[CalibrationBin, ...]
    temperature: float | None
    log_loss_after: Estimate | None
    ece_after: Estimate | None


def calibration(
    probability: Floats, won: Floats, cluster: Ints, rng: np.random.Generator, level: float = 0.95
) -> Calibration:
    """How the *probability* of left, float64[n], fits what votes said: *won* is 1 for left, 0 for right, float64[n].

    *cluster* is int32[n], the prompts, which *rng* halves. Raises ValueError where there are no votes, or a probability
    lies outside 0 to 1.

    >>> p, won = np.full(100, 0.75), np.tile([1.0, 1.0, 1.0, 0.0], 25)
    >>> found = calibration(p, won, np.arange(100, dtype=np.int32), np.random.default_rng(0))
    >>> found.brier.value, found.ece.value, round(found.temperature, 2)
    (0.1875, 0.0, 1.0)
    """
    if probability.size == 0:
        raise ValueError("There is no vote to hold probabilities against.")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("A probability lies outside 0 to 1.")
    given = np.clip(np.where(won == 1, probability, 1 - probability), _LEAST, 1 - _LEAST)
    brier = mean(np.square(1 - given), cluster, level, (0.0, 1.0))
    plain = mean(-np.log(given), cluster, level)
    error = _calibration_error(given, cluster, level)
    prompts, code = np.unique(cluster, return_inverse=True)
    if prompts.size < 2:  # noqa: PLR2004 - two halves
        return Calibration(brier, plain, error, _curve(given), None, None, None)
    half = rng.permutation(prompts.size)[code] % 2 == 0
    odds = np.log(given / (1 - given))
    after = np.empty_like(given)
    for fold in (half, ~half):
        after[fold] = _logistic(odds[fold] / _temperature(odds[~fold]))
    return Calibration(
        brier,
        plain,
        error,
        _curve(given),
        round(_temperature(odds), _PLACES),
        mean(-np.log(after), cluster, level),
        _calibration_error(after, cluster, level),
    )


def _logistic(odds: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
    return np.clip(found, _LEAST, 1 - _LEAST)


def _temperature(odds: Floats) -> float:
    """The temperature with the least log loss: the loss is convex in 1 / T, so it has one minimum there."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - a slow import, needed only here

    found = minimize_scalar(lambda t: float(-np.log(_logistic(odds * np.exp(-t))).mean()), bounds=_LOG_T)
    return float(np.exp(found.x))


def _steps(given: Floats) -> tuple[Ints, Floats, Floats]:
    """The step of each comparison, how sure the judge was, and whether it was right; half right at a half."""
    sure = np.maximum(given, 1 - given)
    step = np.minimum((2 * sure - 1) * STEPS, STEPS - 1).astype(np.int32)
    right = np.where(np.abs(given - 0.5) < _LEAST, 0.5, given > 0.5)  # noqa: PLR2004 - a half
    return step, sure, right


def _calibration_error(given: Floats, cluster: Ints, level: float) -> Estimate:
    step, sure, right = _steps(given)
    code = np.unique(cluster, return_inverse=True)[1]
    at = code.astype(np.int64) * STEPS + step
    size = (int(code.max()) + 1) * STEPS
    tables = np.stack(
        [sums(at, column, size).reshape(-1, STEPS) for column in (np.ones(sure.size), sure, right)], axis=1
    )

    def error(summed: Floats) -> Floats:
        found: Floats = np.abs(summed[:, 1] - summed[:, 2]).sum(axis=1) / summed[:, 0].sum(axis=1)
        return found

    return jackknife(tables, error, level, sure.size, (0.0, 1.0))


def _curve(given: Floats) -> tuple[CalibrationBin, ...]:
    step, sure, right = _steps(given)
    many, told, were = (sums(step, column, STEPS) for column in (np.ones(sure.size), sure, right))
    return tuple(
        CalibrationBin(
            0.5 + at / (2 * STEPS),
            0.5 + (at + 1) / (2 * STEPS),
            int(many[at]),
            round(float(told[at] / many[at]), _PLACES),
            round(float(were[at] / many[at]), _PLACES),
        )
        for at in range(STEPS)
        if many[at]
    )
