"""A tour of the service over a real socket, from the upload to the leaderboard."""

from __future__ import annotations

import pytest

from judge.api.v1 import agreement_service_pb2, outcome_pb2, ranking_service_pb2, run_service_pb2, verdict_pb2
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import upload_demo

LEFT, RIGHT = outcome_pb2.OUTCOME_LEFT, outcome_pb2.OUTCOME_RIGHT


async def test_the_way_of_one_comparison(client: JudgeClient) -> None:
    """Two baseline judges judge every pair of uploaded outputs in both orders; a ranking and agreement come out."""
    await upload_demo(client)
    spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/longest", "judges/matches-reference"])

    run = await client.wait_run((await client.create_run(spec)).name)
    leaderboard = await client.leaderboard("demo", "judge:matches-reference")
    longest = await client.agreement("demo", "judge:longest", "labels:construction")
    matches = await client.agreement("demo", "judge:matches-reference", "labels:construction")

    assert run.state == run_service_pb2.RUN_STATE_DONE
    assert (run.counts.planned, run.counts.pending) == (48 * 10 * 2 * 2, 0)
    assert {"ok": run.counts.planned} == dict(run.counts.by_status)
    assert {"concise", "padded"} == {rating.contestant for rating in leaderboard.ratings[:2]}
    assert all(r.interval.low < r.rating < r.interval.high for r in leaderboard.ratings)
    kept, dropped = (
        next(f for f in matches.figures if f.ties == ties)
        for ties in (agreement_service_pb2.TIES_WITH, agreement_service_pb2.TIES_WITHOUT)
    )
    assert (kept.n, kept.prompts) == (480, 48)
    assert kept.rate > 0.85
    assert dropped.interval.low <= dropped.rate <= dropped.interval.high
    assert longest.figures[0].rate < 0.5
    assert longest.order_consistency.rate == 1.0


async def test_law_1_verdicts_keep_their_raw_text_and_page_by_place_in_the_plan(client: JudgeClient) -> None:
    """A verdict is one call on one presentation with its raw text; pages and the stream return each verdict once."""
    await upload_demo(client)
    spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/longest"])
    run = await client.wait_run((await client.create_run(spec)).name)

    paged = [v async for v in client.list_verdicts(run.name, view=verdict_pb2.VERDICT_VIEW_FULL)]
    stream = client.stream_verdicts(run.name, view=verdict_pb2.VERDICT_VIEW_FULL)
    streamed = [v async for batch in stream for v in batch.verdicts]

    assert list(range(run.counts.planned)) == [v.position for v in paged]
    assert all("[[" in v.raw for v in paged)
    assert sorted(v.name for v in paged) == sorted(v.name for v in streamed)


async def test_law_1_how_two_orders_are_reconciled_is_a_reports_parameter(client: JudgeClient) -> None:
    """A judge that always prefers the first output gives only ties, no votes or one win each, without new calls."""
    await upload_demo(client)
    spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/first"])
    run = await client.wait_run((await client.create_run(spec)).name)
    source, o = f"run:{run.name.removeprefix('runs/')}/first", ranking_service_pb2.RankingOptions

    tied = await client.leaderboard("demo", source, o(reconcile=outcome_pb2.RECONCILE_TIE))
    each = await client.leaderboard("demo", source, o(reconcile=outcome_pb2.RECONCILE_EACH))
    with pytest.raises(JudgeClientError) as dropped:
        await client.leaderboard("demo", source, o(reconcile=outcome_pb2.RECONCILE_DROP))

    assert {1000.0} == {r.rating for r in tied.ratings} == {r.rating for r in each.ratings}
    assert (tied.reconcile, each.reconcile, each.battles) == ("tie", "each", 2 * tied.battles)
    assert dropped.value.reason == "NO_OUTCOMES"
    assert (await client.get_run(run.name)).counts.calls == run.counts.calls


async def test_law_3_a_second_run_of_the_same_content_pays_nothing(client: JudgeClient) -> None:
    """The second run reuses every verdict and makes no call."""
    await upload_demo(client)
    spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/longest"])
    first = await client.wait_run((await client.create_run(spec)).name)

    second = await client.wait_run((await client.create_run(spec)).name)

    assert (first.counts.planned, 0) == (first.counts.calls, first.counts.reused)
    assert (0, first.counts.planned) == (second.counts.calls, second.counts.reused)


async def test_law_5_the_same_inputs_give_the_same_leaderboard_byte_for_byte(client: JudgeClient) -> None:
    """Two datasets with the same rows and the same judge give byte-identical leaderboards."""
    leaderboards = []
    for name in ("one", "two"):
        await upload_demo(client, name)
        spec = run_service_pb2.RunSpec(dataset=f"datasets/{name}", judges=["judges/random"])
        await client.wait_run((await client.create_run(spec)).name)
        options = ranking_service_pb2.RankingOptions(reference_contestant="concise", by_category=True)
        leaderboard = await client.leaderboard(name, "judge:random", options)
        leaderboards.append(leaderboard.SerializeToString(deterministic=True))

    assert leaderboards[0] == leaderboards[1]


async def test_law_6_a_graph_that_falls_apart_is_said_with_its_parts(client: JudgeClient) -> None:
    """A contestant that won every battle is named in the error, and the largest component is ranked on request."""
    o = ranking_service_pb2
    battles = [
        o.Battle(left=left, right=right, outcome=outcome, prompt_id=str(i))
        for i in range(12)
        for left, right, outcome in (("ace", "bob", LEFT), ("ace", "cy", LEFT), ("bob", "cy", (LEFT, RIGHT)[i % 2]))
    ]

    try:
        await client.rank_battles(battles)
        refused = ""
    except Exception as error:  # noqa: BLE001  # checked below
        refused = str(error)
    leaderboard = await client.rank_battles(battles, o.RankingOptions(degenerate=o.DEGENERATE_LARGEST))

    assert "ace won every battle" in refused
    assert [(u.contestant, u.reason) for u in leaderboard.unranked] == [("ace", "won every battle")]
    assert {"bob", "cy"} == {r.contestant for r in leaderboard.ratings}
