"""Alpha spending keeps two equal contestants from being separated at some look."""

import numpy as np
import pytest

from judge.stats.alpha_spending import look_levels
from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.errors import StatisticsError

LOOKS, PER_LOOK = 20, 10


def ever_separated(rng: np.random.Generator, levels: np.ndarray) -> bool:
    """Whether two equal contestants, whose battles share prompts, are separated at some look."""
    n_prompts = LOOKS * PER_LOOK
    chance = 1 / (1 + np.exp(-rng.normal(0, 1, n_prompts)))
    cluster = np.repeat(np.arange(n_prompts, dtype=np.int32), 2)
    outcome = (rng.random(2 * n_prompts) > chance[cluster]).astype(np.int8)
    zero = np.zeros(2 * n_prompts, dtype=np.int32)
    for look, level in enumerate(levels.tolist(), 1):
        rows = slice(0, 2 * look * PER_LOOK)
        battles = Battles(
            ("a", "b"), zero[rows], zero[rows] + 1, outcome[rows], cluster=cluster[rows], n_clusters=look * PER_LOOK
        )
        differences = bradley_terry(battles).differences(1, level)
        if differences.low[0] > 0 or differences.high[0] < 0:
            return True
    return False


def test_two_equal_contestants_are_separated_at_any_of_20_looks_in_at_most_5_percent() -> None:
    """Intervals with alpha spending separate equal contestants in at most 5 % of runs; plain intervals in far more."""
    spent = sum(ever_separated(np.random.default_rng([1, n]), look_levels(LOOKS)) for n in range(200))
    plain = sum(ever_separated(np.random.default_rng([1, n]), np.full(LOOKS, 0.95)) for n in range(60))

    assert spent / 200 <= 0.05
    assert plain / 60 > 0.15


def test_the_whole_alpha_is_spent_and_a_single_look_is_plain() -> None:
    assert (1 - look_levels(20)).sum() == pytest.approx(0.05)
    assert look_levels(1).tolist() == [pytest.approx(0.95)]
    assert np.all(np.diff(look_levels(20)) < 0)
    with pytest.raises(StatisticsError, match="from 1 to 1,000, not 0"):
        look_levels(0)
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        look_levels(5, 1.0)
