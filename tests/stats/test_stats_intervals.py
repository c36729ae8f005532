from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import t as student

from judge.columns.arrays import Floats
from judge.stats.battles import LEFT, RIGHT, TIE, Battles
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.cluster_intervals import ALIKE, ratio
from judge.stats.errors import StatisticsError
from judge.stats.win_rate import win_rates
from stats.known import known


def replace_clusters(battles: Battles, cluster: npt.ArrayLike | None) -> Battles:
    """Return the same battles with other clusters."""
    codes = None if cluster is None else np.asarray(cluster)
    count = 0 if codes is None else int(codes.max()) + 1
    return Battles(battles.contestants, battles.left, battles.right, battles.outcome, battles.weight, codes, count)


def refit_without_each(battles: Battles) -> Floats:
    """The converged log strengths without each cluster in turn: float64[G, m]."""
    fits = []
    for g in range(battles.n_clusters):
        kept = battles.cluster != g
        rest = Battles(battles.contestants, battles.left[kept], battles.right[kept], battles.outcome[kept])
        fits.append(bradley_terry(rest).log_strengths)
    return np.array(fits)


def test_few_prompts_are_close_to_refitting(random_battles: Callable[..., Battles]) -> None:
    """On 20 prompts the standard errors are within 5 % of refitting without each prompt, with at most 19 degrees."""
    battles = random_battles(5, n=1500, prompts=20)
    fit = bradley_terry(battles)
    moved = refit_without_each(battles) - fit.log_strengths
    brute = POINTS * np.sqrt(19 / 20 * np.square(moved).sum(axis=0))

    intervals = fit.interval()

    assert (intervals.method, intervals.clusters, intervals.level) == ("sandwich-cr2", 20, 0.95)
    assert intervals.standard_error == pytest.approx(brute, rel=0.05)
    assert (intervals.freedom < 19).all()
    assert (intervals.high - intervals.low >= 2 * student.ppf(0.975, 19) * intervals.standard_error).all()


def test_the_sandwich_is_close_to_refitting(random_battles: Callable[..., Battles]) -> None:
    """On 60 prompts the standard errors are within 3 % of refitting without each prompt."""
    battles = random_battles(6, n=3000, prompts=60)
    fit = bradley_terry(battles)
    brute = POINTS * np.sqrt(59 / 60 * np.square(refit_without_each(battles) - fit.log_strengths).sum(axis=0))

    intervals = fit.interval(0.9)

    assert (intervals.method, intervals.clusters) == ("sandwich-cr2", 60)
    assert intervals.standard_error == pytest.approx(brute, rel=0.03)
    assert intervals.high - intervals.low == pytest.approx(
        2 * student.ppf(0.95, intervals.freedom) * intervals.standard_error, rel=0.01
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_battles_without_prompts_are_their_own_clusters(weighted: bool, random_battles: Callable[..., Battles]) -> None:
    """Battles without clusters have the same covariance as battles with one cluster each."""
    battles = random_battles(7, n=400, weighted=weighted)
    alone = replace_clusters(battles, None)
    each = replace_clusters(battles, np.arange(battles.n))

    np.testing.assert_allclose(bradley_terry(alone).interval().low, bradley_terry(each).interval().low, atol=2e-6)
    assert bradley_terry(alone).interval().clusters == 400


def test_few_battles_without_prompts_have_intervals_over_battles() -> None:
    """Thirty independent battles are thirty prompts."""
    battles = Battles.from_names(["a"] * 30, ["b"] * 30, ["left"] * 18 + ["right"] * 12)

    intervals = bradley_terry(battles).interval()

    assert (intervals.method, intervals.clusters) == ("sandwich-cr2", 30)
    assert intervals.freedom == pytest.approx([29, 29])


def test_below_five_prompts_there_is_no_interval(random_battles: Callable[..., Battles]) -> None:
    """Four prompts give ratings without an interval, and the method has the reason."""
    battles = random_battles(9, prompts=4)

    intervals, differences = bradley_terry(battles).interval(), bradley_terry(battles).differences(0)

    assert intervals.method == differences.method == "none: 4 prompts, at least 5 are needed"
    assert np.isnan(intervals.low).all()
    assert np.isnan(intervals.high).all()
    assert np.isnan(differences.probability_better[1:]).all()
    assert differences.probability_better[0] == 0.5


def test_a_contestant_that_hangs_on_one_prompt_has_no_interval() -> None:
    """A contestant with a single prompt has no interval; the others have."""
    battles = Battles.from_names(
        ["a"] * 12 + ["b"], ["b"] * 12 + ["c"], ["left", "right", "left"] * 4 + ["tie"], cluster=[*range(6), *range(7)]
    )

    intervals = bradley_terry(battles).interval()

    assert intervals.reasons == ("", "", "none: 1 prompt of its own, at least 5 are needed")
    assert np.isnan(intervals.low).tolist() == [False, False, True]


def test_prompts_that_do_not_differ_give_no_interval() -> None:
    """If every prompt has the same outcomes, there is no interval, rather than one of zero width."""
    battles = Battles.from_names(["a", "a"] * 50, ["b", "b"] * 50, ["left", "tie"] * 50, cluster=np.arange(100) // 2)

    assert bradley_terry(battles).interval().method == ALIKE


def test_prompts_whose_battles_weigh_nothing_do_not_count(random_battles: Callable[..., Battles]) -> None:
    """Only clusters with a battle of positive weight count."""
    battles = random_battles(10, n=800, prompts=50)
    weight = (known(battles.cluster) < 12).astype(float)
    some = Battles(battles.contestants, battles.left, battles.right, battles.outcome, weight, battles.cluster, 50)

    intervals = bradley_terry(some).interval()

    assert (intervals.clusters, intervals.method) == (12, "sandwich-cr2")


def test_battles_that_weigh_nothing_do_not_count_alone(random_battles: Callable[..., Battles]) -> None:
    """Battles of zero weight do not count without prompts either."""
    battles = replace_clusters(random_battles(10, n=100), None)
    weight = np.repeat([1.0, 0.0], 50)
    some = Battles(battles.contestants, battles.left, battles.right, battles.outcome, weight)
    half = Battles(battles.contestants, battles.left[:50], battles.right[:50], battles.outcome[:50])

    assert bradley_terry(some).interval().clusters == 50
    np.testing.assert_allclose(bradley_terry(some).interval().low, bradley_terry(half).interval().low, atol=2e-6)


def test_a_difference_has_its_own_interval(random_battles: Callable[..., Battles]) -> None:
    """Differences to a reference subtract ratings, and their intervals use the joint covariance."""
    fit = bradley_terry(random_battles(11))

    differences = fit.differences(2)

    assert differences.difference == pytest.approx(fit.ratings - fit.ratings[2], abs=2e-6)
    assert (
        differences.low[2],
        differences.high[2],
        differences.standard_error[2],
        differences.probability_better[2],
    ) == (0, 0, 0, 0.5)
    assert (differences.probability_better > 0.5).tolist() == (differences.difference > 0).tolist()
    assert ((differences.low > 0) == (differences.probability_better > 0.975)).all()
    with pytest.raises(StatisticsError, match="no contestant with the code 5"):
        fit.differences(5)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
def test_a_level_lies_between_zero_and_one(level: float, random_battles: Callable[..., Battles]) -> None:
    """A level outside 0 to 1, such as 95, is refused everywhere."""
    battles = random_battles(12, n=200)
    for ask in (bradley_terry(battles).interval, lambda level: win_rates(battles, None, level)):
        with pytest.raises(StatisticsError, match="level of an interval"):
            ask(level)


@pytest.mark.parametrize("prompts", [80, 40, 20, 10])
def test_intervals_cover_nineteen_times_in_twenty(prompts: int) -> None:
    """The intervals contain the truth in 95 % of 1,000 samples of prompts with their own effects."""
    rng = np.random.default_rng(20)
    m, each = 3, 6
    effects = rng.normal(0, 0.8, (4000, m)) + np.arange(m) * 0.4
    left, right = np.array([0, 1, 0]), np.array([1, 2, 2])
    chance = 1 / (1 + np.exp(effects[:, right] - effects[:, left]))
    population = Battles(
        ("a", "b", "c"),
        np.tile(left, 8000),
        np.tile(right, 8000),
        np.repeat([LEFT, RIGHT], 12000),
        np.concatenate((chance.ravel(), 1 - chance.ravel())),
    )
    truth = bradley_terry(population).ratings
    cluster = np.repeat(np.arange(prompts, dtype=np.int32), each)
    covered = []
    for _ in range(1000):
        drawn = rng.integers(0, 4000, prompts)
        pair = rng.integers(0, 3, prompts * each)
        outcome = np.where(rng.random(pair.size) < chance[drawn[cluster], pair], LEFT, RIGHT)
        sample = Battles(("a", "b", "c"), left[pair], right[pair], outcome, None, cluster, prompts)
        intervals = bradley_terry(sample).interval()
        covered.append((intervals.low <= truth) & (truth <= intervals.high))

    assert 0.92 <= np.mean(covered) <= 0.98


def test_win_rates_count_ties_as_halves() -> None:
    """Against a reference only battles with it count; without one, all battles do."""
    battles = Battles.from_names(["a", "b", "c", "a"], ["b", "a", "a", "d"], ["left", "tie", "right", "left"])

    against = [rate.value for rate in win_rates(battles, 0).rates]
    overall = [rate.value for rate in win_rates(battles).rates]

    assert against == [None, 0.25, 0.0, 0.0]
    assert overall == [0.875, 0.25, 0.0, 0.0]


def test_win_rates_are_clustered_by_prompt(random_battles: Callable[..., Battles]) -> None:
    """The win rate against a reference has the interval of the ratio over prompts."""
    battles = random_battles(13, n=3000, prompts=60, weighted=True)
    rows = (battles.left == 1) & (battles.right == 3) | (battles.left == 3) & (battles.right == 1)
    left_score = np.where(battles.outcome == TIE, 0.5, battles.outcome == LEFT)
    score = np.where(battles.left == 3, left_score, 1 - left_score)[rows]

    rate = win_rates(battles, 1).rates[3]

    weight = known(battles.weight)[rows]
    expected = ratio(score * weight, weight, known(battles.cluster)[rows], bounds=(0.0, 1.0))
    assert rate.value == pytest.approx(expected.value)
    assert rate.low == pytest.approx(expected.low)
    assert rate.high == pytest.approx(expected.high)
    with pytest.raises(StatisticsError, match="no contestant with the code 9"):
        win_rates(battles, 9)
