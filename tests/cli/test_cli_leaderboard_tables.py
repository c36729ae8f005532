"""Leaderboards as people read them."""

from __future__ import annotations

import pytest

from judge.api.v1 import leaderboard_pb2 as pb
from judge.api.v1.outcome_pb2 import Interval
from judge.cli.leaderboard_tables import print_leaderboard


def leaderboard(scale: pb.RatingScale.ValueType, low: float, high: float) -> pb.Leaderboard:
    """A leaderboard with one contestant, which is ahead of base, and within the margin or not."""
    within = pb.Equivalence(
        margin=30, interval=Interval(low=low, high=high), equivalent=pb.ANSWER_YES, non_inferior=pb.ANSWER_YES
    )
    share = pb.Equivalence(
        margin=0.05,
        interval=Interval(low=-0.01, high=0.08),
        equivalent=pb.ANSWER_CANNOT_TELL,
        non_inferior=pb.ANSWER_YES,
    )
    row = pb.ContestantStanding(
        contestant="tuned",
        reference_contestant="base",
        difference=12,
        interval=Interval(low=2, high=22),
        standing=pb.STANDING_AHEAD,
        adjustment=pb.ADJUSTMENT_HOLM,
        within=within,
        within_win_rate=share,
    )
    return pb.Leaderboard(
        scale=scale, level=0.95, standings=[row], method=pb.RANKING_METHOD_BRADLEY_TERRY, ties="half-win"
    )


def test_being_ahead_and_being_as_good_are_printed_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Each margin has a table of its own, with both answers and the interval of the tests."""
    print_leaderboard(leaderboard(pb.RATING_SCALE_ELO, 4, 20), "Ranking")

    printed = " ".join(capsys.readouterr().out.split())
    assert "tuned ahead +12.0 2 to 22" in printed
    assert "As good as base, within 30 rating points, adjusted by Holm's method" in printed
    assert "contestant as good not worse interval tuned yes yes 4 to 20" in printed
    assert "As good as base, within 0.05 of a win rate of 0.5" in printed
    assert "tuned cannot tell yes -0.010 to 0.080" in printed


@pytest.mark.parametrize("labeled", [30, 60])
def test_more_labels_are_advised_only_where_comparisons_have_none(
    labeled: int, capsys: pytest.CaptureFixture[str]
) -> None:
    anchoring = pb.Anchoring(
        labels_source="people", comparisons=60, labeled=labeled, twice_the_labels=0.7, twice_the_prompts=0.8
    )
    print_leaderboard(pb.Leaderboard(level=0.95, anchoring=anchoring), "Ranking")

    printed = " ".join(capsys.readouterr().out.split())
    assert ("Every comparison has a label; only more prompts help." in printed) is (labeled == 60)
    assert ("More labels per prompt help more." in printed) is (labeled == 30)


def test_a_margin_on_the_natural_scale_is_not_in_points(capsys: pytest.CaptureFixture[str]) -> None:
    print_leaderboard(leaderboard(pb.RATING_SCALE_NATURAL, 0.02, 0.12), "Ranking")

    printed = " ".join(capsys.readouterr().out.split())
    assert "within 30 on the natural scale" in printed
    assert "tuned yes yes 0.02 to 0.12" in printed


@pytest.mark.parametrize(
    ("scale", "difference", "title"),
    [
        (pb.RATING_SCALE_ELO, 30, "prompts needed for 30 points"),
        (pb.RATING_SCALE_NATURAL, 0.173, "prompts needed for 0.173"),
        (pb.RATING_SCALE_SHARE, 0.043, "prompts needed for a win rate of 0.543"),
    ],
)
def test_the_prompts_needed_are_printed_with_the_difference_they_are_for(
    scale: pb.RatingScale.ValueType, difference: float, title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no number is known, there is no such column."""
    unknown = leaderboard(scale, 4, 20)
    known = leaderboard(scale, 4, 20)
    known.standings[0].prompts_needed, known.standings[0].difference_to_detect = 1234, difference
    for shown in (unknown, known):
        print_leaderboard(shown, "Ranking")
        lines = capsys.readouterr().out.splitlines()
        header = lines[lines.index(next(line for line in lines if "detectable" in line)) - 2 :]
        words = " ".join(word for line in header for word in line.split())
        assert all(part in words for part in title.split()) is (shown is known)
        assert ("1,234" in words) is (shown is known)
