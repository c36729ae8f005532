"""The bootstrap over prompts agrees with the sandwich, and counts resamples that cannot be ranked."""

from dataclasses import replace

import numpy as np
import pytest

from judge.stats.battles import Battles
from judge.stats.bootstrap import STUDENTISED, bootstrap
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.cluster_intervals import PERCENTILE
from judge.stats.errors import StatisticsError
from judge.stats.paired_model import Covariates


def leaderboard(prompts: int, seed: int = 0, *, clustered: bool = True, per_prompt: int = 12) -> Battles:
    """Simulate battles of four contestants whose strengths differ between prompts."""
    rng = np.random.default_rng(seed)
    n = prompts * per_prompt
    cluster = np.repeat(np.arange(prompts, dtype=np.int32), per_prompt)
    left = rng.integers(0, 4, n)
    right = (left + rng.integers(1, 4, n)) % 4
    strength = np.array([0.6, 0.2, -0.2, -0.6]) + rng.normal(0, 0.5, (prompts, 4))
    chance = 1 / (1 + np.exp(strength[cluster, right] - strength[cluster, left]))
    outcome = np.where(rng.random(n) < 0.15, 2, rng.random(n) > chance).astype(np.int8)
    return Battles(
        contestants=("a", "b", "c", "d"),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        outcome=outcome,
        cluster=cluster if clustered else None,
        n_clusters=prompts,
    )


@pytest.mark.parametrize("ties", ["half-win", "davidson"])
@pytest.mark.parametrize("clustered", [True, False])
def test_the_bootstrap_and_the_sandwich_agree_on_many_prompts(ties: str, *, clustered: bool) -> None:
    """The standard errors are within a tenth of the sandwich's, however resamples are fitted."""
    fit = bradley_terry(leaderboard(300, clustered=clustered), ties=ties)

    resampled = bootstrap(fit, np.random.default_rng(1), 600).covariance()

    assert resampled.matrix is not None
    assert fit.covariance.matrix is not None
    ratio = np.sqrt(resampled.matrix.diagonal() / fit.covariance.matrix.diagonal())
    assert np.all((ratio > 0.9) & (ratio < 1.1)), ratio


def test_resampled_sums_and_resampled_battles_give_the_same_spread() -> None:
    """The fast bootstrap (sums of wins by prompt) and the general one (resampled battles) agree."""
    battles = leaderboard(60)
    weighted = replace(battles, weight=np.full(battles.n, 2.0))
    style = Covariates(("length",), np.random.default_rng(3).normal(size=(battles.n, 1)))
    fast = bootstrap(bradley_terry(battles), np.random.default_rng(1), 2000)
    heavy = bootstrap(bradley_terry(weighted), np.random.default_rng(1), 2000)
    general = bootstrap(bradley_terry(battles, covariates=style), np.random.default_rng(2), 1000)

    assert np.allclose(fast.parameters, heavy.parameters, atol=1e-6)
    ratio = fast.parameters.std(axis=0) / general.parameters[:, :4].std(axis=0)
    assert np.all((ratio > 0.9) & (ratio < 1.1)), ratio


def test_intervals_of_every_kind_lie_about_the_estimate() -> None:
    fit = bradley_terry(leaderboard(50))
    replicates = bootstrap(fit, np.random.default_rng(1), 400, studentise=True)

    for kind in (STUDENTISED, PERCENTILE):
        low, high = replicates.bounds(fit, kind)
        assert np.all(low < fit.log_strengths)
        assert np.all(fit.log_strengths < high)
    with pytest.raises(StatisticsError, match="needs replicates with standard errors"):
        bootstrap(fit, np.random.default_rng(1), 10).bounds(fit, STUDENTISED)


def nearly_unbeaten() -> BradleyTerryFit:
    """Fit battles in which the first contestant lost on one of thirty prompts, and the last won on one."""
    left, right, words, prompts = [], [], [], []
    for prompt in range(30):
        for winner, loser in (("a", "b"), ("b", "c"), ("c", "b"), ("b", "z")):
            left.append(winner)
            right.append(loser)
            words.append("right" if prompt == 0 and "c" not in (winner, loser) else "left")
            prompts.append(prompt)
    return bradley_terry(Battles.from_names(left, right, words, cluster=prompts))


def test_resamples_that_fall_apart_are_counted_and_open_an_end() -> None:
    """The first contestant is unbeaten in a third of resamples (0.97 ** 30), so its interval has no upper end."""
    replicates = bootstrap(nearly_unbeaten(), np.random.default_rng(5), 500)

    assert 0.25 < replicates.apart / replicates.drawn < 0.5
    assert replicates.open_above.tolist() == [True, False, False, False]
    assert replicates.open_below.tolist() == [False, False, False, True]
    assert len(replicates.parameters) == replicates.drawn - replicates.apart


def test_too_few_prompts_or_replicates_and_strata_are_refused() -> None:
    few = bootstrap(bradley_terry(leaderboard(4)), np.random.default_rng(0), 10)

    assert few.covariance().method == "none: 4 prompts, at least 5 are needed"
    fit = bradley_terry(leaderboard(30))
    with pytest.raises(StatisticsError, match="at least 2 replicates, not 1"):
        bootstrap(fit, np.random.default_rng(0), 1)
    with pytest.raises(StatisticsError, match="does not support strata"):
        bootstrap(replace(fit, strata=np.zeros(30, dtype=np.int32)), np.random.default_rng(0), 10)
