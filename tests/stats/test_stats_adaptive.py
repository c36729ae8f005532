"""Adaptive rounds depend only on the closed rounds and the seed, and choose the pairs that teach most."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from judge.columns.arrays import Floats
from judge.stats.adaptive import LEAST_SETTLED, TOP, Round, _top_quotas, next_round, pair_quotas, planning_fit
from judge.stats.errors import StatisticsError

M, PROMPTS = 6, 40
PRESENT = np.ones((PROMPTS, M), dtype=bool)
NONE_MADE = np.zeros((PROMPTS, M, M), dtype=bool)


def simulate_wins(n: int = 40, close: float = 0.1) -> Floats:
    """The expected wins of six contestants, of which the third and fourth are the closest."""
    strength = np.array([1.6, 0.9, close, 0.0, -0.9, -1.6])
    chance = 1 / (1 + np.exp(-np.subtract.outer(strength, strength)))
    wins: Floats = n * chance
    np.fill_diagonal(wins, 0)
    return wins


def count_chosen(chosen_round: Round) -> npt.NDArray[np.integer]:
    """Count each pair in the part of the round that was not drawn uniformly, int[m, m]."""
    counts = np.zeros((M, M), dtype=int)
    rows = ~chosen_round.uniform
    np.add.at(counts, (chosen_round.pairs.left[rows], chosen_round.pairs.right[rows]), 1)
    return counts


@pytest.mark.parametrize("rule", [LEAST_SETTLED, TOP])
def test_a_round_depends_on_closed_rounds_seed_and_counts_alone(rule: str) -> None:
    """The same closed rounds and seed give the same round, sorted and without repeated comparisons (law 5)."""
    first, second = (
        next_round(PRESENT, NONE_MADE, simulate_wins(), 100, np.random.default_rng(3), rule, k=3) for _ in range(2)
    )

    for column in ("prompt", "left", "right"):
        assert np.array_equal(getattr(first.pairs, column), getattr(second.pairs, column))
    assert np.array_equal(first.uniform, second.uniform)
    rows = np.column_stack((first.pairs.prompt, first.pairs.left, first.pairs.right))
    assert len(np.unique(rows, axis=0)) == 100
    assert (first.pairs.left < first.pairs.right).all()
    assert np.array_equal(rows, rows[np.lexsort(rows.T[::-1])])


def test_close_pairs_are_compared_most() -> None:
    counts = count_chosen(next_round(PRESENT, NONE_MADE, simulate_wins(), 100, np.random.default_rng(0)))

    assert counts.argmax() == 2 * M + 3
    assert counts[0, 5] == 0


def test_the_best_k_are_separated_at_their_boundary() -> None:
    counts = count_chosen(
        next_round(PRESENT, NONE_MADE, simulate_wins(close=0.0), 100, np.random.default_rng(0), TOP, k=4)
    )

    assert counts[:4, 4:].sum() > counts.sum() * 0.8
    assert counts[2, 4] + counts[3, 4] > counts.sum() * 0.5


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_share_of_the_round_is_drawn_uniformly(share: float) -> None:
    """Exactly the requested share is drawn uniformly."""
    chosen_round = next_round(PRESENT, NONE_MADE, simulate_wins(), 200, np.random.default_rng(1), uniform=share)

    assert chosen_round.uniform.sum() == 200 * share


def test_what_is_made_or_missing_is_not_made_again() -> None:
    """Missing outputs and past comparisons are skipped. When chosen pairs run out, others follow until none is left."""
    present = PRESENT.copy()
    present[:, 5] = False
    made = NONE_MADE.copy()
    made[:, 2, 3] = True
    every = PROMPTS * (5 * 4 // 2 - 1)

    chosen_round = next_round(present, made, simulate_wins(), 10_000, np.random.default_rng(2))

    assert chosen_round.pairs.n == every
    assert not ((chosen_round.pairs.left == 2) & (chosen_round.pairs.right == 3)).any()
    assert chosen_round.pairs.right.max() == 4
    assert next_round(present, ~NONE_MADE, simulate_wins(), 9, np.random.default_rng(2)).pairs.n == 0


def test_the_first_round_has_no_verdicts_and_is_spread() -> None:
    counts = count_chosen(next_round(PRESENT, NONE_MADE, np.zeros((M, M)), 300, np.random.default_rng(4)))

    assert counts[np.triu_indices(M, 1)].min() > 5
    assert np.allclose(planning_fit(np.zeros((M, M)))[0], 0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rule": "luck"}, "Unknown rule 'luck': choose one of least-settled, top"),
        ({"uniform": 0.1}, "from 0.2 to 1, not 0.1"),
        ({"rule": TOP, "k": 6}, "from 1 to 5 to separate the best k of 6 contestants, not 6"),
    ],
)
def test_senseless_rounds_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StatisticsError, match=sentence):
        next_round(PRESENT, NONE_MADE, simulate_wins(), 10, np.random.default_rng(0), **options)


@pytest.mark.parametrize("rule", [LEAST_SETTLED, TOP])
def test_a_choice_does_not_see_the_last_bits(rule: str) -> None:
    """Scores are rounded to 1e-9 before the choice, so the rounding of another machine changes no plan."""
    available = np.triu(np.full((M, M), PROMPTS), 1).ravel().astype(np.int64)
    bits = np.random.default_rng(1).normal(0, 1e-14, (M, M))
    np.fill_diagonal(bits, 0)

    plain, other = (
        pair_quotas(wins, available, 200, np.random.default_rng(0), rule, 3)
        for wins in (simulate_wins(), simulate_wins() + bits)
    )

    assert plain.tolist() == other.tolist()
    assert plain.sum() > 0


def test_a_choice_breaks_ties_by_index() -> None:
    """If all draws are equal to 1e-9, the second and the third contestant are at the boundary of the best two."""
    equal, certain = np.zeros(4), np.eye(4) * 1e-24

    quotas = _top_quotas(equal, certain, 50, 2, np.random.default_rng(0))

    assert np.flatnonzero(quotas).tolist() == [1 * 4 + 2]
