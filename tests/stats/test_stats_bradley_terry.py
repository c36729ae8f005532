import math
from collections.abc import Callable
from random import Random

import evalica
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.stats.battles import LEFT, RIGHT, TIE, Battles
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.elo import elo
from judge.stats.errors import Disconnected, NotConverged, StatisticsError
from judge.stats.win_rate import win_rates
from stats.known import known

WINNER = {LEFT: evalica.Winner.X, RIGHT: evalica.Winner.Y, TIE: evalica.Winner.Draw}


@st.composite
def leaderboards(draw: st.DrawFn) -> Battles:
    """Draw battles of up to six contestants, with a ring of ties so that Ford's condition holds."""
    m = draw(st.integers(2, 6))
    ring = [(i, (i + 1) % m, TIE) for i in range(m)]
    some = st.tuples(st.integers(0, m - 1), st.integers(1, m - 1), st.sampled_from((LEFT, RIGHT, TIE)))
    rest = [(i, (i + step) % m, outcome) for i, step, outcome in draw(st.lists(some, max_size=40))]
    left, right, outcome = zip(*(ring + rest), strict=True)
    return Battles(tuple("abcdef"[:m]), np.array(left), np.array(right), np.array(outcome))


def name_columns(battles: Battles) -> tuple[list[str], list[str], list[evalica.Winner]]:
    left = [battles.contestants[i] for i in battles.left]
    right = [battles.contestants[i] for i in battles.right]
    return left, right, [WINNER[code] for code in battles.outcome.tolist()]


@settings(deadline=None, max_examples=40)
@given(leaderboards())
def test_ratings_equal_those_of_evalica(battles: Battles) -> None:
    """The ratings equal those of evalica, an independent implementation (Newman's iteration)."""
    scores = evalica.bradley_terry(*name_columns(battles), tolerance=1e-12, limit=100_000).scores[
        list(battles.contestants)
    ]
    logs = np.log(scores.to_numpy())

    assert bradley_terry(battles).ratings == pytest.approx(1000 + POINTS * (logs - logs.mean()), abs=1e-3)


@settings(deadline=None, max_examples=40)
@given(leaderboards(), st.sampled_from([4.0, 32.0]))
def test_online_elo_equals_that_of_evalica(battles: Battles, k: float) -> None:
    """The online Elo ratings equal those of evalica, an independent implementation."""
    scores = evalica.elo(*name_columns(battles), k=k).scores[list(battles.contestants)]

    assert elo(battles, k=k).ratings == pytest.approx(scores.to_numpy(), abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(leaderboards(), st.randoms(use_true_random=False))
def test_law_9_renaming_reordering_or_swapping_contestants_changes_nothing_but_names(
    battles: Battles, random: Random
) -> None:
    """Renaming contestants, reordering rows and exchanging sides change no figure (law 9)."""
    names = random.sample("uvwxyz", len(battles.contestants))
    prompts = [row % 7 for row in range(battles.n)]
    rows = [
        (names[a], names[b], ("left", "right", "tie")[o], p)
        if random.random() < 0.5
        else (names[b], names[a], ("right", "left", "tie")[o], p)
        for a, b, o, p in zip(battles.left, battles.right, battles.outcome, prompts, strict=True)
    ]
    random.shuffle(rows)
    left, right, outcome, cluster = zip(*rows, strict=True)
    again = Battles.from_names(left, right, outcome, cluster=cluster)
    at = [again.contestants.index(name) for name in names]
    first = Battles(battles.contestants, battles.left, battles.right, battles.outcome, None, np.array(prompts), 7)

    fit, fit_again = bradley_terry(first), bradley_terry(again)

    assert fit.ratings.tolist() == fit_again.ratings[at].tolist()
    assert fit.ranks.tolist() == fit_again.ranks[at].tolist()
    assert fit.interval().method == fit_again.interval().method
    np.testing.assert_allclose(fit.interval().low, fit_again.interval().low[at], atol=2e-6)
    np.testing.assert_allclose(
        fit.differences(0).probability_better, fit_again.differences(at[0]).probability_better[at], atol=2e-6
    )
    assert win_rates(first).rates == tuple(win_rates(again).rates[i] for i in at)


def test_two_contestants_have_the_odds_of_their_wins() -> None:
    """With 3.5 wins to 1.5, the odds are 7 / 3, and the difference is 400 log10(7 / 3) points."""
    fit = bradley_terry(Battles.from_names(["a"] * 5, ["b"] * 5, ["left", "left", "left", "right", "tie"]))

    assert fit.expected(0, 1) == 0.7
    assert fit.ratings.tolist() == pytest.approx(
        [1000 + 200 * math.log10(7 / 3), 1000 - 200 * math.log10(7 / 3)], abs=1e-6
    )
    assert fit.ranks.tolist() == [1, 2]


def test_weights_count_like_repeated_battles(random_battles: Callable[..., Battles]) -> None:
    """A battle of weight three counts like three battles. Only the precision of the variance is that of one battle."""
    plain = random_battles(1, n=300)
    weight = np.random.default_rng(2).integers(1, 4, plain.n)
    rows = np.repeat(np.arange(plain.n), weight)
    weighted = Battles(
        plain.contestants, plain.left, plain.right, plain.outcome, weight.astype(float), plain.cluster, plain.n_clusters
    )
    repeated = Battles(
        plain.contestants,
        plain.left[rows],
        plain.right[rows],
        plain.outcome[rows],
        None,
        known(plain.cluster)[rows],
        plain.n_clusters,
    )

    fit, fit_repeated = bradley_terry(weighted), bradley_terry(repeated)

    assert fit.ratings.tolist() == pytest.approx(fit_repeated.ratings.tolist(), abs=2e-6)
    ours, theirs = known(fit.covariance.effects), known(fit_repeated.covariance.effects)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert fit.interval().standard_error == pytest.approx(fit_repeated.interval().standard_error, rel=0.02)


@pytest.mark.parametrize("scale", [1e-250, 1e12])
def test_only_the_ratio_of_weights_matters(scale: float, random_battles: Callable[..., Battles]) -> None:
    """Multiplying all weights by a constant changes no rating."""
    plain = random_battles(3)
    scaled = Battles(plain.contestants, plain.left, plain.right, plain.outcome, np.full(plain.n, scale))

    assert bradley_terry(scaled).ratings == pytest.approx(bradley_terry(plain).ratings, abs=1e-5)


def test_a_long_and_steep_ladder_is_fitted() -> None:
    """Forty contestants that each beat the next 999 times in 1,000 have equal gaps of 1,200 points."""
    steps = np.arange(39, dtype=np.int32)
    battles = Battles(
        tuple(f"{i:02}" for i in range(40)),
        np.concatenate((steps, steps)),
        np.concatenate((steps, steps)) + 1,
        np.repeat([LEFT, RIGHT], 39),
        np.repeat([999.0, 1.0], 39),
    )

    gaps = -np.diff(bradley_terry(battles).ratings)

    assert gaps == pytest.approx(np.full(39, 400 * math.log10(999)), abs=1e-4)


def test_a_weak_bridge_between_busy_groups_converges() -> None:
    """Two groups of ten million battles that a single tie connects converge to the usual tolerance."""
    left, right = np.array([0, 0, 2, 2, 1]), np.array([1, 1, 3, 3, 2])
    outcome, weight = np.array([LEFT, RIGHT, LEFT, RIGHT, TIE]), np.array([7e6, 3e6, 6e6, 4e6, 1.0])

    fit = bradley_terry(Battles(("a", "b", "c", "d"), left, right, outcome, weight))

    assert fit.ratings[1] == pytest.approx(fit.ratings[2], abs=1e-5)


def test_contestants_that_cannot_be_ranked_are_named() -> None:
    """An unbeaten contestant raises Disconnected with the components, and gets no infinite rating."""
    battles = Battles.from_names(["a", "a", "b"], ["b", "c", "c"], ["left", "left", "tie"])

    with pytest.raises(Disconnected, match="2 components") as caught:
        bradley_terry(battles)

    assert caught.value.components == (("a",), ("b", "c"))


def test_what_has_not_settled_is_not_returned(random_battles: Callable[..., Battles]) -> None:
    """Too few iterations raise NotConverged with their number and the tolerance."""
    with pytest.raises(NotConverged, match="within 1e-10 in 2 iterations") as caught:
        bradley_terry(random_battles(1), max_iterations=2)

    assert (caught.value.iterations, caught.value.tolerance) == (2, 1e-10)


@pytest.mark.parametrize("setting", [{"k": 0}, {"k": float("nan")}, {"scale": -1}, {"base": 1.0}, {"start": math.inf}])
def test_senseless_elo_settings_are_refused(setting: dict[str, float], random_battles: Callable[..., Battles]) -> None:
    """Elo needs a positive k and scale, a base above 1 and a finite start."""
    with pytest.raises(StatisticsError, match=next(iter(setting))):
        elo(random_battles(1, n=10), **setting)


def test_elo_that_runs_away_is_refused(random_battles: Callable[..., Battles]) -> None:
    """A k that makes ratings overflow raises a StatisticsError, not an OverflowError."""
    with pytest.raises(StatisticsError, match="ratings overflow"):
        elo(random_battles(1, n=50), k=1e9)


def test_elo_depends_on_the_order_of_battles() -> None:
    """The later of two opposite results weighs more."""
    won_first = elo(Battles.from_names(["a", "a"], ["b", "b"], ["left", "right"])).ratings
    lost_first = elo(Battles.from_names(["a", "a"], ["b", "b"], ["right", "left"])).ratings

    assert won_first[0] < 1000 < lost_first[0]
