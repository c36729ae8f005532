from typing import Any

import numpy as np
import polars as pl
import pytest

from judge.stats.battles import LEFT, RIGHT, TIE, Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.components import rankable, strong_components, unrankable, weak_components
from judge.stats.errors import StatisticsError
from judge.stats.ranks import ranks
from stats.known import known


def test_contestants_are_coded_in_sorted_order() -> None:
    """The codes do not depend on the order of battles."""
    battles = Battles.from_names(["c", "a"], ["b", "c"], ["left", "tie"], cluster=["q2", "q1"])

    assert battles.contestants == ("a", "b", "c")
    assert battles.left.tolist() == [2, 0]
    assert known(battles.cluster).tolist() == [1, 0]
    assert battles.n_clusters == 2


def test_words_and_codes_mean_the_same() -> None:
    """Outcomes given as words or as codes mean the same."""
    words = Battles.from_names(["a"] * 3, ["b"] * 3, ["left", "right", "tie"])
    codes = Battles.from_names(["a"] * 3, ["b"] * 3, np.array([LEFT, RIGHT, TIE], dtype=np.int8))

    assert words.outcome.tolist() == codes.outcome.tolist() == [0, 1, 2]


def test_columns_of_arrow_mean_what_lists_do() -> None:
    """Arrow columns give the same codes as lists, also for late names. Errors name what is wrong with a column."""
    left = ["b"] * 20_000 + ["late", "a"]
    right, words = ["c"] * 20_002, ["left"] * 20_000 + ["right", "tie"]
    listed = Battles.from_names(left, right, words, cluster=left)

    arrow = Battles.from_names(pl.Series(left), pl.Series(right), pl.Series(words), cluster=pl.Series(left))

    assert arrow.contestants == listed.contestants == ("a", "b", "c", "late")
    assert all(
        np.array_equal(getattr(arrow, column), getattr(listed, column))
        for column in ("left", "right", "outcome", "cluster")
    )
    with pytest.raises(StatisticsError, match="Unknown outcome 'won'"):
        Battles.from_names(pl.Series(["a"]), pl.Series(["b"]), pl.Series(["won"]))
    with pytest.raises(StatisticsError, match="must hold texts, not Int64"):
        Battles.from_names(pl.Series([1]), pl.Series([2]), pl.Series(["tie"]))
    with pytest.raises(StatisticsError, match="must have no nulls, but has 1"):
        Battles.from_names(pl.Series(["a", None]), pl.Series(["b", "b"]), pl.Series(["tie", "tie"]))


def test_clusters_may_be_numbers_or_anything_hashable() -> None:
    """An array of prompt numbers, a list of names and a list of mixed kinds are coded without gaps."""
    numbers = Battles.from_names(["a"] * 3, ["b"] * 3, ["tie"] * 3, cluster=np.array([7, 3, 7]))
    mixed = Battles.from_names(["a"] * 3, ["b"] * 3, ["tie"] * 3, cluster=[("q", 1), 5, ("q", 1)])

    assert (known(numbers.cluster).tolist(), numbers.n_clusters) == ([1, 0, 1], 2)
    codes = known(mixed.cluster).tolist()
    assert codes[0] == codes[2] != codes[1]


def test_counts_sum_weighted_wins_and_half_ties() -> None:
    """A win counts its weight for the winner, a tie half its weight for each."""
    battles = Battles.from_names(
        ["a", "b", "a", "b"], ["b", "a", "b", "c"], ["left", "left", "tie", "right"], weight=[2, 3, 4, 1]
    )

    counts = battles.counts()

    assert counts.n == 4
    assert counts.wins.tolist() == [[0, 4, 0], [5, 0, 0], [0, 1, 0]]
    assert counts.ties.tolist() == [[0, 4, 0], [4, 0, 0], [0, 0, 0]]


def test_among_keeps_the_battles_between_those_named() -> None:
    """The battles among some contestants have only those contestants, with new codes."""
    battles = Battles.from_names(["a", "b", "c"], ["b", "c", "a"], ["left", "tie", "right"], cluster=[0, 1, 2])

    kept = battles.among([2, 1])

    assert kept.contestants == ("b", "c")
    assert (kept.left.tolist(), kept.right.tolist(), known(kept.cluster).tolist()) == ([0], [1], [1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"left": [], "right": [], "outcomes": []}, "There are no battles"),
        ({"left": ["a"], "right": ["a"], "outcomes": ["left"]}, "'a' meets itself in battle 0"),
        ({"left": ["a"], "right": ["b"], "outcomes": ["won"]}, "outcome 'won'"),
        ({"left": ["a"], "right": ["b"], "outcomes": np.array([3])}, "unknown outcome"),
        ({"left": ["a"], "right": ["b"], "outcomes": np.array([0.5])}, "must hold integers"),
        ({"left": ["a"], "right": ["b", "c"], "outcomes": ["left"]}, "differ in length: left 1, right 2"),
        ({"left": ["a"], "right": [None], "outcomes": ["left"]}, "not None"),
        ({"left": ["a"], "right": ["b"], "outcomes": ["left"], "weight": [float("nan")]}, "weight that is NaN"),
        ({"left": ["a"], "right": ["b"], "outcomes": ["left"], "weight": [-1.0]}, "negative"),
        ({"left": ["a"], "right": ["b"], "outcomes": ["left"], "weight": [float("inf")]}, "infinite"),
        ({"left": ["a"], "right": ["b"], "outcomes": ["left"], "weight": [0.0]}, "nothing but zeros"),
        ({"left": ["a"], "right": ["b"], "outcomes": ["left"], "cluster": ["q", "r"]}, "cluster 2"),
    ],
)
def test_bad_battles_are_refused_by_name(arguments: dict[str, Any], sentence: str) -> None:
    """Every defect of battles raises a StatisticsError that names it."""
    with pytest.raises(StatisticsError, match=sentence):
        Battles.from_names(**arguments)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ((("b", "a"), [0], [1], [0]), "sorted and distinct"),
        ((("a", "a"), [0], [1], [0]), "sorted and distinct"),
        ((("a", "b"), [0], [2], [0]), "right holds a code outside 0 to 1"),
        ((("a", "b"), [-1], [1], [0]), "left holds a code"),
        ((("a", "b"), [[0]], [1], [0]), "left must be flat"),
        ((("a", "b"), [0], [1], [0], [[1.0]]), "weight must be flat"),
        ((("a", "b"), [0], [1], [0], None, [0], 0), "cluster holds a code"),
    ],
)
def test_bad_codes_are_refused_by_name(columns: tuple[Any, ...], sentence: str) -> None:
    """A code out of range raises a StatisticsError that names its column."""
    names, *rest = columns
    arrays: list[Any] = [np.array(column) if isinstance(column, list) else column for column in rest]

    with pytest.raises(StatisticsError, match=sentence):
        Battles(names, *arrays)


def test_one_scale_needs_wins_in_both_directions() -> None:
    """Components are strongly connected by wins, where a tie counts both ways (Ford's condition)."""
    battles = Battles.from_names(
        ["a", "b", "c", "d", "e"], ["b", "c", "a", "a", "f"], ["left", "left", "left", "left", "tie"]
    )
    wins = battles.counts().wins

    assert strong_components(wins) == ((0, 1, 2), (3,), (4, 5))
    assert weak_components(wins) == ((0, 1, 2, 3), (4, 5))
    assert rankable(wins) == (0, 1, 2)
    assert unrankable(wins) == {3: "won every battle", 4: "not connected to the rest", 5: "not connected to the rest"}


def test_unrankable_contestants_have_a_reason() -> None:
    """Winning every battle, losing every battle and having no battles are different reasons."""
    wins = np.zeros((5, 5))
    wins[0, 1] = wins[1, 0] = wins[2, 0] = wins[1, 3] = 1

    assert unrankable(wins) == {2: "won every battle", 3: "lost every battle", 4: "no battles"}


def test_who_met_everybody_is_not_called_unconnected() -> None:
    """A contestant that beat only the unranked lost to all ranked contestants; it is not disconnected from them."""
    won = {"ab", "bc", "ca", "ad", "bd", "cd", "de", "ae", "fa", "fg", "gh"}
    names = "abcdefgh"
    wins = np.array([[float(i + j in won) for j in names] for i in names])

    assert rankable(wins) == (0, 1, 2)
    assert unrankable(wins) == {
        3: "lost every battle against ranked contestants",
        4: "lost every battle",
        5: "won every battle",
        6: "met no ranked contestant",
        7: "lost every battle",
    }


def test_groups_of_one_size_say_how_they_did_against_each_other() -> None:
    """If nobody can be ranked, the reason is how a contestant did outside its group."""
    tied = np.array([[0, 1], [1, 0]])
    wins = np.kron(np.eye(3), tied)
    wins[0:2, 2:4] = wins[2:4, 4:6] = 1

    assert rankable(wins) == ()
    assert list(unrankable(wins).values()) == [
        *["won every battle outside its group"] * 2,
        *["won every battle against some groups and lost every battle against others"] * 2,
        *["lost every battle outside its group"] * 2,
    ]


def test_of_two_equal_leaderboards_none_is_preferred() -> None:
    """If two components are equally large, neither is chosen, because only names could decide."""
    wins = np.kron(np.eye(2), np.array([[0, 1], [1, 0]]))

    assert rankable(wins) == ()
    assert set(unrankable(wins).values()) == {"not connected to the rest"}


def test_ranks_count_from_one_and_equals_share_the_better() -> None:
    """Four ratings with a tie in the middle have the ranks 1, 2, 2 and 4."""
    assert ranks(np.array([3.0, 9.0, 5.0, 5.0])).tolist() == [4, 1, 2, 2]


def test_one_battle_and_many_are_coded_alike() -> None:
    """Names are coded in blocks; a remainder of one and a single battle are coded in the same way."""
    names = [f"m{i % 7}" for i in range(4097)]
    long = Battles.from_names(names, ["z"] * 4097, ["tie"] * 4096 + ["right"])
    single = Battles.from_names(["b"], ["a"], ["right"])

    assert long.left.tolist() == [i % 7 for i in range(4097)]
    assert (long.outcome[-1], long.n) == (RIGHT, 4097)
    assert (single.contestants, single.left.tolist(), single.outcome.tolist()) == (("a", "b"), [1], [RIGHT])


def test_a_hundred_thousand_contestants_are_refused_by_number() -> None:
    """Tables of pairs would fill the memory, so the error names the largest number of contestants."""
    names = [f"c{n:06}" for n in range(100_000)]
    battles = Battles.from_names(names, names[1:] + names[:1], ["tie"] * len(names))

    with pytest.raises(StatisticsError, match="There are 100,000 contestants; at most 3,000 can be ranked at once"):
        battles.counts()


@pytest.mark.parametrize("scale", [1e308, 1e150, 1e-150, 1e-300])
def test_the_scale_of_all_weights_changes_nothing(scale: float) -> None:
    """Extreme weights are scaled, so that no sum or square of them leaves the range of floats."""
    names = (["a", "b", "a", "c", "b", "c"], ["b", "c", "c", "a", "a", "b"], ["left"] * 6)
    plain = Battles.from_names(*names, weight=[1.0, 0.5, 1.0, 0.25, 1.0, 0.5], cluster=list("ppqqrr"))
    scaled = Battles.from_names(
        *names, weight=[weight * scale for weight in (1.0, 0.5, 1.0, 0.25, 1.0, 0.5)], cluster=list("ppqqrr")
    )

    assert bradley_terry(scaled).ratings == pytest.approx(bradley_terry(plain).ratings)
