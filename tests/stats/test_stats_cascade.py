"""The guarantee of a cascade holds by comparison, also with prompts that are alike and of unequal size."""

import numpy as np
import pytest
from scipy.special import ndtri

from judge.stats.cascade import cascade
from judge.stats.errors import StatisticsError
from stats.known import known

EACH, ALIKE, TARGET = 10, 0.1, 0.85
"""The comparisons per prompt, the correlation of a judge's agreement on two of them, and the target."""


def simulate_judge(rng: np.random.Generator, prompts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate a judge's confidence and agreement, which rises with confidence and correlates within prompts."""
    sure = rng.random(prompts * EACH)
    return sure, *simulate_agreement(rng, prompts, 0.226, 0.1 + 1.6 * sure)


def simulate_agreement(
    rng: np.random.Generator, prompts: int, shared: float, most: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate agreement: a normal variable, of which a prompt shares *shared*, is less than *most*."""
    cluster = np.repeat(np.arange(prompts, dtype=np.int32), EACH)
    common, own = rng.normal(size=prompts)[cluster], rng.normal(size=cluster.size)
    return np.sqrt(shared) * common + np.sqrt(1 - shared) * own < most, cluster


def correlation(agrees: np.ndarray) -> float:
    """The correlation of the judge's agreement on two comparisons of a prompt."""
    right = agrees.reshape(-1, EACH).astype(float)
    return float(np.mean([np.corrcoef(right[:, 0], right[:, at])[0, 1] for at in range(1, EACH)]))


def test_the_guarantee_holds_with_prompts_that_are_alike() -> None:
    """The true agreement at the chosen threshold is below the target in at most a tenth of 200 replicates."""
    rng = np.random.default_rng(1)
    sure, agrees, _ = simulate_judge(rng, 100_000)
    order = np.argsort(-sure)
    truth = np.cumsum(agrees[order]) / np.arange(1, sure.size + 1)
    chosen = [cascade(*simulate_judge(rng, 300), TARGET, delta=0.1).threshold for _ in range(200)]
    true_agreement = [truth[int((sure >= threshold).sum()) - 1] for threshold in chosen if threshold is not None]

    assert correlation(agrees) == pytest.approx(ALIKE, abs=0.005)
    assert len(true_agreement) > 150
    assert sum(agreement < TARGET for agreement in true_agreement) / 200 <= 0.1


def test_a_judge_just_below_the_target_is_seldom_let_through() -> None:
    """The error rate is at most delta, plus two simulation errors, although all comparisons of a prompt are tested."""
    rng = np.random.default_rng(2)
    sure, least = np.ones(300 * EACH), float(ndtri(TARGET)) - 1e-6
    passed = np.zeros(2)
    for _ in range(1000):
        agrees, cluster = simulate_agreement(rng, 300, 0.21, least)
        alone = np.arange(sure.size, dtype=np.int32)
        passed += [cascade(sure, agrees, code, TARGET).threshold is not None for code in (cluster, alone)]

    assert correlation(simulate_agreement(rng, 100_000, 0.21, least)[0]) == pytest.approx(ALIKE, abs=0.005)
    assert 0.05 < passed[0] / 1000 <= 0.12
    assert passed[1] / 1000 > 0.14


def test_the_guarantee_holds_by_comparison_where_large_prompts_are_harder() -> None:
    """A judge that is right on most prompts, but not on most comparisons, is not let through.

    One comparison of each prompt, as it was tested before, has an agreement of 0.9; all comparisons have 0.79.
    """
    rng = np.random.default_rng(4)
    size = np.repeat([2, 20], [240, 60])
    cluster = np.repeat(np.arange(300, dtype=np.int32), size)
    let_through = 0
    for _ in range(200):
        right = rng.beta(np.repeat([19.0, 7.0], [240, 60]), np.repeat([1.0, 3.0], [240, 60]))
        agrees = rng.random(cluster.size) < right[cluster]
        let_through += cascade(np.ones(cluster.size), agrees, cluster, TARGET).threshold is not None

    assert (240 * 0.95 + 60 * 0.7) / 300 == pytest.approx(0.9)
    assert (480 * 0.95 + 1200 * 0.7) / 1680 < TARGET
    assert let_through / 200 <= 0.1


def test_steps_go_from_strict_to_lax_and_stop_holding_once() -> None:
    result = cascade(*simulate_judge(np.random.default_rng(2), 400), target=0.8)

    shares = [step.share for step in result.steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    held = [step.held for step in result.steps]
    first, last = held.index(True), len(held) - held[::-1].index(True)
    assert all(held[first:last])
    assert result.threshold == result.steps[last - 1].threshold
    assert known(result.steps[first].agreement.value) > known(result.steps[-1].agreement.value)


def test_what_cannot_be_guaranteed_is_not() -> None:
    """A judge that agrees half the time, or too few prompts, give no threshold."""
    rng = np.random.default_rng(3)
    sure, agrees, cluster = rng.random(600), rng.random(600) < 0.5, np.arange(600, dtype=np.int32)

    assert cascade(sure, agrees, cluster).threshold is None
    assert cascade(sure[:9], np.ones(9, dtype=bool), cluster[:9], target=0.9).threshold is None
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        cascade(sure, agrees, cluster, target=1)
    with pytest.raises(StatisticsError, match="at least one comparison"):
        cascade(sure[:0], agrees[:0], cluster[:0])


def test_the_next_one_answers_the_rest() -> None:
    """The second source answers below the threshold. Comparisons that neither answers do not count."""
    rng = np.random.default_rng(7)
    prompt = np.arange(300, dtype=np.int32)
    sure = np.repeat([1.0, 0.5, 0.0], 100)
    agrees = rng.random(300) < np.repeat([0.95, 0.8, 0.5], 100)
    result = cascade(sure, agrees, prompt, 0.9, otherwise=np.ones(300))
    some = cascade(sure, agrees, prompt, 0.9, otherwise=np.where(prompt < 250, 1.0, np.nan))

    for step, both in zip(result.steps, some.steps, strict=True):
        answered = sure >= step.threshold
        assert known(step.together).value == pytest.approx((agrees[answered].sum() + (~answered).sum()) / 300, abs=1e-8)
        has_outcome = answered | (prompt < 250)
        assert known(both.together).n == has_outcome.sum()
    assert cascade(sure, agrees, prompt, 0.9).steps[0].together is None


@pytest.mark.parametrize(("sizes", "prompts"), [("pareto", 80), ("pareto", 200), ("log-normal", 80)])
def test_the_guarantee_holds_if_a_judge_is_right_or_wrong_on_whole_prompts(sizes: str, prompts: int) -> None:
    """With prompts of unequal size, a judge whose true agreement is the target is let through as seldom."""
    let_through = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        drawn = 3 * rng.pareto(1.1, prompts) + 1 if sizes == "pareto" else rng.lognormal(1.5, 1, prompts)
        cluster = np.repeat(np.arange(prompts, dtype=np.int32), np.ceil(drawn).clip(1, 200).astype(int))
        agrees = (rng.random(prompts) >= 0.1)[cluster]
        let_through += cascade(np.ones(cluster.size), agrees, cluster, 0.9).threshold is not None

    assert let_through / 200 <= 0.1


def test_prompts_that_are_not_alike_still_count_by_comparison() -> None:
    """40 prompts of 10 comparisons, right in 95 % of cases, pass a target of 0.9; 40 comparisons alone would not."""
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(40, dtype=np.int32), EACH)
    passed = sum(
        cascade(np.ones(cluster.size), rng.random(cluster.size) < 0.95, cluster, 0.9).threshold is not None
        for _ in range(100)
    )

    assert passed > 80


def test_confidences_that_differ_by_rounding_alone_are_one_threshold() -> None:
    """The mean of three probabilities depends on their order in the last digit."""
    low, high = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    sure = np.tile([low, high], 60)
    result = cascade(sure, np.ones(120, dtype=bool), np.arange(120, dtype=np.int32), 0.5)

    assert low != high
    assert [0.6] == [step.threshold for step in result.steps]
