"""Leaderboards say where their intervals do not hold."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from judge.ranking.battles import design_from_battles
from judge.ranking.leaderboard import Leaderboard
from judge.ranking.limits import RIDGE_NOTE
from judge.ranking.options import RankOptions
from judge.ranking.rank import rank
from judge.stats.battles import Battles


def leaderboard(options: RankOptions, sizes: list[int], loser: bool = False) -> Leaderboard:
    """Rank three equal contestants on prompts of these *sizes*, and perhaps one that loses every battle."""
    rng = np.random.default_rng(1)
    rows: list[tuple[str, str, str, int]] = []
    for prompt, size in enumerate(sizes):
        for first, second in combinations("abc", 2):
            rows += [(first, second, "left" if rng.random() < 0.5 else "right", prompt) for _ in range(size)]
        rows += [("a", "z", "left", prompt)] * loser
    left, right, outcomes, prompts = zip(*rows, strict=True)
    return rank(design_from_battles(Battles.from_names(left, right, outcomes, cluster=prompts), options), options)


@pytest.mark.parametrize(
    "options", [RankOptions(intervals="bootstrap", replicates=50), RankOptions(method="elo-permuted", permutations=20)]
)
def test_resampled_prompts_of_unequal_size_are_said_to_be_too_narrow(options: RankOptions) -> None:
    """The sandwich allows for unequal prompts, so it says nothing."""
    uneven, even = [40] + [1] * 11, [2] * 12

    assert "12 prompts differ in size and count as 2 equal ones" in " ".join(leaderboard(options, uneven).notes)
    assert "differ in size" not in " ".join(leaderboard(options, even).notes)
    assert "differ in size" not in " ".join(leaderboard(RankOptions(), uneven).notes)


def test_a_ridge_is_said_to_pull_and_whom_it_alone_places() -> None:
    """A contestant that lost every battle has a rating only because of the ridge."""
    assert leaderboard(RankOptions(ridge=1.0), [2] * 12).notes == (RIDGE_NOTE,)
    *_, pulled, placed = leaderboard(RankOptions(ridge=1.0), [2] * 12, loser=True).notes

    assert pulled == RIDGE_NOTE
    assert placed == "The ridge alone decides how far these are from the others: z."
