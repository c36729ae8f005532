"""Two leaderboards of the same contestants agree in order and slope as other tools say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.errors import Disconnected, StatisticsError
from judge.stats.newton import newton
from judge.stats.prompt_influences import prompt_influences
from judge.stats.rank_agreement import ATTENUATED, UNDETERMINED, UNRELIABLE, rank_agreement
from stats.known import known

M, NAMES = 6, tuple("abcdef")
LEFT, RIGHT = (side.astype(np.int32) for side in np.triu_indices(M, 1))


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
NOISE = 0.3


def leaderboard(strength: np.ndarray, rng: np.random.Generator, prompts: int = 60, share: float = 1.0) -> Battles:
    """Simulate battles of a *share* of the pairs on each prompt, with strengths that differ between prompts."""
    battles = draw(strength + rng.normal(0, NOISE, (prompts, M)), rng)
    return battles if share == 1 else keep(battles, rng.random(battles.n) < share)


def keep(battles: Battles, rows: np.ndarray) -> Battles:
    """Keep only some rows of the battles, bool[n], and all contestants and prompts."""
    columns = {name: getattr(battles, name)[rows] for name in ("left", "right", "outcome", "cluster")}
    return replace(battles, **columns)


def draw(at: np.ndarray, rng: np.random.Generator) -> Battles:
    """Draw a battle of each pair of contestants on each prompt, with the strengths *at* each prompt."""
    prompts = len(at)
    chance = 1 / (1 + np.exp(at[:, RIGHT] - at[:, LEFT])).ravel()
    return Battles(
        contestants=NAMES,
        left=np.tile(LEFT, prompts),
        right=np.tile(RIGHT, prompts),
        outcome=(rng.random(chance.size) > chance).astype(np.int8),
        cluster=np.repeat(np.arange(prompts, dtype=np.int32), LEFT.size),
        n_clusters=prompts,
    )


def slope_of(first: np.ndarray, second: np.ndarray) -> float:
    """The slope of the fits of two populations of prompts."""
    fits = []
    for strength in (first, second):
        gap = (strength[LEFT] - strength[RIGHT])[:, None] + np.sqrt(2) * NOISE * NODES
        wins = np.zeros((M, M))
        wins[LEFT, RIGHT] = (1 / (1 + np.exp(-gap))) @ (WEIGHTS / WEIGHTS.sum())
        wins[RIGHT, LEFT] = 1 - wins[LEFT, RIGHT]
        fits.append(newton(wins, 1e-12, 100)[0])
    return float(fits[0] @ fits[1] / (fits[1] @ fits[1]))


def test_figures_equal_those_of_scipy_and_of_the_fits() -> None:
    rng = np.random.default_rng(1)
    strength = np.linspace(1, -1, M)
    first_battles, second_battles = leaderboard(strength, rng), leaderboard(strength[[1, 0, 2, 3, 5, 4]], rng)

    agreement = rank_agreement(first_battles, second_battles)

    first, second = (bradley_terry(battles).log_strengths for battles in (first_battles, second_battles))
    assert agreement.spearman.value == pytest.approx(spearmanr(first, second).statistic, abs=1e-6)
    assert agreement.kendall.value == pytest.approx(kendalltau(first, second).statistic, abs=1e-6)
    assert agreement.least_squares_slope == pytest.approx(np.polyfit(second, first, 1)[0], abs=1e-6)
    slope = known(agreement.slope.value)
    assert np.allclose(agreement.residuals, POINTS * (first - slope * second), atol=1e-3)
    for figure in (agreement.slope, agreement.pearson):
        assert known(figure.low) < known(figure.value) < known(figure.high)
        assert figure.clusters == 60


def test_rank_correlations_are_attenuated_and_have_no_interval() -> None:
    """An interval around an attenuated correlation would not contain the true one, so there is none."""
    rng = np.random.default_rng(6)
    first, second = (leaderboard(np.linspace(0.4, -0.4, M), rng) for _ in range(2))

    agreement = rank_agreement(first, second)

    for figure in (agreement.spearman, agreement.kendall):
        assert figure.value is not None
        assert figure.low is figure.high is None
        assert figure.method == ATTENUATED


def test_the_joint_covariance_of_two_leaderboards() -> None:
    """The influences of prompts on two fits give the covariances of their ratings over simulated repetitions.

    Both leaderboards share the effects of their prompts, so their ratings are correlated.
    """
    rng = np.random.default_rng(8)
    strength, prompts = np.linspace(0.6, -0.6, M), 60
    ratings, estimated = [], np.zeros((2 * M, 2 * M))
    for _ in range(300):
        at = strength + rng.normal(0, 1, (prompts, M))
        fits = [bradley_terry(draw(at, rng)) for _ in range(2)]
        ratings.append(np.concatenate([fit.log_strengths for fit in fits]))
        both = np.concatenate([prompt_influences(fit).values for fit in fits], axis=1)
        estimated += both.T @ both / 300

    simulated = np.cov(np.array(ratings), rowvar=False)
    own, shared = simulated.diagonal().mean(), simulated[:M, M:].diagonal().mean()
    assert shared > 0.4 * own
    assert estimated.diagonal().mean() == pytest.approx(own, rel=0.08)
    assert estimated[:M, M:].diagonal().mean() == pytest.approx(shared, rel=0.1)


def test_a_judge_that_separates_less_has_a_slope_below_one() -> None:
    """A judge with half the spread of people has a slope of about one half, and its interval excludes 1."""
    rng = np.random.default_rng(2)
    strength = np.linspace(1.2, -1.2, M)
    agreement = rank_agreement(leaderboard(strength / 2, rng, 200), leaderboard(strength, rng, 200))

    assert agreement.slope.value == pytest.approx(0.5, abs=0.1)
    assert known(agreement.slope.high) < 1
    assert known(agreement.spearman.value) > 0.9


@pytest.mark.parametrize("slope", [1.0, 0.4])
def test_the_slope_is_corrected_for_attenuation(slope: float) -> None:
    """With noisy human ratings, the least-squares slope is too small, and the corrected one is not.

    The interval contains the true slope in at least 93 % of 200 simulations, less two Monte-Carlo errors (0.036).
    """
    rng = np.random.default_rng(7)
    strength = np.linspace(0.9, -0.9, M)
    truth = slope_of(slope * strength, strength)
    agreements = [
        rank_agreement(leaderboard(slope * strength, rng, 100), leaderboard(strength, rng, 100, share=0.15))
        for _ in range(200)
    ]

    values = [known(a.slope.value) for a in agreements if a.slope.value is not None]
    covered = [known(a.slope.low) <= truth <= known(a.slope.high) for a in agreements if a.slope.value is not None]
    assert np.median([a.least_squares_slope for a in agreements]) < 0.94 * truth
    assert np.median(values) == pytest.approx(truth, rel=0.05)
    assert len(values) >= 160
    assert np.mean(covered) >= 0.93 - 0.036


def test_close_contestants_with_the_same_order() -> None:
    """Eight close contestants with the same true order on both leaderboards: nothing claims that they disagree.

    Rank correlations of about 0.7 are called attenuated, and intervals of the slope and of Pearson's correlation, where
    the data determine them, contain 1 in at least 93 % of 150 simulations, less two Monte-Carlo errors (0.04).
    """
    rng = np.random.default_rng(9)
    strength = np.linspace(0.25, -0.25, M)
    agreements = [rank_agreement(leaderboard(strength, rng), leaderboard(strength, rng)) for _ in range(150)]

    assert np.mean([known(a.spearman.value) for a in agreements]) < 0.85
    for name in ("slope", "pearson"):
        figures = [getattr(a, name) for a in agreements]
        wrong = [figure.value is not None and not figure.low <= 1 <= figure.high for figure in figures]
        assert np.mean(wrong) <= 0.07 + 0.04


def test_a_slope_that_the_data_do_not_determine_has_no_value() -> None:
    """Where people's ratings differ only by noise, any slope fits, and none is reported."""
    rng = np.random.default_rng(11)
    agreements = [
        rank_agreement(leaderboard(np.linspace(1, -1, M), rng, 20), leaderboard(np.zeros(M), rng, 20))
        for _ in range(40)
    ]

    undetermined = [a for a in agreements if a.slope.value is None]
    assert len(undetermined) >= 36
    for agreement in undetermined:
        assert agreement.slope.method == UNDETERMINED
        assert known(agreement.reliabilities)[1] < 0.9
        assert agreement.slope.low is agreement.slope.high is None
    assert next(a.pearson.method for a in agreements if known(a.reliabilities)[1] < 0.6) == UNRELIABLE


def test_contestants_with_few_prompts_of_their_own_are_left_out() -> None:
    """With battles on 3 prompts, the variance of a rating is unknown, and takes nothing from what is said of others."""
    rng = np.random.default_rng(12)
    battles = leaderboard(np.linspace(1, -1, M), rng)
    before = keep(battles, np.maximum(battles.left, battles.right) < M - 1)
    five = replace(before, contestants=NAMES[:-1])
    few = keep(battles, (np.maximum(battles.left, battles.right) < M - 1) | (known(battles.cluster) < 3))

    agreement, without = rank_agreement(few, battles), rank_agreement(five, five)

    assert (agreement.contestants, agreement.left_out) == (NAMES[:-1], ("f",))
    assert (without.contestants, without.left_out) == (NAMES[:-1], ())
    assert agreement.slope.value == pytest.approx(1, abs=0.1)
    assert known(agreement.pearson.low) <= 1
    assert known(agreement.spearman.value) > 0.9
    assert (agreement.spearman.n, agreement.residuals.size) == (M - 1, M - 1)


def test_without_three_others_few_prompts_leave_the_errors_unknown() -> None:
    """If only two have enough prompts, nobody is left out, and the variances of the others are unknown."""
    rng = np.random.default_rng(12)
    battles = leaderboard(np.linspace(1, -1, M), rng)
    few = keep(battles, (np.maximum(battles.left, battles.right) < 2) | (known(battles.cluster) < 3))

    agreement = rank_agreement(battles, few)

    assert agreement.slope.method == "none: c has 3 prompts of its own in one leaderboard, at least 5 are needed"
    assert agreement.left_out == ()
    assert agreement.reliabilities is None
    assert agreement.spearman.value is not None


def test_leaderboards_that_cannot_be_compared_are_refused() -> None:
    rng = np.random.default_rng(3)
    battles = leaderboard(np.linspace(1, -1, M), rng)
    few = leaderboard(np.linspace(1, -1, M), rng, 4)

    assert rank_agreement(few, few).slope.method == "none: 4 prompts, at least 5 are needed"
    with pytest.raises(StatisticsError, match="the same contestants and prompts"):
        rank_agreement(battles, few)
    pair = Battles.from_names(["a", "a"] * 9, ["b", "b"] * 9, ["left", "right"] * 9, cluster=list(range(18)))
    with pytest.raises(StatisticsError, match="at least 3 contestants, not 2"):
        rank_agreement(pair, pair)
    alone = Battles.from_names(["a", "b", "a"], ["b", "c", "c"], ["left"] * 3)
    with pytest.raises(StatisticsError, match="needs battles with clusters"):
        rank_agreement(alone, alone)
    unbeaten = Battles.from_names(["a", "b", "c"] * 6, ["b", "c", "b"] * 6, ["left"] * 18, cluster=list(range(18)))
    with pytest.raises(Disconnected):
        rank_agreement(unbeaten, unbeaten)


def test_a_leaderboard_on_which_all_are_level_has_no_order() -> None:
    """A leaderboard of nothing but ties has no order, and is refused."""
    left, right = ["a", "b", "a"] * 20, ["b", "c", "c"] * 20
    prompts = np.repeat(np.arange(20), 3)
    level = Battles.from_names(left, right, ["tie"] * 60, cluster=prompts)
    other = Battles.from_names(left, right, ["left", "left", "left", "right", "right", "left"] * 10, cluster=prompts)
    for first, second in ((level, other), (other, level), (level, level)):
        with pytest.raises(StatisticsError, match="have the same rating"):
            rank_agreement(first, second)
