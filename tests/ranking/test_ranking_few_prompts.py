"""Contestants with very few prompts of their own have a rating, and nothing that would need an interval."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from judge.ranking.battles import design_from_battles
from judge.ranking.leaderboard import Leaderboard, RatingRow
from judge.ranking.options import RankOptions
from judge.ranking.rank import rank
from judge.stats.battles import Battles
from judge.stats.cluster_intervals import ALIKE
from judge.stats.elo import RESAMPLED

OTHERS = ("able", "base", "calm")
FEW = "none: 2 prompts of its own, at least 5 are needed"


def battles_with_few() -> Battles:
    """Battles of three contestants on 30 prompts, and of `dull` on two of these, of which it wins one."""
    rng, rows = np.random.default_rng(4), []
    for prompt in range(30):
        rows += [(left, right, "left" if rng.random() < 0.6 else "right", prompt) for left, right in pairs()]
    rows += [("able", "dull", "left", 0), ("base", "dull", "right", 1)]
    left, right, outcomes, prompts = zip(*rows, strict=True)
    return Battles.from_names(left, right, outcomes, cluster=prompts)


def pairs() -> list[tuple[str, str]]:
    return list(combinations(OTHERS, 2))


def leaderboard_of(options: RankOptions, battles: Battles | None = None) -> tuple[Leaderboard, dict[str, RatingRow]]:
    leaderboard = rank(design_from_battles(battles or battles_with_few(), options), options)
    return leaderboard, {row.contestant: row for row in leaderboard.ratings}


@pytest.mark.parametrize("reference", ["", "able", "dull"])
@pytest.mark.parametrize("kind", ["bootstrap", "bootstrap-t", "percentile"])
def test_a_bootstrap_gives_it_no_interval_and_takes_nothing_from_the_others(kind: str, reference: str) -> None:
    """It is disconnected in many resamples, but has no interval that could be open; all others keep their ranks."""
    leaderboard, rows = leaderboard_of(RankOptions(intervals=kind, replicates=60, reference=reference))
    dull = rows["dull"]

    assert leaderboard.resamples is not None
    assert leaderboard.resamples[1] > 6
    assert (math.isnan(dull.low), math.isnan(dull.high), dull.ranks, dull.best) == (True, True, None, None)
    assert dull.interval_method == FEW
    assert all(row.low < row.rating < row.high for row in (rows[name] for name in OTHERS))
    assert all(rows[name].ranks is not None and rows[name].best is not None for name in OTHERS)
    for standing in leaderboard.standings:
        known = "dull" not in (standing.contestant, reference)
        assert (math.isfinite(standing.low), math.isfinite(standing.high)) == (known, known)


@pytest.mark.parametrize("kind", ["bootstrap-t", "percentile"])
def test_intervals_from_quantiles_are_relative_to_those_who_have_one(kind: str) -> None:
    """Its own few prompts would make the intervals of all others a fifth wider."""
    _, usual = leaderboard_of(RankOptions())
    _, rows = leaderboard_of(RankOptions(intervals=kind, replicates=300))
    widths = [sum(table[name].high - table[name].low for name in OTHERS) for table in (rows, usual)]

    assert 0.9 < widths[0] / widths[1] < 1.1


def test_an_open_end_takes_only_its_own_ranks() -> None:
    """A contestant that many resamples disconnect at the top has no ranks, and the others have theirs.

    Its differences to others are open as well.
    """
    rows = [("a", "b", "right" if prompt == 0 else "left", prompt) for prompt in range(30)]
    rows += [(left, "c", outcome, prompt) for prompt in range(30) for left, outcome in (("b", "left"), ("b", "right"))]
    left, right, outcomes, prompts = zip(*rows, strict=True)
    battles = Battles.from_names(left, right, outcomes, cluster=prompts)
    leaderboard, by_name = leaderboard_of(RankOptions(intervals="bootstrap", replicates=100, pairs=True), battles)

    assert (by_name["a"].high, by_name["a"].ranks) == (math.inf, None)
    assert by_name["b"].ranks == by_name["c"].ranks == (1, 3)
    assert [row.best for row in by_name.values()] == [None] * 3
    highs = {row.left + row.right: row.high for row in leaderboard.pairs}
    assert (highs["ab"], highs["ac"], math.isinf(highs["bc"])) == (math.inf, math.inf, False)
    assert all(math.isfinite(row.low) for row in leaderboard.pairs if row.left == "a")


def test_elo_over_random_orders_gives_it_no_interval() -> None:
    """Its rating has the reason beside it, and the leaderboard names it; the others have intervals."""
    leaderboard, rows = leaderboard_of(RankOptions(method="elo-permuted", permutations=20))

    assert (math.isnan(rows["dull"].low), math.isnan(rows["dull"].high)) == (True, True)
    assert rows["dull"].interval_method == FEW
    assert all(rows[name].low < rows[name].rating < rows[name].high for name in OTHERS)
    assert leaderboard.interval_method == rows["able"].interval_method == RESAMPLED
    assert "No interval: dull (2 prompts of its own, at least 5 are needed)." in leaderboard.notes


def test_elo_of_ties_alone_has_no_interval() -> None:
    """Where no rating ever moves, there is nothing to tell how far a new prompt would move it."""
    battles = Battles.from_names(["a"] * 12, ["b"] * 12, ["tie"] * 12)
    leaderboard, rows = leaderboard_of(RankOptions(method="elo-permuted", permutations=20), battles)

    assert leaderboard.interval_method == ALIKE
    assert all(math.isnan(row.low) and math.isnan(row.high) for row in rows.values())


@pytest.mark.parametrize("fixed", [{"anchor": ("dull", 1000.0)}, {"anchors": (("dull", 1000.0),)}])
@pytest.mark.parametrize("kind", ["sandwich", "bootstrap"])
def test_an_anchor_without_an_interval_leaves_none_to_anybody(kind: str, fixed: dict[str, Any]) -> None:
    """Nobody's distance from it is known, not even its own, and the leaderboard says why."""
    leaderboard, rows = leaderboard_of(RankOptions(intervals=kind, replicates=60, **fixed))
    unknown = "no anchor has an interval: dull (2 prompts of its own, at least 5 are needed)"

    assert rows["dull"].rating == 1000
    assert all(math.isnan(row.low) and math.isnan(row.high) for row in rows.values())
    assert leaderboard.interval_method == rows["able"].interval_method == f"none: {unknown}"
    assert leaderboard.notes == (f"No rating has an interval, because {unknown}.",)


def test_beside_an_anchor_intervals_are_not_said_to_be_relative_to_a_mean() -> None:
    """The anchor is exact and the intervals of the others are relative to it."""
    leaderboard, rows = leaderboard_of(RankOptions(anchor=("able", 1000.0)))

    assert (rows["able"].low, rows["able"].high) == (1000, 1000)
    assert leaderboard.notes == ("No interval: dull (2 prompts of its own, at least 5 are needed).",)
