"""AlpacaEval's length-controlled win rate, beside an independent fit and a simulation with known truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, xlogy

from judge.columns.arrays import Floats, Ints
from judge.stats.length_control import PENALTY, fitted_difficulties, length_control, length_terms


class Preferences(NamedTuple):
    """Preferences of one contestant over the baseline."""

    score: Floats
    length: Floats
    difficulty: Floats
    weight: Floats
    cluster: Ints


def preferences(seed: int, n: int = 805, theta: float = -0.4, phi: float = -1.2, psi: float = 0.7) -> Preferences:
    """Draw preferences of 0 and 1 from the model. The contestant's outputs are longer than the baseline's."""
    rng = np.random.default_rng(seed)
    baseline, contestant = rng.gamma(4, 300, n), rng.gamma(4, 400, n)
    length, difficulty = length_terms(baseline, contestant), rng.normal(0, 1, n)
    score = (rng.random(n) < expit(theta + phi * length + psi * difficulty)).astype(np.float64)
    return Preferences(score, length, difficulty, np.ones(n), np.arange(n, dtype=np.int32))


def test_the_coefficients_are_those_of_another_optimizer() -> None:
    """Also with fractional scores and unequal weights; the figure is the mean without the length's term."""
    rows = preferences(1)
    rng = np.random.default_rng(2)
    score, weight = (
        np.clip(rows.score * 0.8 + rng.random(rows.score.size) * 0.2, 0, 1),
        rng.gamma(2, 1, rows.score.size),
    )
    design = np.column_stack((np.ones(score.size), rows.length, rows.difficulty))

    def loss(at: Floats) -> float:
        chance = expit(design @ at)
        likelihood = xlogy(score, chance) + xlogy(1 - score, 1 - chance)
        return float(-(weight @ likelihood) + PENALTY / 2 * (at @ at))

    expected = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-6}).x
    result = length_control(score, rows.length, rows.difficulty, weight, rows.cluster)

    assert result.coefficients == pytest.approx(expected, abs=1e-4)
    even = expit(expected[0] + expected[2] * rows.difficulty)
    assert result.win_rate == pytest.approx(float(weight @ even / weight.sum()), abs=1e-5)


def test_two_standard_errors_cover_the_truth_of_a_simulation() -> None:
    """Outputs are longer and gain by it: the raw win rate is far off, the controlled one is not (400 replicates)."""
    truth = float(expit(-0.4 + 0.7 * np.random.default_rng(0).normal(0, 1, 200_000)).mean())
    draws = [preferences(seed) for seed in range(400)]
    results = [length_control(*rows) for rows in draws]

    errors = [result.standard_error for result in results]
    deviations = [(result.win_rate - truth) / (error or 1) for result, error in zip(results, errors, strict=True)]
    assert float(np.mean(np.abs(deviations) < 1.96)) > 0.95 - 2 * 0.011
    assert abs(float(np.mean(deviations))) < 0.2
    assert float(np.mean([rows.score.mean() for rows in draws])) > truth + 0.05


def test_equal_lengths_leave_the_win_rate_as_it_is() -> None:
    """There is nothing to control for."""
    rows = preferences(3)
    length = length_terms(np.full(805, 10.0), np.full(805, 10.0))

    result = length_control(rows.score, length, None, rows.weight, rows.cluster)

    assert not length.any()
    assert result.win_rate == pytest.approx(rows.score.mean(), abs=1e-4)
    assert result.standard_error == pytest.approx(rows.score.std(ddof=1) / 805**0.5, rel=1e-3)


def test_a_contestant_that_wins_everything_has_a_finite_fit() -> None:
    """The penalty bounds its coefficients."""
    rows = preferences(4)

    result = length_control(np.ones(805), rows.length, rows.difficulty, rows.weight, rows.cluster)

    assert 0.999 < result.win_rate < 1


def test_difficulties_are_those_that_the_other_contestants_show() -> None:
    """They go with the truth, and a contestant's own preferences have no part in its own."""
    rng = np.random.default_rng(5)
    truth, n = rng.normal(0, 1, 300), 8
    prompt, contestant = np.tile(np.arange(300), n).astype(np.int32), np.repeat(np.arange(n), 300).astype(np.int32)
    score = (rng.random(prompt.size) < expit(truth[prompt])).astype(np.float64)
    columns = np.zeros(prompt.size), np.ones(prompt.size), contestant, prompt

    fitted = fitted_difficulties(score, *columns)
    changed = fitted_difficulties(np.where(contestant == 0, 1 - score, score), *columns)

    assert fitted is not None
    assert changed is not None
    assert np.corrcoef(fitted, truth[prompt])[0, 1] > 0.7
    assert fitted[:300] == pytest.approx(changed[:300])
    assert np.abs(fitted[300:] - changed[300:]).max() > 0.01


def test_a_single_contestant_tells_no_difficulty() -> None:
    rows = preferences(6)

    assert (
        fitted_difficulties(rows.score, rows.length, rows.weight, np.zeros(805, dtype=np.int32), rows.cluster) is None
    )
