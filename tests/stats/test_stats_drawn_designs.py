"""Intervals and ranks hold on designs that nobody picked: their sizes, weights, contestants and ties are drawn."""

import pytest
from design_coverage import DIFFERENCES, GOAL, GOAL_AT_ONCE, RATINGS, Tally, must_have_intervals, tallies
from figures import monte_carlo_error

REPLICATES = 200
DESIGNS = 16


@pytest.fixture(scope="module")
def drawn() -> list[Tally]:
    """The tallies of the drawn designs that must have intervals."""
    return [tally for tally in tallies(11, DESIGNS, REPLICATES) if must_have_intervals(tally.design)]


def test_the_drawn_designs_are_unbalanced(drawn: list[Tally]) -> None:
    """Otherwise the next test would show little."""
    assert len(drawn) >= DESIGNS // 3
    assert min(tally.design.effective / tally.design.prompts for tally in drawn) < 0.6
    assert any(tally.design.newcomer is not None for tally in drawn)


@pytest.mark.parametrize("kind", [RATINGS, DIFFERENCES])
def test_intervals_hold_on_drawn_designs(kind: int, drawn: list[Tally]) -> None:
    """The coverage of the worst contestant is at least 93 % less two Monte-Carlo errors, and nobody is refused."""
    for tally in drawn:
        share, printed = tally.worst(kind)

        assert printed == tally.fitted, tally.design.name
        assert share >= GOAL - 2 * monte_carlo_error(GOAL, tally.fitted), tally.design.name


def test_rank_intervals_hold_at_once_on_drawn_designs(drawn: list[Tally]) -> None:
    """All rank intervals of a leaderboard hold together in at least 94 %, less two Monte-Carlo errors."""
    for tally in drawn:
        least = GOAL_AT_ONCE - 2 * monte_carlo_error(GOAL_AT_ONCE, tally.ranked)

        assert tally.at_once / tally.ranked >= least, tally.design.name
