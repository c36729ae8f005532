"""What a report on agreement says in words."""

from __future__ import annotations

import pytest

from judge.api.v1 import agreement_service_pb2 as pb
from judge.cli import agreement_diagnostics

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
