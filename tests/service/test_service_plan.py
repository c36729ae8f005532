"""ReadPlan: a plan over the wire, as its verdicts' places have it."""

from __future__ import annotations

import pytest

from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1 import verdict_pb2
from judge.cli.bundle_export import join_pieces
from judge.planning.rounds import Ending, RoundRow
from judge_client import JudgeClient
from support.demo_data import upload_demo

JUDGES = ("random", "first")
REPEATS = 2
PAIRINGS = {
    "at-once": pb.Pairing(policy=pb.PAIR_POLICY_RANDOM, count=60, repeats=REPEATS),
    "adaptive": pb.Pairing(policy=pb.PAIR_POLICY_ADAPTIVE, count=60, round_size=25, repeats=REPEATS, seed=5),
}


async def read(client: JudgeClient, pairing: pb.Pairing) -> tuple[pb.Run, list[pb.ReadPlanResponse]]:
    """A run that has ended, and its plan."""
    await upload_demo(client)
    spec = pb.RunSpec(dataset="datasets/demo", judges=[f"judges/{name}" for name in JUDGES], pairing=pairing)
    run = await client.wait_run((await client.create_run(spec)).name)
    return run, [batch async for batch in client.read_plan(run.name)]


@pytest.mark.parametrize("kind", PAIRINGS)
async def test_every_verdict_has_the_place_that_the_plan_gives_it(client: JudgeClient, kind: str) -> None:
    """By offset, judge, showing and repeat, as the wire's description counts them; a plan made at once is one round."""
    run, batches = await read(client, PAIRINGS[kind])

    presentations = [one.presentation for batch in batches for one in batch.presentations]
    rounds = list(join_pieces([one for batch in batches for one in batch.rounds]))
    sizes = [(one.offset, one.presentations) for one in rounds] or [(0, len(presentations))]
    places, first = {}, 0
    for offset, n in sizes:
        for j, judge in enumerate(run.judges):
            for i in range(n):
                for r in range(REPEATS):
                    places[offset + (j * n + i) * REPEATS + r] = (judge, presentations[first + i], r)
        first += n
    told = {one.position: (one.judge, one.presentation, one.repeat) async for one in client.list_verdicts(run.name)}
    assert told == places
    assert {run.plan_hash} == {batch.plan_hash for batch in batches}


async def test_the_rounds_of_an_adaptive_run_come_first_with_their_rows(client: JudgeClient) -> None:
    """Each with its number, places and comparisons; the last row has none, and says why there are no more."""
    run, batches = await read(client, PAIRINGS["adaptive"])

    rounds = [one for batch in batches for one in batch.rounds]
    rows = [RoundRow.of(one.row) for one in rounds]
    assert [(1, 0, 50), (2, 200, 50), (3, 400, 20), (4, 480, 0)] == [
        (one.number, one.offset, one.presentations) for one in rounds
    ]
    assert [25, 25, 10, 0] == [row.drawn.pairs.n for row in rows]
    assert [None, None, None, Ending.COUNT] == [row.ending for row in rows]
    assert (run.round, run.counts.planned) == (3, 480)
    assert [bool(batch.rounds) for batch in batches] == [True] * 4 + [False]


async def test_another_run_has_no_rounds(client: JudgeClient) -> None:
    run, batches = await read(client, PAIRINGS["at-once"])

    assert [] == [one for batch in batches for one in batch.rounds]
    assert run.counts.planned == sum(len(batch.presentations) for batch in batches) * len(JUDGES) * REPEATS
    full = [v async for v in client.list_verdicts(run.name, view=verdict_pb2.VERDICT_VIEW_FULL)]
    assert run.counts.planned == len(full)
