"""Expected scores and win rates against a reference, as a block of comparisons and as tests of equivalence."""

import numpy as np
import pytest

from judge.columns.arrays import Flags, Floats
from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, block, bradley_terry
from judge.stats.equivalence import Answer, equivalences
from judge.stats.errors import StatisticsError
from judge.stats.expected_scores import expected_scores
from judge.stats.scorecard import HOLM, NONE, Block, intervals
from judge.stats.tie_rules import DAVIDSON, HALF_WIN
from judge.stats.win_rate import advantages, win_rates

PROMPTS, PER_PROMPT, MARGIN = 40, 4, 0.1
AT_THE_MARGIN = np.array([0.5 + MARGIN, 0.5 + MARGIN, 0.5 - MARGIN])


def compare(rng: np.random.Generator, scores: Floats, prompts: int = PROMPTS) -> Battles:
    """Draw battles of contestants 1 to k with the reference, 0, by their expected *scores*, float64[k].

    The reference does better on some prompts than on others, against all contestants alike.
    """
    k = scores.size
    effect = rng.uniform(-0.35, 0.35, (prompts, 1, 1))
    won = rng.random((prompts, k, PER_PROMPT)) < scores[:, None] - effect
    return Battles(
        contestants=tuple("abcdefgh"[: k + 1]),
        left=np.tile(np.repeat(np.arange(1, k + 1, dtype=np.int32), PER_PROMPT), prompts),
        right=np.zeros(won.size, dtype=np.int32),
        outcome=np.where(won.ravel(), 0, 1).astype(np.int8),
        cluster=np.repeat(np.arange(prompts, dtype=np.int32), k * PER_PROMPT),
        n_clusters=prompts,
    )


def by_ratings(battles: Battles) -> Block:
    """The expected scores of a Bradley-Terry fit."""
    fit = bradley_terry(battles)
    differences = block(fit, 0, range(1, fit.model.m))
    assert differences is not None
    return expected_scores(fit, differences)


def by_win_rates(battles: Battles) -> Block:
    return advantages(win_rates(battles, 0), range(1, len(battles.contestants)))


@pytest.mark.parametrize("method", [by_ratings, by_win_rates])
def test_scores_have_the_covariance_of_repeated_studies(method: type) -> None:
    """Contestants that share the reference and its prompts have correlated scores."""
    rng = np.random.default_rng(1)
    blocks = [method(compare(rng, AT_THE_MARGIN)) for _ in range(300)]

    simulated = np.cov(np.array([cells.difference for cells in blocks]), rowvar=False)
    estimated = np.mean([cells.covariance for cells in blocks], axis=0)
    assert np.mean([cells.difference for cells in blocks], axis=0) == pytest.approx(AT_THE_MARGIN - 0.5, abs=0.01)
    assert estimated.diagonal().mean() == pytest.approx(simulated.diagonal().mean(), rel=0.15)
    between = ~np.eye(3, dtype=bool)
    assert simulated[between].mean() > 0.25 * simulated.diagonal().mean()
    assert estimated[between].mean() == pytest.approx(simulated[between].mean(), rel=0.25)


@pytest.mark.parametrize("adjustment", [NONE, HOLM])
@pytest.mark.parametrize("method", [by_ratings, by_win_rates])
def test_claims_at_the_margin_of_a_score(method: type, adjustment: str) -> None:
    """Contestants exactly at the margin are called equivalent in at most 5 % of studies, plus two errors of 0.011."""
    rng = np.random.default_rng(2)
    wrong = np.array([equivalent(method(compare(rng, AT_THE_MARGIN)), adjustment) for _ in range(400)])

    assert (wrong.mean() if adjustment == NONE else wrong.any(axis=1).mean()) <= 0.05 + 0.022
    assert equivalent(method(compare(rng, np.full(3, 0.5), 400)), adjustment).all()


def equivalent(cells: Block, adjustment: str) -> Flags:
    level = np.full(cells.difference.size, 1 - 0.05 / (1 if adjustment == NONE else cells.difference.size))
    (result,) = equivalences([cells], MARGIN, adjustment, [level])
    return np.array([answer is Answer.YES for answer in result.equivalent])


@pytest.mark.parametrize("ties", [HALF_WIN, DAVIDSON])
def test_scores_are_those_of_the_model(ties: str) -> None:
    """Win plus half of a tie; the gain of a score in points is p (1 - p) / POINTS where ties are half wins."""
    rng = np.random.default_rng(3)
    words = rng.choice(["left", "right", "tie"], 200, p=[0.5, 0.3, 0.2]).tolist()
    fit = bradley_terry(Battles.from_names(["a"] * 200, ["b"] * 200, words, cluster=np.arange(200)), ties=ties)
    differences = block(fit, 1, [0])
    assert differences is not None
    scores = expected_scores(fit, differences)

    observed = (words.count("left") + words.count("tie") / 2) / 200
    assert scores.difference[0] + 0.5 == pytest.approx(observed, abs=1e-6)
    if ties == HALF_WIN:
        assert scores.error[0] == pytest.approx(differences.error[0] * observed * (1 - observed) / POINTS, rel=1e-6)


def test_a_contestant_that_won_everything_has_the_exact_interval_of_its_win_rate() -> None:
    """Its battles do not vary, so its error is that of the exact interval, which is not zero."""
    rates = win_rates(compare(np.random.default_rng(4), np.array([2.0, 0.5])), 0)
    cells = advantages(rates, [1, 2])

    low, _ = intervals(cells, np.full(2, 0.95), 0.95)
    assert low[0] == pytest.approx(rates.rates[1].low - 0.5, abs=1e-6)  # type: ignore[operator]  # it has an interval
    assert cells.difference[0] == 0.5


def test_advantages_need_a_reference_and_intervals() -> None:
    few = compare(np.random.default_rng(5), AT_THE_MARGIN, 4)

    with pytest.raises(StatisticsError, match="need win rates against a reference"):
        advantages(win_rates(few), [1])
    with pytest.raises(StatisticsError, match="The win rate of b has no interval"):
        advantages(win_rates(few, 0), [1])
