"""Reports say what a share would be if each prompt counted once, where that makes a difference."""

from __future__ import annotations

import pytest

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1.leaderboard_pb2 import RATING_SCALE_SHARE, Leaderboard, Rating
from judge.api.v1.outcome_pb2 import Interval
from judge.cli import agreement_tables, leaderboard_tables


def agreement_report(by_prompt: float) -> pb.AgreementReport:
    """Make a report on an agreement of 0.8, and of *by_prompt* if each prompt counts once."""
    once = pb.Estimated(value=by_prompt, interval=Interval(low=by_prompt - 0.1, high=by_prompt + 0.1))
    figure = pb.AgreementFigure(
        ties=pb.TIES_WITH, rate=0.8, n=90, prompts=30, confusion=[72, 18, *[0] * 7], rate_by_prompt=once
    )
    return pb.AgreementReport(figures=[figure], orientation="both")


@pytest.mark.parametrize(("by_prompt", "printed"), [(0.7, True), (0.79, False)])
def test_the_agreement_by_prompt_is_printed_where_it_differs(
    by_prompt: float, printed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two hundredths make a difference."""
    agreement_tables.agreement(agreement_report(by_prompt), "a and b", 0.05)

    words = " ".join(capsys.readouterr().out.split())
    assert ("With ties, if each prompt counts once, the agreement is 0.700 [0.60, 0.80]." in words) is printed


@pytest.mark.parametrize(("by_prompt", "printed"), [(0.7, True), (0.79, False)])
def test_the_win_rate_by_prompt_is_printed_where_it_differs(
    by_prompt: float, printed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two hundredths make a difference."""
    interval = Interval(low=by_prompt - 0.1, high=by_prompt + 0.1)
    rating = Rating(contestant="able", rating=0.8, by_prompt=by_prompt, by_prompt_interval=interval)

    leaderboard_tables.print_leaderboard(Leaderboard(ratings=[rating], scale=RATING_SCALE_SHARE, level=0.95), "people")

    sentence = "able: if each prompt counts once, the win rate is 0.700 (95% interval 0.600 to 0.800)."
    assert (sentence in " ".join(capsys.readouterr().out.split())) is printed


def test_a_win_rate_by_prompt_without_an_interval_is_printed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """There is no dash in its place."""
    ratings = [Rating(contestant="able", rating=0.8, by_prompt=0.7)]

    leaderboard_tables.print_leaderboard(Leaderboard(ratings=ratings, scale=RATING_SCALE_SHARE, level=0.95), "people")

    assert "able: if each prompt counts once, the win rate is 0.700.\n" in capsys.readouterr().out
