"""Calibration of probabilities that are right, and of overconfident ones."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from judge.columns.arrays import sums
from judge.stats.calibration import calibration
from judge.stats.errors import StatisticsError
from stats.known import known


def simulate_votes(sharper: float, seed: int = 0, n: int = 6000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate votes with known probabilities, and a judge whose log odds are *sharper* times too large."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.2, n)
    won = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    return 1 / (1 + np.exp(-odds * sharper)), won, np.repeat(np.arange(n // 10, dtype=np.int32), 10)


def test_a_calibrated_judge_has_little_error_and_a_temperature_of_one() -> None:
    p, won, cluster = simulate_votes(1.0)
    result = calibration(p, won, cluster, np.random.default_rng(1))

    assert result.brier.value == pytest.approx(brier_score_loss(won, p), abs=1e-8)
    assert result.log_loss.value == pytest.approx(log_loss(won, p), abs=1e-8)
    assert known(result.ece.value) < 0.02
    assert result.temperature == pytest.approx(1, abs=0.08)
    assert known(result.brier.low) < known(result.brier.value) < known(result.brier.high)


def test_a_judge_that_is_too_sure_is_cooled_by_as_much() -> None:
    """Log odds three times too large give a temperature of about 3, which repairs loss and error on other prompts."""
    result = calibration(*simulate_votes(3.0), np.random.default_rng(1))

    assert result.temperature == pytest.approx(3, abs=0.3)
    assert known(known(result.log_loss_after).high) < known(result.log_loss.low)
    assert known(known(result.ece_after).value) < 0.03 < known(result.ece.low)
    assert sum(step.n for step in result.curve) == 6000
    assert all(step.low <= step.sure <= step.high for step in result.curve)
    assert all(step.right < step.sure for step in result.curve[1:])


def test_the_slope_is_that_of_a_logistic_regression() -> None:
    """The slope equals that of scikit-learn without an intercept and a penalty; 1 and 1/3 are in their intervals."""
    for sharper in (1.0, 3.0):
        p, won, cluster = simulate_votes(sharper)
        odds = np.log(p / (1 - p))[:, None]
        fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(odds, won)

        slope = calibration(p, won, cluster, np.random.default_rng(1)).slope

        assert slope.value == pytest.approx(float(fit.coef_[0, 0]), abs=1e-4)
        assert known(slope.low) < 1 / sharper < known(slope.high)


def test_the_slopes_error_is_that_of_the_sandwich() -> None:
    """With many prompts of one size, the slope's standard error is that of the clustered sandwich."""
    p, won, cluster = simulate_votes(2.0)
    slope = calibration(p, won, cluster, np.random.default_rng(1)).slope
    odds = np.log(p / (1 - p))
    fitted = 1 / (1 + np.exp(-known(slope.value) * odds))
    scores = sums(cluster, odds * (won - fitted))
    information = (odds**2 * fitted * (1 - fitted)).sum()

    assert slope.standard_error == pytest.approx(np.sqrt(np.square(scores).sum()) / information, rel=0.01)


def test_a_judge_that_is_always_right_has_no_slope() -> None:
    """Votes that all go to the likelier side do not bound the slope, so it has no value, and the method says why."""
    p = np.full(20, 0.8)

    slope = calibration(p, np.ones(20), np.arange(20, dtype=np.int32), np.random.default_rng(0)).slope

    assert (slope.value, slope.method) == (None, "none: the votes do not determine the slope")


def test_a_calibrated_judge_has_an_error_that_may_be_zero() -> None:
    """The lower end of the calibration error is above 0 in at most 7 % of 300 samples of a calibrated judge's votes."""
    above = 0
    for seed in range(300):
        p, won, cluster = simulate_votes(1.0, seed, 400)
        above += known(calibration(p, won, cluster, np.random.default_rng(seed)).ece.low) > 0

    assert above / 300 <= 0.07


def test_the_debiased_error_is_less_than_noise_alone_gives() -> None:
    """The debiased error is near 0 for a calibrated judge, and near the root mean square gap for another."""
    calibrated, sharp = (
        calibration(*simulate_votes(sharper, 3, 20_000), np.random.default_rng(0)) for sharper in (1.0, 3.0)
    )
    gaps = sum(step.n * (step.right - step.sure) ** 2 for step in sharp.curve) / 20_000

    assert known(calibrated.debiased_error) < 0.01
    assert sharp.debiased_error == pytest.approx(gaps**0.5, rel=0.02)


def test_renaming_the_sides_changes_nothing() -> None:
    """Exchanging the sides (1 - p and the other winner) changes no figure (law 9)."""
    p, won, cluster = simulate_votes(2.0)
    as_given, exchanged = (
        calibration(*sides, cluster, np.random.default_rng(1)) for sides in ((p, won), (1 - p, 1 - won))
    )

    assert as_given.curve == exchanged.curve
    for name in ("slope", "brier", "log_loss", "ece", "ece_after"):
        assert getattr(as_given, name).value == pytest.approx(getattr(exchanged, name).value, abs=1e-6)


def test_too_little_data_has_no_temperature_and_bad_data_are_refused() -> None:
    p = np.array([0.7])
    result = calibration(p, np.array([1.0]), np.zeros(1, dtype=np.int32), np.random.default_rng(0))

    assert (result.temperature, result.log_loss_after, result.brier.low) == (None, None, None)
    with pytest.raises(StatisticsError, match="at least one vote"):
        calibration(p[:0], p[:0], np.zeros(0, dtype=np.int32), np.random.default_rng(0))
    with pytest.raises(StatisticsError, match="outside 0 to 1"):
        calibration(p * 2, p, np.zeros(1, dtype=np.int32), np.random.default_rng(0))
