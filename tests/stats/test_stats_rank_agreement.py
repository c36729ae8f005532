"""Two leaderboards of the same contestants: their orders, and the slope of one's ratings on the other's."""

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.errors import Disconnected
from judge.stats.rank_agreement import rank_agreement

M, NAMES = 6, tuple("abcdef")
LEFT, RIGHT = (side.astype(np.int32) for side in np.triu_indices(M, 1))


def leaderboard(strength: np.ndarray, rng: np.random.Generator, prompts: int = 60, noise: float = 0.3) -> Battles:
    """Every pair on every prompt, decided by strengths that differ from prompt to prompt."""
    at = strength + rng.normal(0, noise, (prompts, M))
    chance = 1 / (1 + np.exp(at[:, RIGHT] - at[:, LEFT])).ravel()
    outcome = (rng.random(chance.size) > chance).astype(np.int8)
    cluster = np.repeat(np.arange(prompts, dtype=np.int32), LEFT.size)
    return Battles(NAMES, np.tile(LEFT, prompts), np.tile(RIGHT, prompts), outcome, cluster=cluster, n_clusters=prompts)


def test_figures_equal_those_of_scipy_and_of_the_fits() -> None:
    rng = np.random.default_rng(1)
    strength = np.linspace(1, -1, M)
    one, other = leaderboard(strength, rng), leaderboard(strength[[1, 0, 2, 3, 5, 4]], rng)

    found = rank_agreement(one, other, rng, replicates=200)

    first, second = (bradley_terry(battles).log_strengths for battles in (one, other))
    assert found.spearman.value == pytest.approx(spearmanr(first, second).statistic, abs=1e-6)
    assert found.kendall.value == pytest.approx(kendalltau(first, second).statistic, abs=1e-6)
    slope = np.polyfit(second, first, 1)[0]
    assert found.slope.value == pytest.approx(slope, abs=1e-6)
    assert np.allclose(found.residuals, POINTS * (first - slope * second), atol=1e-5)
    for figure in (found.spearman, found.kendall, found.slope):
        assert figure.low < figure.high
        assert figure.clusters == 60
    assert found.spearman.low <= found.spearman.value <= found.spearman.high <= 1


def test_a_judge_that_tells_less_apart_has_a_slope_below_one() -> None:
    """Half the spread of people's: about a half, and the interval leaves 1 out."""
    rng = np.random.default_rng(2)
    strength = np.linspace(1.2, -1.2, M)
    found = rank_agreement(leaderboard(strength / 2, rng, 200), leaderboard(strength, rng, 200), rng, replicates=200)

    assert found.slope.value == pytest.approx(0.5, abs=0.1)
    assert found.slope.high < 1
    assert found.spearman.value > 0.9


def test_what_cannot_be_compared_is_told() -> None:
    rng = np.random.default_rng(3)
    one = leaderboard(np.linspace(1, -1, M), rng)
    few = leaderboard(np.linspace(1, -1, M), rng, 4)

    assert rank_agreement(few, few, rng, replicates=20).slope.method == "none: 4 prompts, at least 5 are needed"
    with pytest.raises(ValueError, match="the same contestants and prompts"):
        rank_agreement(one, few, rng)
    pair = Battles.from_names(["a", "a"] * 9, ["b", "b"] * 9, ["left", "right"] * 9, cluster=list(range(18)))
    with pytest.raises(ValueError, match="An order of 2 contestants"):
        rank_agreement(pair, pair, rng)
    alone = Battles.from_names(["a", "b", "a"], ["b", "c", "c"], ["left"] * 3)
    with pytest.raises(ValueError, match="their battles need clusters"):
        rank_agreement(alone, alone, rng)
    unbeaten = Battles.from_names(["a", "b", "c"] * 6, ["b", "c", "b"] * 6, ["left"] * 18, cluster=list(range(18)))
    with pytest.raises(Disconnected):
        rank_agreement(unbeaten, unbeaten, rng)


def test_a_leaderboard_on_which_all_are_level_has_no_order() -> None:
    """Everything is a tie on one side: the two leaderboards are not compared, and no figure is made up."""
    left, right = ["a", "b", "a"] * 20, ["b", "c", "c"] * 20
    prompts = np.repeat(np.arange(20), 3)
    level = Battles.from_names(left, right, ["tie"] * 60, cluster=prompts)
    other = Battles.from_names(left, right, ["left", "left", "left", "right", "right", "left"] * 10, cluster=prompts)
    for one, two in ((level, other), (other, level), (level, level)):
        with pytest.raises(ValueError, match="all contestants are level"):
            rank_agreement(one, two, np.random.default_rng(0), replicates=10)
