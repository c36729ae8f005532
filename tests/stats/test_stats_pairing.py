import hashlib
import tracemalloc
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from judge.columns.arrays import Flags
from judge.stats.errors import StatisticsError
from judge.stats.pairing import PairColumns, against, all_pairs, orders, random_balanced

Degrees = npt.NDArray[np.integer]
TABLES = arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 7)))


def rows(pairs: PairColumns) -> list[tuple[int, int, int]]:
    """Return the pairs as tuples."""
    return list(zip(pairs.prompt.tolist(), pairs.left.tolist(), pairs.right.tolist(), strict=True))


def every(present: Flags) -> list[tuple[int, int, int]]:
    """Return all pairs, from three loops."""
    prompts, contestants = present.shape
    return [
        (p, i, j)
        for p in range(prompts)
        for i in range(contestants)
        for j in range(i + 1, contestants)
        if present[p, i] and present[p, j]
    ]


def degrees(pairs: PairColumns, contestants: int) -> Degrees:
    """Count the pairs of each contestant."""
    return np.bincount(np.concatenate((pairs.left, pairs.right)), minlength=contestants)


@settings(deadline=None)
@given(TABLES)
def test_all_pairs_are_those_of_three_loops(present: Flags) -> None:
    """All pairs are those of three loops, ordered by prompt, left and right."""
    assert rows(all_pairs(present)) == every(present)


@settings(deadline=None)
@given(TABLES, st.data())
def test_pairs_against_a_reference_all_hold_it(present: Flags, data: st.DataObject) -> None:
    """The pairs against a reference are those of all pairs that contain it."""
    reference = data.draw(st.integers(0, present.shape[1] - 1))

    assert rows(against(present, reference)) == [row for row in every(present) if reference in row[1:]]


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 9), st.integers(2, 9), st.data())
def test_where_nothing_is_missing_pairs_are_balanced_to_two(
    prompts: int, contestants: int, data: st.DataObject
) -> None:
    """Without missing outputs, counts differ by at most two for contestants and one for prompts and pairs."""
    present = np.ones((prompts, contestants), dtype=bool)
    n = data.draw(st.integers(0, prompts * contestants * (contestants - 1) // 2))

    drawn = random_balanced(present, n, np.random.default_rng(data.draw(st.integers(0, 99))))

    used = degrees(drawn, contestants)
    times = np.bincount(drawn.left * contestants + drawn.right, minlength=contestants**2)[
        np.flatnonzero(np.triu(np.ones((contestants, contestants)), 1))
    ]
    asked = np.bincount(drawn.prompt, minlength=prompts)
    assert rows(drawn) == sorted(set(rows(drawn)))
    assert drawn.n == n
    assert used.max() - used.min() <= 2
    assert times.max() - times.min() <= 1
    assert asked.max() - asked.min() <= 1


@settings(deadline=None, max_examples=200)
@given(TABLES, st.data())
def test_where_outputs_are_missing_only_existing_pairs_are_drawn(present: Flags, data: st.DataObject) -> None:
    """Pairs are distinct and have both outputs, and the counts of prompts with pairs left differ by at most one."""
    capacity = np.bincount([p for p, _, _ in every(present)], minlength=len(present))
    n = data.draw(st.integers(0, int(capacity.sum())))

    drawn = random_balanced(present, n, np.random.default_rng(data.draw(st.integers(0, 99))))

    asked = np.bincount(drawn.prompt, minlength=len(present))
    left_over = asked[asked < capacity]
    assert drawn.n == n
    assert rows(drawn) == sorted(set(rows(drawn)))
    assert set(rows(drawn)) <= set(every(present))
    assert not left_over.size or asked.max() - left_over.min() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_with_a_tenth_of_outputs_missing_contestants_are_still_balanced(seed: int) -> None:
    """With missing outputs, the counts of contestants still differ by at most two."""
    rng = np.random.default_rng(seed)
    present = rng.random((60, 12)) < np.linspace(0.8, 1.0, 12)

    used = degrees(random_balanced(present, 900, rng), 12)

    assert used.max() - used.min() <= 2


def test_a_seed_names_one_plan_on_every_machine() -> None:
    """The same seed gives the same pairs to the byte, and another seed gives others."""
    full, holey = np.ones((40, 9), dtype=bool), np.random.default_rng(0).random((40, 9)) < 0.8

    def digest(present: Flags, seed: int) -> str:
        pairs = random_balanced(present, 300, np.random.default_rng(seed))
        return hashlib.sha256(b"".join(c.astype("<i4").tobytes() for c in vars(pairs).values())).hexdigest()[:16]

    assert [digest(full, 1), digest(holey, 1)] == ["7b994efdb0a0be20", "f26e2a4034af223a"]  # pragma: allowlist secret
    assert digest(full, 1) != digest(full, 2)
    assert digest(holey, 1) != digest(holey, 2)


def test_two_orders_one_order_or_a_coin() -> None:
    """Policy "both" presents each comparison twice, "one" left first, and "random" in a fair and seeded order."""
    both, single = (orders(3, policy, np.random.default_rng(0)) for policy in ("both", "one"))
    coin, again = (orders(10_000, "random", np.random.default_rng(5)) for _ in range(2))

    assert both.comparison.tolist() == [0, 0, 1, 1, 2, 2]
    assert both.left_first.tolist() == [True, False] * 3
    assert (single.comparison.tolist(), single.left_first.tolist()) == ([0, 1, 2], [True] * 3)
    assert coin.left_first.tolist() == again.left_first.tolist()
    assert 4_800 < coin.left_first.sum() < 5_200


@pytest.mark.parametrize("plan", ["all", "random", "against"])
def test_a_million_pairs_take_less_than_100_megabytes(plan: str) -> None:
    """The peak memory for a million pairs is less than 100 MB."""
    present = np.ones((5_300, 20), dtype=bool) if plan != "against" else np.ones((10_000, 101), dtype=bool)
    plans = {
        "all": lambda: all_pairs(present),
        "random": lambda: random_balanced(present, 1_000_000, np.random.default_rng(0)),
        "against": lambda: against(present, 50),
    }
    tracemalloc.start()

    pairs = plans[plan]()

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs.n >= 1_000_000
    assert peak < 100e6


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda rng: random_balanced(np.ones((2, 3), dtype=bool), 7, rng), r"from 0 to 6 \(all that exist\), not 7"),
        (lambda rng: random_balanced(np.ones((2, 3), dtype=bool), -1, rng), "not -1"),
        (lambda _: all_pairs(cast("Flags", np.ones((2, 3)))), r"must be bool\[prompts, contestants\], not"),
        (lambda _: all_pairs(np.ones(3, dtype=bool)), r"must be bool\[prompts, contestants\], not"),
        (lambda _: against(np.ones((2, 3), dtype=bool), 3), "no contestant with the code 3"),
        (lambda rng: orders(2, cast("Any", "twice"), rng), "Unknown order policy 'twice'"),
    ],
)
def test_bad_plans_are_refused_in_words(ask: Callable[..., object], sentence: str) -> None:
    """Too many pairs, a table of numbers, and an unknown reference or policy raise a StatisticsError that says so."""
    with pytest.raises(StatisticsError, match=sentence):
        ask(np.random.default_rng(0))


def test_nothing_present_gives_no_pairs() -> None:
    """Prompts without outputs have no pairs, and drawing zero pairs is no error."""
    empty = np.zeros((3, 4), dtype=bool)

    for pairs in (all_pairs(empty), against(empty, 0), random_balanced(empty, 0, np.random.default_rng(0))):
        assert isinstance(pairs, PairColumns)
        assert pairs.n == 0
