"""Stopping rules need all conditions, at the level of the look, and all contestants ranked."""

import numpy as np
import pytest

from judge.stats.battles import Battles
from judge.stats.stopping import Goal, is_reached

STRENGTH = {"a": 1.5, "b": 1.4, "c": -0.5, "d": -0.6}


def battle_design(repeats: int, names: str = "abcd") -> Battles:
    """Simulate *repeats* battles of each pair, each on its own prompt."""
    rng = np.random.default_rng(3)
    pairs = [(first, second) for first in names for second in names if first < second] * repeats
    chance = np.array([1 / (1 + np.exp(STRENGTH[second] - STRENGTH[first])) for first, second in pairs])
    outcome = (rng.random(chance.size) > chance).astype(np.int8)
    left, right = zip(*pairs, strict=True)
    return Battles.from_names(left, right, outcome, cluster=list(range(chance.size)))


@pytest.mark.parametrize(
    ("goal", "after_few", "after_many"),
    [
        (Goal(), False, False),
        (Goal(precision=40), False, True),
        (Goal(separated=True, top=2), True, True),
        (Goal(separated=True), False, False),
        (Goal(precision=40, separated=True, top=2), False, True),
        (Goal(precision=40, separated=True), False, False),
    ],
)
def test_a_goal_is_reached_when_all_of_it_is(goal: Goal, after_few: bool, after_many: bool) -> None:
    """With two pairs of near equals, the best two are separated from the rest long before all pairs are."""
    assert is_reached(battle_design(40), goal, 0.95) is after_few
    assert is_reached(battle_design(400), goal, 0.95) is after_many


def test_an_early_look_asks_for_more() -> None:
    """The same battles are not enough at the higher level of an early look."""
    battles, goal = battle_design(150), Goal(precision=45)

    assert is_reached(battles, goal, 0.95)
    assert not is_reached(battles, goal, 0.999999)


@pytest.mark.parametrize("left", [["a"] * 50, ["a", "b"] * 25])
def test_nothing_is_reached_while_somebody_cannot_be_ranked(left: list[str]) -> None:
    """No goal is reached while a contestant won everything or never met the others."""
    right = ["b" if name == "a" else "a" for name in left]
    battles = Battles.from_names(left, right, ["left"] * 50, cluster=list(range(50)))
    alone = Battles(("a", "b", "c"), battles.left, battles.right, battles.outcome, None, battles.cluster, 50)

    assert not is_reached(alone, Goal(precision=1e9), 0.95)
    assert is_reached(battles, Goal(precision=1e9), 0.95) is ("b" in left)
