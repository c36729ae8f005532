"""The calibration of a judge's probabilities against votes that are not ties.

Let p be the probability that the judge gives to the side that was voted for. The *slope* b is that of the recalibration
logit P(vote) = b logit p: D. R. Cox (1958), Biometrika 45(3/4). It is 1 for a calibrated judge, less than 1 for an
overconfident one, and 0 for one whose probabilities say nothing. The temperature T = 1 / b divides the log odds of p:
C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), ICML. Its effect is measured by cross-fitting: each half of the
prompts uses the temperature of the other half.

The Brier score is the mean of (1 - p) squared (G. W. Brier (1950), Monthly Weather Review 78(1)), and the log loss the
mean of -ln p. None of these depends on which side is called left. The expected calibration error sorts comparisons by
the judge's confidence, max(p, 1 - p), into five bins from 0.5 to 1 (see `calibration_error`).
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints, places, present, sums
from judge.stats.calibration_error import BinErrors, calibration_error, root_mean_square_error
from judge.stats.cluster_intervals import Estimate, linear_interval, mean, without_interval
from judge.stats.cluster_variance import ClusterSums
from judge.stats.errors import StatisticsError

STEPS = 5
_LEAST = 1e-6
"""Probabilities are kept this far from 0 and 1, so that every error has a finite loss."""
_LOG_T = (-4.0, 4.0)
_STEEPEST = 50.0
"""The votes do not determine slopes beyond this."""
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
    """Recalibration *slope*, Brier score, log loss, expected calibration error (*ece*), *curve* and *temperature*.

    *debiased_error* is the root mean square calibration error, less what chance alone would give. *log_loss_after* and
    *ece_after* are the figures with a temperature, on prompts it was not fitted on. They and the temperature are None
    with fewer than two prompts.
    """

    slope: Estimate
    brier: Estimate
    log_loss: Estimate
    ece: Estimate
    debiased_error: float | None
    curve: tuple[CalibrationBin, ...]
    temperature: float | None
    log_loss_after: Estimate | None
    ece_after: Estimate | None


def calibration(
    probability: Floats, won: Floats, cluster: Ints, rng: np.random.Generator, level: float = 0.95
) -> Calibration:
    """Measure the calibration of the *probability* of left, float64[n], against votes.

    *won* is float64[n], 1 for left and 0 for right. *cluster* is int32[n], the prompts. *rng* divides them into halves
    and draws the noise for the interval of the calibration error. Raises StatisticsError if there are no votes, or a
    probability lies outside 0 to 1.

    >>> p, won = np.full(100, 0.75), np.tile([1.0, 1.0, 1.0, 0.0], 25)
    >>> result = calibration(p, won, np.arange(100, dtype=np.int32), np.random.default_rng(0))
    >>> result.slope.value, result.brier.value, result.ece.value, round(result.temperature, 2)
    (1.0, 0.1875, 0.0, 1.0)
    """
    if probability.size == 0:
        raise StatisticsError("Calibration needs at least one vote that is not a tie.")
    outside = ~((probability >= 0) & (probability <= 1))
    if outside.any():
        raise StatisticsError(f"A probability lies outside 0 to 1: {probability[outside.argmax()]}.")
    given = np.clip(np.where(won == 1, probability, 1 - probability), _LEAST, 1 - _LEAST)
    odds = np.log(given / (1 - given))
    prompts = present(cluster)
    code = places(cluster, prompts).astype(np.int32)
    temperature, after = None, None
    if prompts.size > 1:
        temperature = round(_temperature(odds), _PLACES)
        after = _cross_fitted(odds, rng.permutation(prompts.size)[code] % 2 == 0)
    return Calibration(
        slope=_slope(odds, code, level),
        brier=mean(np.square(1 - given), cluster, level, (0.0, 1.0)),
        log_loss=mean(-np.log(given), cluster, level),
        ece=calibration_error(_errors(given, code), rng, level),
        debiased_error=root_mean_square_error(_errors(given, code)),
        curve=_curve(given),
        temperature=temperature,
        log_loss_after=None if after is None else mean(-np.log(after), cluster, level),
        ece_after=None if after is None else calibration_error(_errors(after, code), rng, level),
    )


def _slope(odds: Floats, code: Ints, level: float) -> Estimate:
    """The slope of the recalibration, the maximum of the likelihood, from the log *odds* of the sides voted for."""
    from scipy.optimize import brentq  # noqa: PLC0415 - a slow import, needed only here

    def score(slope: float) -> Floats:
        values: Floats = odds * (1 - _logistic(slope * odds))
        return values

    n, clusters = odds.size, int(code.max()) + 1
    if score(_STEEPEST).sum() >= 0 or score(-_STEEPEST).sum() <= 0:
        return without_interval(None, "none: the votes do not determine the slope", level, n, clusters)
    slope = float(brentq(lambda at: float(score(at).sum()), -_STEEPEST, _STEEPEST))
    probability = _logistic(slope * odds)
    information = np.square(odds) * probability * (1 - probability)
    # In units of the mean information of a row, a row has the weight 1.
    unit = float(information.mean())
    residual = score(slope) / unit
    by_cluster = ClusterSums(
        residual=sums(code, residual),
        weight=sums(code, information / unit),
        row_variance=float(residual @ residual / n),
    )
    return linear_interval(slope, by_cluster, level, n)


def _cross_fitted(odds: Floats, half: Flags) -> Floats:
    """The probabilities with a temperature, on each *half* (bool[n]) that of the other."""
    after = np.empty_like(odds)
    for fold in (half, ~half):
        after[fold] = _logistic(odds[fold] / _temperature(odds[~fold]))
    return after


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


def _errors(given: Floats, code: Ints) -> BinErrors:
    step, sure, right = _steps(given)
    return BinErrors(error=right - sure, step=step, cluster=code)


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
