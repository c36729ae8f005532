"""Probabilities that mean what they say, and some that say too much."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from judge.stats.calibration import calibration


def drawn(sharper: float, seed: int = 0, n: int = 6000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes of known chances, and a judge whose log odds are so many times sharper than they should be."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.2, n)
    won = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    return 1 / (1 + np.exp(-odds * sharper)), won, np.repeat(np.arange(n // 10, dtype=np.int32), 10)


def test_a_calibrated_judge_has_little_error_and_a_temperature_of_one() -> None:
    p, won, cluster = drawn(1.0)
    found = calibration(p, won, cluster, np.random.default_rng(1))

    assert found.brier.value == pytest.approx(brier_score_loss(won, p), abs=1e-8)
    assert found.log_loss.value == pytest.approx(log_loss(won, p), abs=1e-8)
    assert found.ece.value < 0.02
    assert found.temperature == pytest.approx(1, abs=0.08)
    assert found.brier.low < found.brier.value < found.brier.high


def test_a_judge_that_is_too_sure_is_cooled_by_as_much() -> None:
    """Three times too sharp: a temperature of about 3, which repairs loss and error on prompts it has not seen."""
    found = calibration(*drawn(3.0), np.random.default_rng(1))

    assert found.temperature == pytest.approx(3, abs=0.3)
    assert found.log_loss_after.high < found.log_loss.low
    assert found.ece_after.value < 0.03 < found.ece.low
    assert sum(step.n for step in found.curve) == 6000
    assert all(step.low <= step.sure <= step.high for step in found.curve)
    assert all(step.right < step.sure for step in found.curve[1:])


def test_renaming_the_sides_changes_nothing() -> None:
    """Law 9: 1 - p and the other winner are the same judge."""
    p, won, cluster = drawn(2.0)
    one, other = (calibration(*sides, cluster, np.random.default_rng(1)) for sides in ((p, won), (1 - p, 1 - won)))

    assert one.curve == other.curve
    for name in ("brier", "log_loss", "ece", "ece_after"):
        assert getattr(one, name).value == pytest.approx(getattr(other, name).value, abs=1e-6)


def test_what_cannot_be_calibrated_is_told() -> None:
    one = np.array([0.7])
    found = calibration(one, np.array([1.0]), np.zeros(1, dtype=np.int32), np.random.default_rng(0))

    assert (found.temperature, found.log_loss_after, found.brier.low) == (None, None, None)
    with pytest.raises(ValueError, match="no vote"):
        calibration(one[:0], one[:0], np.zeros(0, dtype=np.int32), np.random.default_rng(0))
    with pytest.raises(ValueError, match="outside 0 to 1"):
        calibration(one * 2, one, np.zeros(1, dtype=np.int32), np.random.default_rng(0))
