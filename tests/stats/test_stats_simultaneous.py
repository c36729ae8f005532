"""Inference on all contestants at once: ranks and pairs."""

import numpy as np
import pytest
from scipy.stats import t

from judge.columns.arrays import Floats
from judge.stats.ranks import ranks
from judge.stats.simultaneous import (
    pairs,
    rank_intervals,
)
from judge.stats.standard_errors import StandardErrors


def equal_errors(m: int, error: float, freedom: float) -> StandardErrors:
    """The same standard error for the difference of any two of m contestants."""
    return StandardErrors.of_t(np.full((m, m), error), freedom)


def pair_of_ranks(strengths: Floats, errors: StandardErrors) -> tuple[list[int], list[int]]:
    """The ends of the rank intervals, as lists."""
    intervals = rank_intervals(strengths, errors)
    return intervals.low.tolist(), intervals.high.tolist()


@pytest.mark.parametrize("m", [3, 10])
def test_a_pair_is_separated_beyond_its_bonferroni_quantile(m: int) -> None:
    """With equal prompts, a difference must exceed the quantile of t at alpha over the number of pairs."""
    critical = t.ppf(1 - 0.025 / (m * (m - 1) / 2), 40)
    strengths = np.zeros(m)
    for beyond, low_of_last in ((0.999, 1), (1.001, m)):
        strengths[-1] = -critical * beyond

        assert rank_intervals(strengths, equal_errors(m, 1.0, 40)).low[-1] == low_of_last


@pytest.mark.parametrize("gap", [0.0, 0.3, 3.0])
def test_rank_intervals_hold_all_ranks_at_once(gap: float) -> None:
    """The intervals cover all true ranks in at least 94 % of 1,000 leaderboards, also with equal contestants."""
    m, rng = 10, np.random.default_rng(5)
    truth = np.arange(m, dtype=np.float64) * gap
    place = ranks(truth) if gap else np.ones(m, dtype=int)
    worst = place if gap else np.full(m, m)
    held = 0
    for _ in range(1000):
        intervals = rank_intervals(truth + rng.standard_normal(m), equal_errors(m, np.sqrt(2), 10_000))
        held += bool((intervals.low <= place).all() and (intervals.high >= worst).all())
    assert held >= 940


def test_rank_intervals_separate_what_is_far_apart() -> None:
    assert pair_of_ranks(np.array([0.0, 9.0, 9.1]), equal_errors(3, 0.14, 60)) == ([3, 1, 1], [3, 2, 2])


def test_equal_scores_have_equal_ranks_even_without_uncertainty() -> None:
    """A difference that is a rounding error does not separate, however small its standard error is."""
    strengths = np.array([0.3, 0.3 + 1e-15, -0.6])

    assert pair_of_ranks(strengths, equal_errors(3, 1e-17, 60)) == ([1, 1, 3], [2, 2, 3])
    assert pair_of_ranks(strengths, equal_errors(3, 0.0, 60)) == ([1, 1, 3], [2, 2, 3])


def test_a_contestant_without_standard_errors_excludes_no_rank() -> None:
    """It may be better or worse than everybody, and the others are adjusted for their own pairs only."""
    errors = equal_errors(3, 0.1, 60)
    errors.error[2] = errors.error[:, 2] = np.nan

    assert pair_of_ranks(np.array([1.0, 0.0, -5.0]), errors) == ([1, 2, 1], [2, 3, 3])


def test_pairs_have_the_errors_of_differences() -> None:
    """A difference has the interval of its own standard error; a contestant and itself have none."""
    differences = pairs(np.array([0.3, 0.1]), equal_errors(2, np.sqrt(0.02), 10_000_000), 1.0)

    assert differences.standard_error[0, 1] == pytest.approx(np.sqrt(0.02), abs=1e-6)
    assert differences.difference[1, 0] == pytest.approx(-0.2)
    assert (differences.high - differences.low)[0, 1] == pytest.approx(2 * 1.959964 * np.sqrt(0.02), abs=1e-5)
    assert differences.difference[0, 0] == differences.low[0, 0] == differences.high[0, 0] == 0
