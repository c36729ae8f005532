"""When verdicts say enough: all that was asked for, at the level of the look, and never without everybody."""

import numpy as np
import pytest

from judge.stats.battles import Battles
from judge.stats.stopping import Goal, is_reached

STRENGTH = {"a": 1.5, "b": 1.4, "c": -0.5, "d": -0.6}


def battle_design(many: int, names: str = "abcd") -> Battles:
    """So many battles of each two, each over a prompt of its own."""
    rng = np.random.default_rng(3)
    pairs = [(one, other) for one in names for other in names if one < other] * many
    chance = np.array([1 / (1 + np.exp(STRENGTH[other] - STRENGTH[one])) for one, other in pairs])
    outcome = (rng.random(chance.size) > chance).astype(np.int8)
    left, right = zip(*pairs, strict=True)
    return Battles.from_names(left, right, outcome, cluster=list(range(chance.size)))


@pytest.mark.parametrize(
    ("goal", "few", "many"),
    [
        (Goal(), False, False),
        (Goal(precision=40), False, True),
        (Goal(separated=True, top=2), True, True),
        (Goal(separated=True), False, False),
        (Goal(precision=40, separated=True, top=2), False, True),
        (Goal(precision=40, separated=True), False, False),
    ],
)
def test_a_goal_is_reached_when_all_of_it_is(goal: Goal, few: bool, many: bool) -> None:
    """Two pairs of near equals: the best two are told from the others long before everybody is from everybody."""
    assert is_reached(battle_design(40), goal, 0.95) is few
    assert is_reached(battle_design(400), goal, 0.95) is many


def test_an_early_look_asks_for_more() -> None:
    """At the level that an early look is given, the same battles are not enough."""
    battles, goal = battle_design(150), Goal(precision=45)

    assert is_reached(battles, goal, 0.95)
    assert not is_reached(battles, goal, 0.999999)


@pytest.mark.parametrize("left", [["a"] * 50, ["a", "b"] * 25])
def test_nothing_is_reached_while_somebody_cannot_be_ranked(left: list[str]) -> None:
    """Whoever won everything, or never met the others, has no interval that could be narrow enough."""
    right = ["b" if one == "a" else "a" for one in left]
    battles = Battles.from_names(left, right, ["left"] * 50, cluster=list(range(50)))
    alone = Battles(("a", "b", "c"), battles.left, battles.right, battles.outcome, None, battles.cluster, 50)

    assert not is_reached(alone, Goal(precision=1e9), 0.95)
    assert is_reached(battles, Goal(precision=1e9), 0.95) is ("b" in left)
