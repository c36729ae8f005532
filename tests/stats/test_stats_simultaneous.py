"""Inference on all contestants at once: ranks and pairs."""

import numpy as np
import pytest
from scipy.stats import studentized_range

from judge.stats.ranks import ranks
from judge.stats.simultaneous import (
    pairs,
    rank_intervals,
)


@pytest.mark.parametrize("m", [3, 10, 30])
def test_the_critical_value_of_independent_contestants_is_tukeys(m: int) -> None:
    """With equal and independent errors, the critical value is that of the studentized range over sqrt(2)."""
    ranks_of_equals = rank_intervals(np.zeros(m), np.eye(m), 40, np.random.default_rng(m), draws=40_000)

    assert ranks_of_equals.critical == pytest.approx(studentized_range.ppf(0.95, m, 40) / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("gap", [0.0, 0.3, 3.0])
def test_rank_intervals_hold_all_ranks_at_once(gap: float) -> None:
    """The intervals cover all true ranks in at least 94 % of 1,000 leaderboards, also with equal contestants."""
    m, rng = 10, np.random.default_rng(5)
    truth = np.arange(m, dtype=np.float64) * gap
    place = ranks(truth) if gap else np.ones(m, dtype=int)
    worst = place if gap else np.full(m, m)
    held = 0
    for _ in range(1000):
        intervals = rank_intervals(truth + rng.standard_normal(m), np.eye(m), 10_000, rng, draws=400)
        held += bool((intervals.low <= place).all() and (intervals.high >= worst).all())
    assert held >= 940


def test_rank_intervals_separate_what_is_far_apart() -> None:
    intervals = rank_intervals(np.array([0.0, 9.0, 9.1]), np.eye(3) * 0.01, 60, np.random.default_rng(0))

    assert (intervals.low.tolist(), intervals.high.tolist()) == ([3, 1, 1], [3, 2, 2])


def test_pairs_have_the_errors_of_differences() -> None:
    """What two contestants have in common does not widen the interval of their difference."""
    covariance = np.array([[0.04, 0.03], [0.03, 0.04]])
    differences = pairs(np.array([0.3, 0.1]), covariance, 10_000_000, 1.0)

    assert differences.standard_error[0, 1] == pytest.approx(np.sqrt(0.02), abs=1e-6)
    assert differences.difference[1, 0] == pytest.approx(-0.2)
    assert (differences.high - differences.low)[0, 1] == pytest.approx(2 * 1.959964 * np.sqrt(0.02), abs=1e-5)
    assert differences.difference[0, 0] == differences.low[0, 0] == differences.high[0, 0] == 0
