"""Many comparisons with one reference, and Elo over many orders."""

from collections.abc import Callable

import numpy as np
import pytest

from judge.stats.battles import LEFT, RIGHT, Battles
from judge.stats.elo import elo, permuted_elo
from judge.stats.scorecard import ADJUSTMENTS, HOLM, MAX_T, NONE, Block, intervals, levels


def told(blocks: list[Block], adjustment: str, rng: np.random.Generator) -> list[bool]:
    """Which cells are told from 0."""
    found = []
    for block, cell_levels in zip(blocks, levels(blocks, adjustment, rng), strict=True):
        low, high = intervals(block, cell_levels)
        found += ((low > 0) | (high < 0)).tolist()
    return found


def drawn(rng: np.random.Generator, truth: np.ndarray) -> list[Block]:
    """Five categories of six contestants against a reference that they share, with 20 to 60 prompts each."""
    blocks = []
    for freedom in (19, 29, 39, 49, 59):
        covariance = np.eye(truth.size) + 1
        wide = rng.chisquare(freedom) / freedom
        noise = rng.standard_normal(truth.size) + rng.standard_normal()
        blocks.append(Block(truth + noise, covariance * wide, freedom))
    return blocks


@pytest.mark.parametrize("adjustment", [MAX_T, HOLM])
def test_equal_contestants_are_separated_in_one_leaderboard_of_twenty(adjustment: str) -> None:
    """30 cells, none with a difference: any at all is claimed in about 5 % of boards, and in most without adjusting."""
    rng = np.random.default_rng(4)
    leaderboards = [drawn(rng, np.zeros(6)) for _ in range(500)]

    adjusted = np.mean([any(told(blocks, adjustment, rng)) for blocks in leaderboards])
    plain = np.mean([any(told(blocks, NONE, rng)) for blocks in leaderboards])

    assert 0.015 <= adjusted <= 0.07
    assert plain > 0.4


def test_holm_tells_more_than_bonferroni() -> None:
    """With one difference out of the way, the next is held against a smaller number of cells."""
    errors, freedom = np.eye(2), 1_000_000
    first = Block(np.array([5.0, 2.1]), errors, freedom)
    alone = Block(np.array([0.1, 2.1]), errors, freedom)
    rng = np.random.default_rng(0)

    assert told([first], HOLM, rng) == [True, True]
    assert told([alone], HOLM, rng) == [False, False]


def test_max_t_of_two_independent_cells_is_sidaks() -> None:
    block = Block(np.zeros(2), np.eye(2), 1_000_000)

    [found] = levels([block], MAX_T, np.random.default_rng(1))

    assert found == pytest.approx([0.95**0.5] * 2, abs=0.004)


def test_an_empty_scorecard_and_an_unknown_adjustment() -> None:
    rng = np.random.default_rng(1)
    for adjustment in ADJUSTMENTS:
        assert levels([], adjustment, rng) == []
    with pytest.raises(ValueError, match="none of max-t, holm, none"):
        levels([], "bonferroni", rng)


def test_permuted_elo_is_the_mean_of_elo_in_those_orders(random_battles: Callable[..., Battles]) -> None:
    """The same random orders, each played by the plain rule."""
    battles = random_battles(2, n=300, weighted=True)
    orders = np.random.default_rng(9).permuted(np.tile(np.arange(300, dtype=np.int32), (20, 1)), axis=1)
    played = []
    for order in orders:
        assert battles.weight is not None
        columns = (battles.left[order], battles.right[order], battles.outcome[order], battles.weight[order])
        played.append(elo(Battles(battles.contestants, *columns)).ratings)

    found = permuted_elo(battles, np.random.default_rng(9), 20)

    np.testing.assert_allclose(found.ratings, np.mean(played, axis=0), atol=2e-6)
    np.testing.assert_allclose(found.order_sd, np.std(played, axis=0, ddof=1), atol=2e-6)


def test_permuted_elo_knows_how_sure_it_is_over_prompts() -> None:
    """Over populations of prompts its interval covers the rating of all prompts about 19 times in 20."""
    rng = np.random.default_rng(12)
    prompts, each, held, leaderboards = 40, 4, 0, 150
    zero = np.zeros(prompts * each, dtype=np.int32)
    cluster = np.repeat(np.arange(prompts), each)
    # The mean over orders of the whole population's Elo, from very many prompts of the same mix with the same K * n.
    many = 40
    chance = rng.beta(1.2, 0.8, (leaderboards, prompts))
    centre = []
    for _ in range(many):
        whole = rng.random(prompts * each) < rng.beta(1.2, 0.8, prompts)[cluster]
        outcome = np.where(whole, LEFT, RIGHT).astype(np.int8)
        centre.append(permuted_elo(Battles(("a", "b"), zero, zero + 1, outcome), rng, 10).ratings[0])
    truth = float(np.mean(centre))
    for leaderboard in range(leaderboards):
        outcome = np.where(rng.random(prompts * each) < chance[leaderboard][cluster], LEFT, RIGHT).astype(np.int8)
        found = permuted_elo(Battles(("a", "b"), zero, zero + 1, outcome, None, cluster, prompts), rng, 40)
        held += bool(found.low[0] <= truth <= found.high[0])

    assert found.method == "bootstrap-of-prompts-se-t"
    assert 0.88 <= held / leaderboards <= 0.99


def test_permuted_elo_of_few_prompts_has_no_interval(random_battles: Callable[..., Battles]) -> None:
    found = permuted_elo(random_battles(3, prompts=4), np.random.default_rng(0), 5)

    assert found.method.startswith("none: 4 prompts")
    assert np.isnan(found.low).all()
    assert (found.order_sd > 0).all()
    with pytest.raises(ValueError, match="at least 2"):
        permuted_elo(random_battles(3), np.random.default_rng(0), 1)


def test_a_difference_without_uncertainty_leaves_the_others_theirs() -> None:
    """What rounding leaves of a variance is none: such a cell has no width, and widens no other cell's interval."""
    told = Block(np.array([400.0, 12.0]), np.diag([1e-13, 25.0]), 40)
    alone = Block(np.array([12.0]), np.array([[25.0]]), 40)

    [levels_told] = levels([told], MAX_T, np.random.default_rng(0))
    [levels_alone] = levels([alone], MAX_T, np.random.default_rng(0))
    low, high = intervals(told, levels_told)

    assert (low[0], high[0]) == (400.0, 400.0)
    assert abs(levels_told[1] - levels_alone[0]) < 0.005
    assert low[1] < 12.0 < high[1] < np.inf
