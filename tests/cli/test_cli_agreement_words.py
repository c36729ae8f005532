"""What a report on agreement says in words."""

from __future__ import annotations

import pytest

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1.leaderboard_pb2 import INFERENCE_ANNOTATORS, Leaderboard
from judge.api.v1.outcome_pb2 import Interval
from judge.cli import agreement_diagnostics, agreement_tables
from judge.cli.leaderboard_tables import print_leaderboard

FEW = "none: new has 3 prompts of its own in one leaderboard, at least 5 are needed"
UNRELIABLE = "none: not determined, since a leaderboard's reliability is below 0.6"


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("slope", "pearson", "sentence"),
    [
        (
            pb.Estimated(interval_method=FEW),
            pb.Estimated(interval_method=FEW),
            f"slope of the source's ratings and Pearson's correlation not determined, since {FEW[len('none: ') :]}.",
        ),
        (
            pb.Estimated(value=1.5),
            pb.Estimated(interval_method=UNRELIABLE),
            f"slope of the source's ratings 1.500, Pearson's correlation {UNRELIABLE.removeprefix('none: ')}.",
        ),
    ],
)
def test_why_the_slope_is_unknown_is_said_once(
    slope: pb.Estimated, pearson: pb.Estimated, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ranks = pb.RankAgreement(slope=slope, pearson=pearson)
    agreement_diagnostics.leaderboards(pb.AgreementReport(rank_agreement=ranks))

    assert f"Corrected for it: {sentence}" in printed(capsys)


def test_who_is_left_out_of_the_two_leaderboards_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    ranks = pb.RankAgreement(left_out=["new", "newer"])
    agreement_diagnostics.leaderboards(pb.AgreementReport(rank_agreement=ranks))

    assert "Left out for fewer than 5 prompts of their own: new, newer." in printed(capsys)


def test_agreement_is_in_percent_and_an_alpha_that_repeats_it_is_omitted(capsys: pytest.CaptureFixture[str]) -> None:
    rate = pb.PairedEstimate(source=pb.Estimated(value=0.663), target=pb.Estimated(value=0.662))
    row = pb.Ceiling(ties=pb.TIES_WITHOUT, votes=9, rate=rate, weighting=pb.WEIGHTING_COMPARISONS)
    figures = [pb.AgreementFigure(ties=pb.TIES_WITHOUT)]
    agreement_diagnostics.ceilings(pb.AgreementReport(figures=figures, ceilings=[row], orientation="both"), 0.05)

    words = printed(capsys)
    assert "Alpha is omitted: without ties it equals twice the agreement minus 1." in words
    assert "the source agrees with annotators in 66.3% of votes, and annotators with each other in 66.2%." in words


@pytest.mark.parametrize(
    ("method", "over"), [("cr2-wilson", "prompts"), ("two-way-jackknife-t", "prompts and annotators")]
)
def test_a_report_says_what_its_intervals_are_over(method: str, over: str, capsys: pytest.CaptureFixture[str]) -> None:
    again = pb.Estimated(value=0.9, n=93, prompts=20)
    figure = pb.AgreementFigure(
        ties=pb.TIES_WITH,
        rate=0.8,
        interval_method=method,
        level=0.95,
        rate_by_prompt=pb.Estimated(value=0.8, interval=Interval(low=0.7, high=0.9)),
    )
    report = pb.AgreementReport(figures=[figure], orientation="both", target_intra_annotator=again)
    agreement_tables.agreement(report, "a and b", 0.05)

    words = printed(capsys)
    assert f"95% intervals over {over}: {method}" in words
    assert "(93 comparisons that one annotator judged more than once, on 20 prompts)" in words


def test_nothing_to_compare_has_its_reason_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A single annotator's report has no table of dashes."""
    figures = [pb.AgreementFigure(ties=ties, reason="no pairs") for ties in (pb.TIES_WITH, pb.TIES_WITHOUT)]
    agreement_tables.agreement(pb.AgreementReport(figures=figures, notes=["one annotator"]), "carl", 0.05)

    assert capsys.readouterr().out.splitlines()[:3] == [
        "carl: there is nothing to compare.",
        "one annotator",
        "no pairs",
    ]


def test_too_few_annotators_are_not_called_prompts(capsys: pytest.CaptureFixture[str]) -> None:
    few = "none: 3 prompts, at least 5 are needed"
    print_leaderboard(Leaderboard(level=0.95, inference=INFERENCE_ANNOTATORS, interval_method=few), "Ranking")

    assert "intervals: none: 3 annotators, at least 5 are needed" in printed(capsys)
