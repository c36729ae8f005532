import numpy as np
import polars as pl
import pytest

from judge.stats.battles import LEFT, RIGHT, TIE, Battles
from judge.stats.components import rankable, strong_components, unrankable, weak_components
from judge.stats.ranks import ranks


def test_contestants_are_coded_in_sorted_order() -> None:
    """The codes do not depend on who arrives first."""
    battles = Battles.from_names(["c", "a"], ["b", "c"], ["left", "tie"], cluster=["q2", "q1"])

    assert battles.contestants == ("a", "b", "c")
    assert battles.left.tolist() == [2, 0]
    assert battles.cluster.tolist() == [1, 0]
    assert battles.n_clusters == 2


def test_words_and_codes_mean_the_same() -> None:
    """Outcomes may come as words or as codes."""
    words = Battles.from_names(["a"] * 3, ["b"] * 3, ["left", "right", "tie"])
    codes = Battles.from_names(["a"] * 3, ["b"] * 3, np.array([LEFT, RIGHT, TIE], dtype=np.int8))

    assert words.outcome.tolist() == codes.outcome.tolist() == [0, 1, 2]


def test_columns_of_arrow_mean_what_lists_do() -> None:
    """The same codes, of names among the first rows and names that come late; what is wrong with a column is named."""
    left = ["b"] * 20_000 + ["late", "a"]
    right, words = ["c"] * 20_002, ["left"] * 20_000 + ["right", "tie"]
    listed = Battles.from_names(left, right, words, cluster=left)

    arrow = Battles.from_names(pl.Series(left), pl.Series(right), pl.Series(words), cluster=pl.Series(left))

    assert arrow.contestants == listed.contestants == ("a", "b", "c", "late")
    assert all(
        np.array_equal(getattr(arrow, column), getattr(listed, column))
        for column in ("left", "right", "outcome", "cluster")
    )
    with pytest.raises(ValueError, match="The outcome 'won' is unknown"):
        Battles.from_names(pl.Series(["a"]), pl.Series(["b"]), pl.Series(["won"]))
    with pytest.raises(ValueError, match="holds texts, and not Int64"):
        Battles.from_names(pl.Series([1]), pl.Series([2]), pl.Series(["tie"]))
    with pytest.raises(ValueError, match="has 1 empty places"):
        Battles.from_names(pl.Series(["a", None]), pl.Series(["b", "b"]), pl.Series(["tie", "tie"]))


def test_clusters_may_be_numbers_or_anything_hashable() -> None:
    """An array of prompt numbers, a list of names and a list of mixed kinds are coded without gaps."""
    numbers = Battles.from_names(["a"] * 3, ["b"] * 3, ["tie"] * 3, cluster=np.array([7, 3, 7]))
    mixed = Battles.from_names(["a"] * 3, ["b"] * 3, ["tie"] * 3, cluster=[("q", 1), 5, ("q", 1)])

    assert (numbers.cluster.tolist(), numbers.n_clusters) == ([1, 0, 1], 2)
    assert mixed.cluster[0] == mixed.cluster[2] != mixed.cluster[1]


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
    """A narrowed board has the contestants asked for, recoded, and their battles only."""
    battles = Battles.from_names(["a", "b", "c"], ["b", "c", "a"], ["left", "tie", "right"], cluster=[0, 1, 2])

    kept = battles.among([2, 1])

    assert kept.contestants == ("b", "c")
    assert (kept.left.tolist(), kept.right.tolist(), kept.cluster.tolist()) == ([0], [1], [1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"left": [], "right": [], "outcomes": []}, "There are no battles"),
        ({"left": ["a"], "right": ["a"], "outcomes": ["left"]}, "'a' meets itself in battle 0"),
        ({"left": ["a"], "right": ["b"], "outcomes": ["won"]}, "'won' is unknown"),
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
def test_bad_battles_are_refused_by_name(arguments: dict[str, object], sentence: str) -> None:
    """Each thing that is wrong with battles is a ValueError that says which."""
    with pytest.raises(ValueError, match=sentence):
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
def test_bad_codes_are_refused_by_name(columns: tuple[object, ...], sentence: str) -> None:
    """Codes that name nobody are a ValueError that says in which column."""
    names, *rest = columns
    with pytest.raises(ValueError, match=sentence):
        Battles(names, *(np.array(column) if isinstance(column, list) else column for column in rest))


def test_one_scale_needs_wins_in_both_directions() -> None:
    """Ford's condition: components are strongly connected by wins, where a tie counts both ways."""
    battles = Battles.from_names(
        ["a", "b", "c", "d", "e"], ["b", "c", "a", "a", "f"], ["left", "left", "left", "left", "tie"]
    )
    wins = battles.counts().wins

    assert strong_components(wins) == ((0, 1, 2), (3,), (4, 5))
    assert weak_components(wins) == ((0, 1, 2, 3), (4, 5))
    assert rankable(wins) == (0, 1, 2)
    assert unrankable(wins) == {3: "won every battle", 4: "not connected to the rest", 5: "not connected to the rest"}


def test_who_cannot_be_ranked_is_told_why() -> None:
    """Won every battle, lost every battle, and no battles are told apart."""
    wins = np.zeros((5, 5))
    wins[0, 1] = wins[1, 0] = wins[2, 0] = wins[1, 3] = 1

    assert unrankable(wins) == {2: "won every battle", 3: "lost every battle", 4: "no battles"}


def test_of_two_equal_leaderboards_none_is_preferred() -> None:
    """Where two components are equally large, choosing one could only go by names."""
    wins = np.kron(np.eye(2), np.array([[0, 1], [1, 0]]))

    assert rankable(wins) == ()
    assert set(unrankable(wins).values()) == {"not connected to the rest"}


def test_ranks_count_from_one_and_equals_share_the_better() -> None:
    """Of four with two in the middle, the ranks are 1, 2, 2, 4."""
    assert ranks(np.array([3.0, 9.0, 5.0, 5.0])).tolist() == [4, 1, 2, 2]


def test_one_battle_and_many_are_coded_alike() -> None:
    """Names are coded some thousands at a time; a remainder of one, and a single battle, are no exception."""
    names = [f"m{i % 7}" for i in range(4097)]
    many = Battles.from_names(names, ["z"] * 4097, ["tie"] * 4096 + ["right"])
    one = Battles.from_names(["b"], ["a"], ["right"])

    assert many.left.tolist() == [i % 7 for i in range(4097)]
    assert (many.outcome[-1], many.n) == (RIGHT, 4097)
    assert (one.contestants, one.left.tolist(), one.outcome.tolist()) == (("a", "b"), [1], [RIGHT])


def test_a_hundred_thousand_contestants_are_refused_by_number() -> None:
    """Who met whom would fill the memory, so the number that can be ranked at once is said."""
    names = [f"c{n:06}" for n in range(100_000)]
    battles = Battles.from_names(names, names[1:] + names[:1], ["tie"] * len(names))

    with pytest.raises(ValueError, match="There are 100000 contestants; at most 3000 can be ranked at once"):
        battles.counts()
