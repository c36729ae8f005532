"""Goodness of fit: pairs, cycles, and the variation between prompts."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from fit_simulations import World, tally

from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.goodness_of_fit import FEWEST, goodness_of_fit
from judge.stats.pair_scores import pair_scores
from judge.stats.paired_model import Covariates
from judge.stats.prompt_variation import share_between_prompts
from judge.stats.tie_rules import DAVIDSON, RAO_KUPPER

VARIANTS: dict[str, dict[str, Any]] = {
    "half wins": {},
    "position": {"position": True},
    "davidson": {"ties": DAVIDSON, "position": True},
    "rao-kupper": {"ties": RAO_KUPPER},
    "covariates": {"covariates": Covariates(("length",), np.random.default_rng(7).normal(0, 1, (600, 1)))},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_effective_residual_is_the_influence_of_its_prompt(
    variant: str, random_battles: Callable[..., Battles]
) -> None:
    """It is the derivative of the pair's residual with respect to the prompt's weight, with everything fitted again."""
    battles, options = random_battles(3, n=600, m=4, prompts=12, weighted=True), VARIANTS[variant]
    scores = pair_scores(bradley_terry(battles, **options).model)
    residuals, step = scores.effective_residuals(), 1e-4

    def residual(factor: float, prompt: int) -> np.ndarray:
        assert battles.weight is not None
        assert battles.cluster is not None
        weight = battles.weight * np.where(battles.cluster == prompt, factor, 1.0)
        weighted = Battles(
            battles.contestants, battles.left, battles.right, battles.outcome, weight, battles.cluster, 12
        )
        again = pair_scores(bradley_terry(weighted, tolerance=1e-13, **options).model)
        return np.bincount(again.pair, again.residual)

    for prompt in (0, 5):
        influence = (residual(1 + step, prompt) - residual(1 - step, prompt)) / (2 * step)

        assert residuals[prompt] == pytest.approx(influence, abs=2e-5)
    assert residuals.sum(axis=0) == pytest.approx(np.bincount(scores.pair, scores.residual), abs=1e-9)


def test_p_values_are_those_of_all_flips() -> None:
    """With eight prompts, random flips give the p-values that all 256 flips give, adjusted by the largest statistic."""
    battles = World(np.array([0.4, 0.0, -0.4]), 8, cycle=0.7).battles(np.random.default_rng(6))
    model = bradley_terry(battles).model
    scores = pair_scores(model)
    residuals = scores.effective_residuals()
    least = scores.covariance().diagonal()
    error = np.sqrt(np.maximum(np.square(residuals).sum(axis=0), least))
    largest = np.array([np.abs(np.array(signs) @ residuals / error).max() for signs in product((-1, 1), repeat=8)])
    statistic = np.abs(residuals.sum(axis=0)) / error
    exact = (largest[:, None] >= statistic - 1e-9).mean(axis=0)
    fit_test = goodness_of_fit(model, np.random.default_rng(0), flips=9999)

    assert fit_test.pairs is not None
    assert np.abs(fit_test.pairs.statistic) == pytest.approx(statistic, abs=1e-6)
    assert fit_test.pairs.p == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize("sizes", ["equal", "pareto"])
def test_a_fit_without_a_fault_is_significant_as_often_as_the_level_says(sizes: str) -> None:
    """Correlation within prompts, of equal or Pareto sizes, is no fault of the fit: 250 leaderboards."""
    result = tally(World(np.linspace(1, -1, 5), 16, sizes), 250, flips=199)

    assert result.tested > 150
    assert 0.01 < result.pairs / result.tested < 0.1
    assert 0.01 < result.triads / result.tested < 0.1


def test_rock_paper_scissors_is_named() -> None:
    """A cycle of one unit of log odds among four contestants is named in most leaderboards of 20 prompts."""
    result = tally(World(np.linspace(0.3, -0.3, 4), 20, cycle=1.0), 60, flips=199)

    assert result.cycle > 0.8 * result.tested


def test_a_cycle_is_told_in_its_direction() -> None:
    """Each contestant of a named triad scores more than expected against the next, and the last against the first."""
    for cycle, order in ((1.5, [0, 1, 2]), (-1.5, [0, 2, 1])):
        battles = World(np.zeros(4), 60, cycle=cycle).battles(np.random.default_rng(1))
        triads = goodness_of_fit(bradley_terry(battles).model, np.random.default_rng(0)).triads

        assert triads is not None
        worst = int(triads.statistic.argmax())
        assert triads.contestants[worst].tolist() == order
        assert triads.scores[worst].min() > 0.6
        assert triads.each_ahead[worst]


def test_a_triad_that_does_not_fit_need_not_be_a_cycle() -> None:
    """If a beats b and b beats c as clearly as a beats c, one scale does not fit, but there is no cycle."""
    left, right = ["a", "b", "a"] * 400, ["b", "c", "c"] * 400
    outcomes = np.where(np.random.default_rng(0).random(1200) < 0.7, 0, 1)
    battles = Battles.from_names(left, right, outcomes, cluster=np.arange(1200) // 12)
    triads = goodness_of_fit(bradley_terry(battles).model, np.random.default_rng(0)).triads

    assert triads is not None
    assert triads.p[0] < 0.05
    assert triads.scores[0].min() < 0.5
    assert not triads.each_ahead[0]


@pytest.mark.parametrize(
    ("left", "right", "prompts", "reason"),
    [
        ("aab", "bcc", FEWEST - 1, "7 prompts, at least 8 are needed"),
        ("ab", "bc", 20, "there are only as many pairs as the strengths need, so that they fit every outcome"),
    ],
)
def test_without_enough_data_there_is_a_reason(left: str, right: str, prompts: int, reason: str) -> None:
    """A test that cannot find anything is not made."""
    sides = (list(left * 2 * prompts), list(right * 2 * prompts))
    outcomes = ["left"] * len(left) + ["right"] * len(left)
    battles = Battles.from_names(*sides, outcomes * prompts, cluster=np.repeat(np.arange(prompts), 2 * len(left)))
    fit_test = goodness_of_fit(bradley_terry(battles).model, np.random.default_rng(0))

    assert (fit_test.pairs, fit_test.triads) == (None, None)
    assert (fit_test.pairs_reason, fit_test.triads_reason) == (reason, reason)


def test_triads_need_three_contestants_who_met_each_other() -> None:
    """Four contestants in a ring have a pair to test, but no triad."""
    battles = Battles.from_names(
        ["a", "b", "c", "d"] * 60,
        ["b", "c", "d", "a"] * 60,
        (["left"] * 5 + ["right"] * 3) * 30,
        cluster=np.arange(240) // 8,
    )
    fit_test = goodness_of_fit(bradley_terry(battles).model, np.random.default_rng(0))

    assert fit_test.pairs is not None
    assert fit_test.triads is None
    assert fit_test.triads_reason == "no three contestants all met each other on 8 prompts"


@pytest.mark.parametrize(("clustering", "truth"), [(0.0, 0.0), (0.3, 2 / np.pi * np.arcsin(0.15) * 2)])
@pytest.mark.parametrize("sizes", ["equal", "pareto"])
def test_the_share_between_prompts_is_that_of_the_world(clustering: float, truth: float, sizes: str) -> None:
    """Battles that share a contestant have the correlation 2 / pi arcsin(r / 2), half of the share between prompts."""
    shares = []
    for seed in range(20):
        world = World(np.zeros(5), 100, sizes, clustering=clustering, ties=0.0)
        estimate = share_between_prompts(pair_scores(bradley_terry(world.battles(np.random.default_rng(seed))).model))
        assert estimate.value is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        shares.append(estimate.value)

    assert np.mean(shares) == pytest.approx(truth, abs=0.03)


def test_without_pairs_that_share_a_contestant_there_is_no_share() -> None:
    """Two contestants alone do not say how far strengths vary between prompts."""
    battles = Battles.from_names(["a"] * 40, ["b"] * 40, ["left", "left", "right", "tie"] * 10)
    share = share_between_prompts(pair_scores(bradley_terry(battles).model))

    assert (share.value, share.method) == (None, "none: no two pairs on one prompt share a contestant")


def test_a_level_that_the_flips_cannot_resolve_is_refused() -> None:
    """With 1,999 flips no p-value is below 1 / 2000, so that at a higher level nothing could be significant."""
    model = bradley_terry(World(np.zeros(4), 60, cycle=1.0).battles(np.random.default_rng(1))).model

    assert goodness_of_fit(model, np.random.default_rng(0), 0.995).pairs_reason == ""
    refused = goodness_of_fit(model, np.random.default_rng(0), 0.9996)
    assert (refused.pairs, refused.triads) == (None, None)
    assert "1,999 random flips cannot tell p-values below 0.005" in refused.triads_reason


def test_who_is_ahead_in_a_cycle_follows_the_level() -> None:
    """At a stricter level, fewer contestants of a cycle are ahead of the next."""
    model = bradley_terry(World(np.zeros(3), 40, cycle=0.9).battles(np.random.default_rng(3))).model
    ahead = []
    for level in (0.5, 0.995):
        triads = goodness_of_fit(model, np.random.default_rng(0), level).triads
        assert triads is not None
        ahead.append(bool(triads.each_ahead[0]))

    assert ahead == [True, False]
