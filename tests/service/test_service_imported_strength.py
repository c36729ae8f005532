"""How decisive an uploaded verdict is counts as much as that of a judge's own verdict."""

from __future__ import annotations

import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1.leaderboard_pb2 import RANKING_METHOD_WIN_RATE
from judge.api.v1.outcome_pb2 import ORDER_LEFT_FIRST, OUTCOME_LEFT, OUTCOME_RIGHT, RECONCILE_EACH
from judge.api.v1.ranking_service_pb2 import RankingOptions
from judge_client import JudgeClient


@pytest.mark.parametrize(("weight", "expected"), [(1.0, 0.5), (3.0, 0.75)])
async def test_strong_verdicts_count_as_often_as_asked(client: JudgeClient, weight: float, expected: float) -> None:
    """A win of strength 1 and a loss of strength one half: three battles against one."""
    await client.create_dataset("d")
    verdicts = [
        pb.ImportedVerdict(
            prompt_id=f"q{n}",
            left="m",
            right="base",
            order=ORDER_LEFT_FIRST,
            judge="j",
            outcome=OUTCOME_LEFT if n % 2 else OUTCOME_RIGHT,
            strength=1.0 if n % 2 else 0.5,
        )
        for n in range(20)
    ]
    assert (await client.upload_verdicts("d", verdicts)).accepted == 20

    leaderboard = await client.leaderboard(
        "d",
        "judge:j",
        RankingOptions(
            method=RANKING_METHOD_WIN_RATE,
            reference_contestant="base",
            decisive_weight=weight,
            reconcile=RECONCILE_EACH,
        ),
    )

    assert leaderboard.ratings[0].rating == pytest.approx(expected)


async def test_a_strength_is_a_share(client: JudgeClient) -> None:
    await client.create_dataset("d")
    row = pb.ImportedVerdict(
        prompt_id="q", left="m", right="n", order=ORDER_LEFT_FIRST, judge="j", outcome=OUTCOME_LEFT, strength=3.0
    )

    summary = await client.upload_verdicts("d", [row])

    assert (summary.rejected, summary.rejections[0].field) == (1, "strength")
