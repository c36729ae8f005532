"""Adaptive runs over the wire: their cost, their progress, and how their leaderboards are marked."""

from __future__ import annotations

import pytest

from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import upload_demo

COUNT, ROUND = 100, 20
UNIFORM_SHARE = ROUND + 4 * 7


def spec(**fields: object) -> pb.RunSpec:
    pairing = pb.Pairing(policy=pb.PAIR_POLICY_ADAPTIVE, count=COUNT, round_size=ROUND, **fields)  # type: ignore[arg-type]  # fields
    return pb.RunSpec(dataset="datasets/demo", judges=["judges/random"], pairing=pairing)


async def test_an_adaptive_run_is_marked_as_adaptive(client: JudgeClient) -> None:
    """An adaptive run counts its rounds; its leaderboard is marked as adaptive and has the uniform sample's ranking."""
    await upload_demo(client)
    estimate = await client.estimate_run(spec())
    created = await client.create_run(spec())

    run = await client.wait_run(created.name)

    leaderboard = await client.leaderboard("", f"run:{run.name.removeprefix('runs/')}")
    assert (created.counts.planned, created.counts.pending) == (2 * ROUND, 2 * ROUND)
    assert (run.round, run.counts.planned, run.counts.pending) == (5, 2 * COUNT, 0)
    assert (estimate.calls, estimate.reused) == (run.counts.calls, 0)
    assert (leaderboard.adaptive, leaderboard.battles, leaderboard.coverage.planned) == (True, COUNT, 2 * COUNT)
    assert (leaderboard.uniform_sample.battles, leaderboard.uniform_sample.adaptive) == (UNIFORM_SHARE, False)
    assert "chosen adaptively, in 5 rounds: as many comparisons as were asked for;" in leaderboard.notes[0]
    assert {rating.contestant for rating in leaderboard.uniform_sample.ratings} <= {
        rating.contestant for rating in leaderboard.ratings
    }


async def test_a_judges_leaderboard_is_marked_when_some_of_its_pairs_were_chosen_adaptively(
    client: JudgeClient,
) -> None:
    """A judge's leaderboard over both kinds of runs is marked, and a note says where the uniform sample is."""
    await upload_demo(client)
    both = ["judges/random", "judges/first"]
    some = pb.RunSpec(
        dataset="datasets/demo", judges=both, pairing=pb.Pairing(policy=pb.PAIR_POLICY_RANDOM, count=COUNT)
    )
    await client.wait_run((await client.create_run(some)).name)
    before = await client.leaderboard("demo", "judge:random")

    await client.wait_run((await client.create_run(spec(top=2))).name)

    after = await client.leaderboard("demo", "judge:random")
    jury = await client.leaderboard("demo", "jury:random+first")
    assert (before.adaptive, after.adaptive, jury.adaptive) == (False, True, True)
    assert not after.HasField("uniform_sample")
    assert any("run:RUN/JUDGE" in note for note in after.notes)
    assert not any("adaptively" in note for note in before.notes)


async def test_stored_verdicts_are_not_counted_in_the_estimate(client: JudgeClient) -> None:
    """When every pair has its verdicts, an adaptive run makes no call, and the estimate says so."""
    await upload_demo(client)
    everything = pb.RunSpec(dataset="datasets/demo", judges=["judges/random"])
    await client.wait_run((await client.create_run(everything)).name)

    estimate = await client.estimate_run(spec())

    run = await client.wait_run((await client.create_run(spec())).name)
    assert (estimate.calls, estimate.reused) == (0, 2 * COUNT)
    assert (run.counts.calls, run.counts.reused) == (0, 2 * COUNT)


@pytest.mark.parametrize(
    ("pairing", "sentence"),
    [
        (pb.Pairing(policy=pb.PAIR_POLICY_ADAPTIVE), "needs a count"),
        (pb.Pairing(policy=pb.PAIR_POLICY_ADAPTIVE, count=9, top=5), "best 5 of 5 contestants leave nobody out"),
        (pb.Pairing(policy=pb.PAIR_POLICY_ADAPTIVE, count=9000, round_size=1), "more than 1,000 rounds"),
        (
            pb.Pairing(policy=pb.PAIR_POLICY_ADAPTIVE, count=9, precision=-1),
            "precision must be a finite number",
        ),
        (pb.Pairing(precision=20), "precision works only with pairing ADAPTIVE"),
    ],
)
async def test_senseless_adaptive_runs_are_refused(client: JudgeClient, pairing: pb.Pairing, sentence: str) -> None:
    await upload_demo(client)

    with pytest.raises(JudgeClientError, match=sentence):
        await client.create_run(pb.RunSpec(dataset="datasets/demo", judges=["judges/random"], pairing=pairing))
