"""Two leaderboards of the same contestants agree in order and slope as other tools say."""

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.errors import Disconnected, StatisticsError
from judge.stats.rank_agreement import rank_agreement
from stats.known import known

M, NAMES = 6, tuple("abcdef")
LEFT, RIGHT = (side.astype(np.int32) for side in np.triu_indices(M, 1))


def leaderboard(strength: np.ndarray, rng: np.random.Generator, prompts: int = 60, noise: float = 0.3) -> Battles:
    """Simulate battles of all pairs on all prompts, with strengths that differ between prompts."""
    at = strength + rng.normal(0, noise, (prompts, M))
    chance = 1 / (1 + np.exp(at[:, RIGHT] - at[:, LEFT])).ravel()
    outcome = (rng.random(chance.size) > chance).astype(np.int8)
    cluster = np.repeat(np.arange(prompts, dtype=np.int32), LEFT.size)
    return Battles(NAMES, np.tile(LEFT, prompts), np.tile(RIGHT, prompts), outcome, cluster=cluster, n_clusters=prompts)


def test_figures_equal_those_of_scipy_and_of_the_fits() -> None:
    rng = np.random.default_rng(1)
    strength = np.linspace(1, -1, M)
    first_battles, second_battles = leaderboard(strength, rng), leaderboard(strength[[1, 0, 2, 3, 5, 4]], rng)

    agreement = rank_agreement(first_battles, second_battles, rng, replicates=200)

    first, second = (bradley_terry(battles).log_strengths for battles in (first_battles, second_battles))
    assert agreement.spearman.value == pytest.approx(spearmanr(first, second).statistic, abs=1e-6)
    assert agreement.kendall.value == pytest.approx(kendalltau(first, second).statistic, abs=1e-6)
    slope = np.polyfit(second, first, 1)[0]
    assert agreement.slope.value == pytest.approx(slope, abs=1e-6)
    assert np.allclose(agreement.residuals, POINTS * (first - slope * second), atol=1e-5)
    for figure in (agreement.spearman, agreement.kendall, agreement.slope):
        assert known(figure.low) < known(figure.high)
        assert figure.clusters == 60
    assert known(agreement.spearman.low) <= known(agreement.spearman.value) <= known(agreement.spearman.high) <= 1


def test_a_judge_that_separates_less_has_a_slope_below_one() -> None:
    """A judge with half the spread of people has a slope of about one half, and its interval excludes 1."""
    rng = np.random.default_rng(2)
    strength = np.linspace(1.2, -1.2, M)
    agreement = rank_agreement(
        leaderboard(strength / 2, rng, 200), leaderboard(strength, rng, 200), rng, replicates=200
    )

    assert agreement.slope.value == pytest.approx(0.5, abs=0.1)
    assert known(agreement.slope.high) < 1
    assert known(agreement.spearman.value) > 0.9


def test_leaderboards_that_cannot_be_compared_are_refused() -> None:
    rng = np.random.default_rng(3)
    battles = leaderboard(np.linspace(1, -1, M), rng)
    few = leaderboard(np.linspace(1, -1, M), rng, 4)

    assert rank_agreement(few, few, rng, replicates=20).slope.method == "none: 4 prompts, at least 5 are needed"
    with pytest.raises(StatisticsError, match="the same contestants and prompts"):
        rank_agreement(battles, few, rng)
    pair = Battles.from_names(["a", "a"] * 9, ["b", "b"] * 9, ["left", "right"] * 9, cluster=list(range(18)))
    with pytest.raises(StatisticsError, match="at least 3 contestants, not 2"):
        rank_agreement(pair, pair, rng)
    alone = Battles.from_names(["a", "b", "a"], ["b", "c", "c"], ["left"] * 3)
    with pytest.raises(StatisticsError, match="needs battles with clusters"):
        rank_agreement(alone, alone, rng)
    unbeaten = Battles.from_names(["a", "b", "c"] * 6, ["b", "c", "b"] * 6, ["left"] * 18, cluster=list(range(18)))
    with pytest.raises(Disconnected):
        rank_agreement(unbeaten, unbeaten, rng)


def test_a_leaderboard_on_which_all_are_level_has_no_order() -> None:
    """A leaderboard of nothing but ties has no order, and is refused."""
    left, right = ["a", "b", "a"] * 20, ["b", "c", "c"] * 20
    prompts = np.repeat(np.arange(20), 3)
    level = Battles.from_names(left, right, ["tie"] * 60, cluster=prompts)
    other = Battles.from_names(left, right, ["left", "left", "left", "right", "right", "left"] * 10, cluster=prompts)
    for first, second in ((level, other), (other, level), (level, level)):
        with pytest.raises(StatisticsError, match="have the same rating"):
            rank_agreement(first, second, np.random.default_rng(0), replicates=10)
