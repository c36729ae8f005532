"""As good as the reference within a margin is claimed by mistake in at most 5 % of reports."""

from dataclasses import replace

import numpy as np
import pytest

from judge.stats.equivalence import Answer, Equivalence, equivalences
from judge.stats.errors import StatisticsError
from judge.stats.scorecard import HOLM, MAX_T, NONE, Block, intervals, levels

YES, NO, CANNOT_TELL = Answer.YES, Answer.NO, Answer.CANNOT_TELL
PROMPTS, SPREAD, MARGIN = 40, 100.0, 60.0
REPORTS = 1000


def answers(block: Block, adjustment: str = NONE, margin: float = MARGIN) -> Equivalence:
    """Test the cells of a block, with the levels of the adjustment for who is ahead."""
    return equivalences([block], margin, adjustment, levels([block], adjustment, np.random.default_rng(0)))[0]


def compare(rng: np.random.Generator, truth: np.ndarray) -> Block:
    """Compare contestants with a reference on 40 prompts."""
    scores = rng.normal(0, SPREAD, (PROMPTS, truth.size + 1))
    differences = scores[:, 1:] - scores[:, :1] + truth
    covariance = np.atleast_2d(np.cov(differences, rowvar=False)) / PROMPTS
    return Block.of_t(differences.mean(axis=0), covariance, PROMPTS - 1)


@pytest.mark.parametrize("adjustment", [NONE, HOLM])
@pytest.mark.parametrize("signs", [[1], [1] * 10, [1, -1] * 5])
def test_claims_at_the_margin(signs: list[int], adjustment: str) -> None:
    """Where the true differences equal the margin, a claim of equivalence or non-inferiority is wrong in at most 5 %.

    Adjusted, that holds for all contestants at once; unadjusted, for each. 1,000 reports have a Monte-Carlo error of
    0.007, and two of them are allowed.
    """
    rng = np.random.default_rng([len(signs), len(adjustment)])
    truth = MARGIN * np.array(signs)
    equivalent, non_inferior = np.zeros((2, REPORTS, truth.size), dtype=bool)
    for report in range(REPORTS):
        result = answers(compare(rng, truth), adjustment)
        equivalent[report] = np.equal(result.equivalent, YES)
        non_inferior[report] = np.equal(result.non_inferior, YES) & (truth < 0)
    wrong = equivalent | non_inferior

    assert (wrong.mean() if adjustment == NONE else wrong.any(axis=1).mean()) <= 0.064


def test_one_contestant_at_the_margin_uses_the_whole_level() -> None:
    """With one contestant, the one-sided tests err in 5 % of reports; a two-sided interval would in 2.5 %."""
    rng = np.random.default_rng(5)
    wrong = [answers(compare(rng, np.array([-MARGIN]))).non_inferior[0] is YES for _ in range(REPORTS)]

    assert np.mean(wrong) == pytest.approx(0.05, abs=0.014)


@pytest.mark.parametrize("truth", [MARGIN, 0.0])
def test_no_is_wrong_in_at_most_5_percent(truth: float) -> None:
    """Even with a margin close to 0, a difference of 0 is said to be beyond it in at most 5 % of reports."""
    rng = np.random.default_rng(6)
    margin = max(truth, 0.01)
    wrong = [answers(compare(rng, np.array([truth])), margin=margin).equivalent[0] is NO for _ in range(REPORTS)]

    assert np.mean(wrong) <= 0.064


def test_equal_contestants_are_found_equivalent() -> None:
    """A true difference of 0 and a margin of 4 standard errors are equivalent in nearly all reports."""
    rng = np.random.default_rng(7)
    margin = 4 * SPREAD * np.sqrt(2 / PROMPTS)
    right = [answers(compare(rng, np.zeros(1)), margin=margin).equivalent[0] is YES for _ in range(200)]

    assert np.mean(right) > 0.95


def test_a_contestant_can_be_ahead_and_within_the_margin() -> None:
    """Ahead, equivalent and non-inferior are separate answers: a small difference can be significant."""
    block = Block.of_t(
        np.array([20.0, 50.0, -50.0, 90.0, -90.0, 200.0]), np.diag([25.0, 900, 900, 100, 100, 1e6]), 1000
    )
    result = answers(block)

    assert result.equivalent == (YES, CANNOT_TELL, CANNOT_TELL, NO, NO, CANNOT_TELL)
    assert result.non_inferior == (YES, YES, CANNOT_TELL, YES, NO, CANNOT_TELL)
    assert result.low[0] > 0


def test_holm_adjusts_less_than_bonferroni() -> None:
    """With two contestants, the second is tested at the full level once the first is equivalent, and only then."""
    alone = Block.of_t(np.array([0.0, 43.0]), np.diag([25.0, 100.0]), 10_000)
    with_another = Block.of_t(np.array([55.0, 43.0]), np.diag([25.0, 100.0]), 10_000)

    assert answers(alone, HOLM).equivalent == (YES, YES)
    assert answers(with_another, HOLM).equivalent == (CANNOT_TELL, CANNOT_TELL)
    assert answers(with_another, NONE).equivalent == (CANNOT_TELL, YES)
    assert answers(alone, MAX_T).equivalent == answers(alone, HOLM).equivalent


def test_who_is_ahead_is_not_worse_by_anything() -> None:
    """Four contestants far behind make Holm's last step narrow, and the fifth is ahead by it: so it is not worse."""
    block = Block.of_t(np.array([-900.0, -900, -900, -900, 22.0]), np.diag([100.0] * 5), 1000)
    cell_levels = levels([block], HOLM, np.random.default_rng(0))
    low, _ = intervals(block, cell_levels[0], 0.95)

    assert low[4] > 0
    assert answers(block, HOLM, margin=0.5).non_inferior == (NO, NO, NO, NO, YES)


def test_who_is_equivalent_is_not_worse() -> None:
    """Each family has its own steps, and those of equivalence never go further."""
    rng = np.random.default_rng(8)
    for _ in range(200):
        result = answers(compare(rng, rng.normal(0, MARGIN, 6)), HOLM)

        both = zip(result.equivalent, result.non_inferior, strict=True)
        assert all(worse is YES for same, worse in both if same is YES)


def test_a_difference_far_beyond_the_margin_needs_no_strictest_level() -> None:
    """No is answered by the steps of Holm's method too: the last of five at the full level."""
    block = Block.of_t(np.array([-900.0, -900, -900, -900, 82.0]), np.diag([100.0] * 5), 1000)

    assert answers(block, HOLM).equivalent == (NO, NO, NO, NO, NO)
    assert answers(Block.of_t(np.full(5, 82.0), np.diag([100.0] * 5), 1000), HOLM).equivalent == (CANNOT_TELL,) * 5


def test_an_open_interval_shows_nothing_on_its_open_side() -> None:
    """A contestant whose interval has no upper end can be non-inferior, but not equivalent."""
    open_high = np.array([True])
    block = replace(Block.of_t(np.zeros(1), np.eye(1), 100), open_low=~open_high, open_high=open_high)

    assert answers(block).equivalent == (CANNOT_TELL,)
    assert answers(block).non_inferior == (YES,)


def test_a_margin_must_be_positive() -> None:
    with pytest.raises(StatisticsError, match="must be more than 0, not 0"):
        answers(Block.of_t(np.zeros(1), np.eye(1), 100), margin=0.0)
