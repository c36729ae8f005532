"""Sides of pairs whose files name no contestants are not ranked."""

from __future__ import annotations

import pytest

from judge.domain.errors import Incomparable
from judge.ranking.battles import design_from_battles
from judge.ranking.options import RankOptions
from judge.ranking.rank import rank
from judge.stats.battles import Battles


@pytest.mark.parametrize(
    "sides", [("response_A", "response_B"), ("response1", "response2"), ("chosen", "rejected"), ("left", "right")]
)
def test_ranking_sides_of_pairs_are_refused(sides: tuple[str, str]) -> None:
    """A win rate of the side that a file lists first says nothing about a model."""
    left, right = sides
    battles = Battles.from_names([left, right], [right, left], ["left", "left"])
    options = RankOptions()

    with pytest.raises(Incomparable, match=f"{left}, {right} are the sides of pairs whose file names no contestants"):
        rank(design_from_battles(battles, options), options)
