"""Simultaneous intervals against one reference, and Elo over many orders."""

from collections.abc import Callable

import numpy as np
import pytest

from judge.columns.arrays import Floats
from judge.stats.battles import LEFT, RIGHT, Battles
from judge.stats.critical_values import critical_value
from judge.stats.elo import elo, permuted_elo
from judge.stats.errors import StatisticsError
from judge.stats.scorecard import ADJUSTMENTS, HOLM, MAX_T, NONE, Block, intervals, levels
from judge.stats.standard_errors import StandardErrors


def block_of(difference: list[float] | Floats, covariance: Floats, freedom: float) -> Block:
    """A block whose cells all have the same degrees of freedom."""
    errors = StandardErrors.of_t(np.sqrt(covariance.diagonal()), freedom)
    return Block(np.asarray(difference, dtype=np.float64), covariance, errors)


def significant_cells(blocks: list[Block], adjustment: str, rng: np.random.Generator) -> list[bool]:
    """The cells that differ significantly from 0."""
    significant = []
    for block, cell_levels in zip(blocks, levels(blocks, adjustment, rng), strict=True):
        low, high = intervals(block, cell_levels, 0.95)
        significant += ((low > 0) | (high < 0)).tolist()
    return significant


def draw_blocks(rng: np.random.Generator, truth: np.ndarray) -> list[Block]:
    """Draw five categories of six contestants against a common reference, with 20 to 60 prompts each."""
    blocks = []
    for freedom in (19, 29, 39, 49, 59):
        covariance = np.eye(truth.size) + 1
        wide = rng.chisquare(freedom) / freedom
        noise = rng.standard_normal(truth.size) + rng.standard_normal()
        blocks.append(block_of(truth + noise, covariance * wide, freedom))
    return blocks


@pytest.mark.parametrize("adjustment", [MAX_T, HOLM])
def test_equal_contestants_are_separated_in_one_leaderboard_of_twenty(adjustment: str) -> None:
    """Of 30 cells without differences, some cell is significant in about 5 % of leaderboards after adjustment."""
    rng = np.random.default_rng(4)
    leaderboards = [draw_blocks(rng, np.zeros(6)) for _ in range(500)]

    adjusted = np.mean([any(significant_cells(blocks, adjustment, rng)) for blocks in leaderboards])
    plain = np.mean([any(significant_cells(blocks, NONE, rng)) for blocks in leaderboards])

    assert 0.015 <= adjusted <= 0.07
    assert plain > 0.4


def test_holm_finds_more_than_bonferroni() -> None:
    """After one significant difference, the next is tested against fewer cells."""
    errors, freedom = np.eye(2), 1_000_000
    first = block_of([5.0, 2.1], errors, freedom)
    alone = block_of([0.1, 2.1], errors, freedom)
    rng = np.random.default_rng(0)

    assert significant_cells([first], HOLM, rng) == [True, True]
    assert significant_cells([alone], HOLM, rng) == [False, False]


def test_the_last_step_of_holm_is_unadjusted() -> None:
    """After all other cells are significant, the last has the critical value of a single comparison."""
    one_large_prompt = StandardErrors(np.ones(2), np.full(2, 1 / 2), np.full(2, 0.35))
    block = Block(np.array([1000.0, 3.0]), np.eye(2), one_large_prompt)

    [cell_levels] = levels([block], HOLM, np.random.default_rng(0))
    low, _ = intervals(block, cell_levels, 0.95)

    assert 3.0 - low[1] == pytest.approx(float(critical_value(0.95, np.array([1 / 2]), np.array([0.35]))[0]))
    assert significant_cells([block], HOLM, np.random.default_rng(0)) == [True, True]


def test_max_t_of_two_independent_cells_is_sidaks() -> None:
    block = block_of(np.zeros(2), np.eye(2), 1_000_000)

    [cell_levels] = levels([block], MAX_T, np.random.default_rng(1))

    assert cell_levels == pytest.approx([0.95**0.5] * 2, abs=0.004)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.99])
def test_max_t_lies_between_none_and_bonferroni_for_cells_of_any_degrees_of_freedom(correlation: float) -> None:
    """A contestant on few prompts, or whose variance is nearly that of one prompt, widens no other interval."""
    freedom = np.array([1.01, 4.0, 39.0, 39.0])
    s2 = 1 / freedom
    errors = StandardErrors(np.ones(4), s2, s2**1.7)
    block = Block(np.zeros(4), np.full((4, 4), correlation) + (1 - correlation) * np.eye(4), errors)
    single = Block(np.zeros(1), np.eye(1), errors.at([0]))

    [adjusted] = levels([block], MAX_T, np.random.default_rng(0))
    [alone] = levels([single], MAX_T, np.random.default_rng(0))
    half = intervals(block, adjusted, 0.95)[1]

    assert (errors.half_width(0.95) <= half).all()
    assert (half <= errors.simultaneous_half_width(0.95, 4) * (1 + 1e-9)).all()
    assert 0.98 < half[2] / errors.simultaneous_half_width(0.95, 4)[2] or correlation > 0.4
    assert alone == pytest.approx([0.95], abs=0)


def test_an_empty_scorecard_and_an_unknown_adjustment() -> None:
    rng = np.random.default_rng(1)
    for adjustment in ADJUSTMENTS:
        assert levels([], adjustment, rng) == []
    with pytest.raises(StatisticsError, match="choose one of holm, max-t, none"):
        levels([], "bonferroni", rng)


def test_permuted_elo_is_the_mean_of_elo_in_those_orders(random_battles: Callable[..., Battles]) -> None:
    """The mean and the spread are those of plain Elo in the same random orders."""
    battles = random_battles(2, n=300, weighted=True)
    orders = np.random.default_rng(9).permuted(np.tile(np.arange(300, dtype=np.int32), (20, 1)), axis=1)
    played = []
    for order in orders:
        assert battles.weight is not None
        columns = (battles.left[order], battles.right[order], battles.outcome[order], battles.weight[order])
        played.append(elo(Battles(battles.contestants, *columns)).ratings)

    permuted = permuted_elo(battles, np.random.default_rng(9), 20)

    np.testing.assert_allclose(permuted.ratings, np.mean(played, axis=0), atol=2e-6)
    np.testing.assert_allclose(permuted.order_sd, np.std(played, axis=0, ddof=1), atol=2e-6)


def test_permuted_elo_knows_how_sure_it_is_over_prompts() -> None:
    """The interval covers the rating over all prompts in about 95 % of samples."""
    rng = np.random.default_rng(12)
    prompts, each, held, leaderboards = 40, 4, 0, 150
    zero = np.zeros(prompts * each, dtype=np.int32)
    cluster = np.repeat(np.arange(prompts, dtype=np.int32), each)
    # The truth is the mean over orders and over many samples of prompts of the same mix with the same K * n.
    populations = 40
    chance = rng.beta(1.2, 0.8, (leaderboards, prompts))
    ratings = []
    for _ in range(populations):
        whole = rng.random(prompts * each) < rng.beta(1.2, 0.8, prompts)[cluster]
        outcome = np.where(whole, LEFT, RIGHT).astype(np.int8)
        ratings.append(permuted_elo(Battles(("a", "b"), zero, zero + 1, outcome), rng, 10).ratings[0])
    truth = float(np.mean(ratings))
    for leaderboard in range(leaderboards):
        outcome = np.where(rng.random(prompts * each) < chance[leaderboard][cluster], LEFT, RIGHT).astype(np.int8)
        permuted = permuted_elo(Battles(("a", "b"), zero, zero + 1, outcome, None, cluster, prompts), rng, 40)
        held += bool(permuted.low[0] <= truth <= permuted.high[0])

    assert permuted.method == "bootstrap-of-prompts-se-t"
    assert 0.88 <= held / leaderboards <= 0.99


def test_permuted_elo_of_few_prompts_has_no_interval(random_battles: Callable[..., Battles]) -> None:
    permuted = permuted_elo(random_battles(3, prompts=4), np.random.default_rng(0), 5)

    assert permuted.method.startswith("none: 4 prompts")
    assert np.isnan(permuted.low).all()
    assert (permuted.order_sd > 0).all()
    with pytest.raises(StatisticsError, match="at least 2"):
        permuted_elo(random_battles(3), np.random.default_rng(0), 1)


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_a_difference_without_a_standard_error_leaves_the_others_theirs(adjustment: str) -> None:
    """A cell without a standard error has no interval, and widens no other interval."""
    mixed = block_of([400.0, 12.0], np.diag([np.nan, 25.0]), 40)
    alone = block_of([12.0], np.array([[25.0]]), 40)

    [levels_mixed] = levels([mixed], adjustment, np.random.default_rng(0))
    [levels_alone] = levels([alone], adjustment, np.random.default_rng(0))
    low, high = intervals(mixed, levels_mixed, 0.95)

    assert np.isnan([low[0], high[0]]).all()
    assert abs(levels_mixed[1] - levels_alone[0]) < 0.005
    assert low[1] < 12.0 < high[1] < np.inf
