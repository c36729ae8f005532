"""Calibration of probabilities that are right, and of overconfident ones."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

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


def test_renaming_the_sides_changes_nothing() -> None:
    """Exchanging the sides (1 - p and the other winner) changes no figure (law 9)."""
    p, won, cluster = simulate_votes(2.0)
    as_given, exchanged = (
        calibration(*sides, cluster, np.random.default_rng(1)) for sides in ((p, won), (1 - p, 1 - won))
    )

    assert as_given.curve == exchanged.curve
    for name in ("brier", "log_loss", "ece", "ece_after"):
        assert getattr(as_given, name).value == pytest.approx(getattr(exchanged, name).value, abs=1e-6)


def test_too_little_data_has_no_temperature_and_bad_data_are_refused() -> None:
    p = np.array([0.7])
    result = calibration(p, np.array([1.0]), np.zeros(1, dtype=np.int32), np.random.default_rng(0))

    assert (result.temperature, result.log_loss_after, result.brier.low) == (None, None, None)
    with pytest.raises(StatisticsError, match="at least one vote"):
        calibration(p[:0], p[:0], np.zeros(0, dtype=np.int32), np.random.default_rng(0))
    with pytest.raises(StatisticsError, match="outside 0 to 1"):
        calibration(p * 2, p, np.zeros(1, dtype=np.int32), np.random.default_rng(0))
