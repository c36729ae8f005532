"""ReadPlan returns a plan over the wire that matches the positions of its verdicts."""

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


async def read_plan_of(client: JudgeClient, pairing: pb.Pairing) -> tuple[pb.Run, list[pb.ReadPlanResponse]]:
    """Run *pairing* to its end, and return the run and its plan."""
    await upload_demo(client)
    spec = pb.RunSpec(dataset="datasets/demo", judges=[f"judges/{name}" for name in JUDGES], pairing=pairing)
    run = await client.wait_run((await client.create_run(spec)).name)
    return run, [batch async for batch in client.read_plan(run.name)]


@pytest.mark.parametrize("kind", PAIRINGS)
async def test_every_verdict_has_its_position_in_the_plan(client: JudgeClient, kind: str) -> None:
    """Positions follow from offset, judge, presentation and repeat as the API documents; other plans are one round."""
    run, batches = await read_plan_of(client, PAIRINGS[kind])

    presentations = [planned.presentation for batch in batches for planned in batch.presentations]
    rounds = list(join_pieces([piece for batch in batches for piece in batch.rounds]))
    sizes = [(planned.offset, planned.presentations) for planned in rounds] or [(0, len(presentations))]
    places, first = {}, 0
    for offset, n in sizes:
        for j, judge in enumerate(run.judges):
            for i in range(n):
                for r in range(REPEATS):
                    places[offset + (j * n + i) * REPEATS + r] = (judge, presentations[first + i], r)
        first += n
    stored_places = {v.position: (v.judge, v.presentation, v.repeat) async for v in client.list_verdicts(run.name)}
    assert stored_places == places
    assert {run.plan_hash} == {batch.plan_hash for batch in batches}


async def test_the_rounds_of_an_adaptive_run_come_first_with_their_rows(client: JudgeClient) -> None:
    """Each round has its number, offset and comparisons; the last row has none and says why the run ended."""
    run, batches = await read_plan_of(client, PAIRINGS["adaptive"])

    rounds = [planned for batch in batches for planned in batch.rounds]
    rows = [RoundRow.of(planned.row) for planned in rounds]
    assert [(1, 0, 50), (2, 200, 50), (3, 400, 20), (4, 480, 0)] == [
        (planned.number, planned.offset, planned.presentations) for planned in rounds
    ]
    assert [25, 25, 10, 0] == [row.drawn.pairs.n for row in rows]
    assert [None, None, None, Ending.COUNT] == [row.ending for row in rows]
    assert (run.round, run.counts.planned) == (3, 480)
    assert [bool(batch.rounds) for batch in batches] == [True] * 4 + [False]


async def test_a_run_that_is_not_adaptive_has_no_rounds(client: JudgeClient) -> None:
    run, batches = await read_plan_of(client, PAIRINGS["at-once"])

    assert [] == [piece for batch in batches for piece in batch.rounds]
    assert run.counts.planned == sum(len(batch.presentations) for batch in batches) * len(JUDGES) * REPEATS
    full = [v async for v in client.list_verdicts(run.name, view=verdict_pb2.VERDICT_VIEW_FULL)]
    assert run.counts.planned == len(full)
