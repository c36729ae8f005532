"""The calibration of a judge's probabilities against votes that are not ties.

Let p be the probability that the judge gives to the side that was voted for. The Brier score is the mean of (1 - p)
squared (G. W. Brier (1950), Monthly Weather Review 78(1)), and the log loss the mean of -ln p. Neither depends on which
side is called left. The expected calibration error sorts comparisons by the judge's confidence, max(p, 1 - p), into
five bins from 0.5 to 1. It is the mean distance between the confidence and the share of right answers: M. P. Naeini, G.
F. Cooper, M. Hauskrecht (2015), AAAI-15.

A temperature T divides the log odds of p: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), ICML. A T above 1 means
that the judge is overconfident. Its effect is measured by cross-fitting: each half of the prompts uses the temperature
of the other half.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.cluster_intervals import Estimate, jackknife, mean
from judge.stats.errors import StatisticsError

STEPS = 5
_LEAST = 1e-6
"""Probabilities are kept this far from 0 and 1, so that every error has a finite loss."""
_LOG_T = (-4.0, 4.0)
_PLACES = 6


@dataclass(frozen=True)
class CalibrationBin:
    """The *n* comparisons on which the judge's confidence is from *low* to *high*.

    *sure* is the mean confidence, and *right* the share of right answers.
    """

    low: float
    high: float
    n: int
    sure: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """Brier score, log loss, expected calibration error (*ece*), reliability *curve* and *temperature*.

    *log_loss_after* and *ece_after* are the figures with a temperature, on prompts it was not fitted on. They and the
    temperature are None with fewer than two prompts.
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
    """Measure the calibration of the *probability* of left, float64[n], against votes.

    *won* is float64[n], 1 for left and 0 for right. *cluster* is int32[n], the prompts, which *rng* divides into
    halves. Raises StatisticsError if there are no votes, or a probability lies outside 0 to 1.

    >>> p, won = np.full(100, 0.75), np.tile([1.0, 1.0, 1.0, 0.0], 25)
    >>> result = calibration(p, won, np.arange(100, dtype=np.int32), np.random.default_rng(0))
    >>> result.brier.value, result.ece.value, round(result.temperature, 2)
    (0.1875, 0.0, 1.0)
    """
    if probability.size == 0:
        raise StatisticsError("Calibration needs at least one vote that is not a tie.")
    outside = ~((probability >= 0) & (probability <= 1))
    if outside.any():
        raise StatisticsError(f"A probability lies outside 0 to 1: {probability[outside.argmax()]}.")
    given = np.clip(np.where(won == 1, probability, 1 - probability), _LEAST, 1 - _LEAST)
    brier = mean(np.square(1 - given), cluster, level, (0.0, 1.0))
    plain = mean(-np.log(given), cluster, level)
    error = _calibration_error(given, cluster, level)
    prompts, code = np.unique(cluster, return_inverse=True)
    if prompts.size < 2:  # noqa: PLR2004 - two halves
        return Calibration(
            brier=brier,
            log_loss=plain,
            ece=error,
            curve=_curve(given),
            temperature=None,
            log_loss_after=None,
            ece_after=None,
        )
    half = rng.permutation(prompts.size)[code] % 2 == 0
    odds = np.log(given / (1 - given))
    after = np.empty_like(given)
    for fold in (half, ~half):
        after[fold] = _logistic(odds[fold] / _temperature(odds[~fold]))
    return Calibration(
        brier=brier,
        log_loss=plain,
        ece=error,
        curve=_curve(given),
        temperature=round(_temperature(odds), _PLACES),
        log_loss_after=mean(-np.log(after), cluster, level),
        ece_after=_calibration_error(after, cluster, level),
    )


def _logistic(odds: Floats) -> Floats:
    p: Floats = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
    return np.clip(p, _LEAST, 1 - _LEAST)


def _temperature(odds: Floats) -> float:
    """The temperature with the least log loss. The loss is convex in 1 / T, so there is only one minimum."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - a slow import, needed only here

    minimum = minimize_scalar(lambda t: float(-np.log(_logistic(odds * np.exp(-t))).mean()), bounds=_LOG_T)
    return float(np.exp(minimum.x))


def _steps(given: Floats) -> tuple[Ints, Floats, Floats]:
    """The bin of each comparison, the judge's confidence, and whether it was right; 0.5 at a confidence of 0.5."""
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
        mean_error: Floats = np.abs(summed[:, 1] - summed[:, 2]).sum(axis=1) / summed[:, 0].sum(axis=1)
        return mean_error

    return jackknife(tables, error, level, sure.size, (0.0, 1.0))


def _curve(given: Floats) -> tuple[CalibrationBin, ...]:
    step, sure, right = _steps(given)
    counts, sure_sums, right_sums = (sums(step, column, STEPS) for column in (np.ones(sure.size), sure, right))
    return tuple(
        CalibrationBin(
            low=0.5 + at / (2 * STEPS),
            high=0.5 + (at + 1) / (2 * STEPS),
            n=int(counts[at]),
            sure=round(float(sure_sums[at] / counts[at]), _PLACES),
            right=round(float(right_sums[at] / counts[at]), _PLACES),
        )
        for at in range(STEPS)
        if counts[at]
    )
