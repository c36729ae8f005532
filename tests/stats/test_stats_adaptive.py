"""Adaptive rounds: pure functions of what is closed, at least a fifth by lot, and where a verdict settles most."""

import numpy as np
import pytest

from judge.stats.adaptive import LEAST_SETTLED, TOP, Round, _top_quotas, next_round, pair_quotas, planning_fit

M, PROMPTS = 6, 40
PRESENT = np.ones((PROMPTS, M), dtype=bool)
NOTHING = np.zeros((PROMPTS, M, M), dtype=bool)


def told(n: int = 40, close: float = 0.1) -> np.ndarray:
    """Wins of six contestants, of which the third and fourth are the closest."""
    strength = np.array([1.6, 0.9, close, 0.0, -0.9, -1.6])
    chance = 1 / (1 + np.exp(-np.subtract.outer(strength, strength)))
    wins = n * chance
    np.fill_diagonal(wins, 0)
    return wins


def met(found: Round) -> np.ndarray:
    """How often each pair is in the part of the round that was not drawn by lot, int[m, m]."""
    many = np.zeros((M, M), dtype=int)
    chosen = ~found.uniform
    np.add.at(many, (found.pairs.left[chosen], found.pairs.right[chosen]), 1)
    return many


@pytest.mark.parametrize("rule", [LEAST_SETTLED, TOP])
def test_a_round_depends_on_closed_rounds_seed_and_counts_alone(rule: str) -> None:
    """Law 5: the same closed rounds and seed give the same round, sorted, without a comparison made twice."""
    one, two = (next_round(PRESENT, NOTHING, told(), 100, np.random.default_rng(3), rule, k=3) for _ in range(2))

    for column in ("prompt", "left", "right"):
        assert np.array_equal(getattr(one.pairs, column), getattr(two.pairs, column))
    assert np.array_equal(one.uniform, two.uniform)
    rows = np.column_stack((one.pairs.prompt, one.pairs.left, one.pairs.right))
    assert len(np.unique(rows, axis=0)) == 100
    assert (one.pairs.left < one.pairs.right).all()
    assert np.array_equal(rows, rows[np.lexsort(rows.T[::-1])])


def test_close_pairs_are_compared_most() -> None:
    many = met(next_round(PRESENT, NOTHING, told(), 100, np.random.default_rng(0)))

    assert many.argmax() == 2 * M + 3
    assert many[0, 5] == 0


def test_the_best_k_are_told_from_the_rest_at_their_boundary() -> None:
    many = met(next_round(PRESENT, NOTHING, told(close=0.0), 100, np.random.default_rng(0), TOP, k=4))

    assert many[:4, 4:].sum() > many.sum() * 0.8
    assert many[2, 4] + many[3, 4] > many.sum() * 0.5


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_share_of_the_round_is_drawn_uniformly(share: float) -> None:
    """Exactly the share asked for, over all pairs alike."""
    found = next_round(PRESENT, NOTHING, told(), 200, np.random.default_rng(1), uniform=share)

    assert found.uniform.sum() == 200 * share


def test_what_is_made_or_missing_is_not_made_again() -> None:
    """Without an output there is no comparison; when pair_quotas pairs run out the rest falls by lot; then it ends."""
    present = PRESENT.copy()
    present[:, 5] = False
    made = NOTHING.copy()
    made[:, 2, 3] = True
    every = PROMPTS * (5 * 4 // 2 - 1)

    found = next_round(present, made, told(), 10_000, np.random.default_rng(2))

    assert found.pairs.n == every
    assert not ((found.pairs.left == 2) & (found.pairs.right == 3)).any()
    assert found.pairs.right.max() == 4
    assert next_round(present, ~NOTHING, told(), 9, np.random.default_rng(2)).pairs.n == 0


def test_the_first_round_has_no_verdicts_and_is_spread() -> None:
    many = met(next_round(PRESENT, NOTHING, np.zeros((M, M)), 300, np.random.default_rng(4)))

    assert many[np.triu_indices(M, 1)].min() > 5
    assert np.allclose(planning_fit(np.zeros((M, M)))[0], 0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rule": "luck"}, "rule 'luck' is none of least-settled, top"),
        ({"uniform": 0.1}, "from 0.2 to 1, and not 0.1"),
        ({"rule": TOP, "k": 6}, "The best 6 of 6 leave nobody out"),
    ],
)
def test_senseless_rounds_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        next_round(PRESENT, NOTHING, told(), 10, np.random.default_rng(0), **options)


@pytest.mark.parametrize("rule", [LEAST_SETTLED, TOP])
def test_a_choice_does_not_see_the_last_bits(rule: str) -> None:
    """Scores are rounded to 1e-9 before anything is chosen: other kernels' rounding changes no plan."""
    there = np.triu(np.full((M, M), PROMPTS), 1).ravel().astype(np.int64)
    bits = np.random.default_rng(1).normal(0, 1e-14, (M, M))
    np.fill_diagonal(bits, 0)

    plain, other = (
        pair_quotas(wins, there, 200, np.random.default_rng(0), rule, 3) for wins in (told(), told() + bits)
    )

    assert plain.tolist() == other.tolist()
    assert plain.sum() > 0


def test_a_choice_breaks_ties_by_index() -> None:
    """Where the draws are equal to 1e-9 the second and the third stand at the boundary of the best two."""
    equal, certain = np.zeros(4), np.eye(4) * 1e-24

    many = _top_quotas(equal, certain, 50, 2, np.random.default_rng(0))

    assert np.flatnonzero(many).tolist() == [1 * 4 + 2]
