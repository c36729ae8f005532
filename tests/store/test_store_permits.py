"""The rules of permits: the store's clock, fences of shards, and rate limits that several processes share."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from judge.domain.run import Run, RunState, StopReason
from judge.domain.verdict import CallKey
from judge.ports.records import Fence, Permit, PermitRequest, RateLimit, VerdictQuery
from judge.store import schema
from judge.store.sql_store import SqlStore
from support.clocks import pass_time

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
HOUR = 3600.0
RATE_LIMIT = RateLimit("vendor", calls=50.0, tokens=math.inf, tokens_each=100)


async def request_permit(store: SqlStore, keys: list[CallKey], run: Run | None, fence: Fence | None = None) -> Permit:
    return await store.permit(
        TENANT, PermitRequest(keys=keys, run=run.row if run else None, worst_micros=10, seconds=60, fence=fence)
    )


async def begin(scene: Scene, run: Run, shard: int = 0) -> Fence:
    attempt = await scene.store.begin_shard(run.row, shard)
    return Fence(shard, attempt or 0)


async def move_source(store: SqlStore, seconds: float) -> None:
    """Set the clock that the store's own clock follows ahead or back."""
    source = schema.store_clock.c.source
    await store._db.write(lambda c: c.execute(update(schema.store_clock).values(source=source - seconds)))
    store._time._known = False


@pytest.mark.parametrize("hours", [HOUR, -HOUR])
async def test_a_clock_that_is_moved_an_hour_expires_no_permit(scene: Scene, hours: float) -> None:
    """The key of a call in flight stays busy if somebody changes the system clock."""
    run = await scene.run()
    keys = await scene.keys(1)
    await request_permit(scene.store, keys, run)

    await move_source(scene.store, hours)

    assert frozenset(keys) == (await request_permit(scene.store, keys, run)).busy


@pytest.mark.parametrize("hours", [HOUR, -HOUR])
async def test_a_clock_that_is_moved_an_hour_makes_no_burst(scene: Scene, hours: float) -> None:
    """An account's rate limit holds, whatever happens to the system clock."""
    keys = await scene.keys(60)
    request = PermitRequest(keys=keys, run=None, worst_micros=10, seconds=60, rate_limit=RATE_LIMIT)
    first = await scene.store.permit(TENANT, request)

    await move_source(scene.store, hours)
    second = await scene.store.permit(TENANT, replace(request, keys=keys[5:]))

    assert (len(first.granted), len(second.granted) <= 5) == (5, True)


async def test_a_permit_runs_out_by_the_stores_clock(scene: Scene) -> None:
    """A call that nobody settled in time may be made again, and is booked at its worst cost."""
    run = await scene.run()
    keys = await scene.keys(1)
    await request_permit(scene.store, keys, run)

    await pass_time(scene.store, scene.clock, 75)
    again = await request_permit(scene.store, keys, run)

    after = await scene.store.run(TENANT, "run-1")
    assert list(again.granted) == keys
    assert (after.counts.calls, after.counts.repeated, after.cost_micros) == (1, 1, 10)


async def test_only_the_newest_attempt_at_a_shard_gets_permits(scene: Scene) -> None:
    """The fence: an attempt that was thought dead and comes back makes no more calls."""
    run = await scene.run()
    keys = await scene.keys(2)
    old = await begin(scene, run)

    new = await begin(scene, run)

    assert (await request_permit(scene.store, keys, run, old)).refused == "SUPERSEDED"
    assert await scene.store.refusal(run.row, old) is StopReason.SUPERSEDED
    assert set((await request_permit(scene.store, keys, run, new)).granted) == set(keys)


async def test_a_new_attempt_calls_again_what_was_in_flight(scene: Scene) -> None:
    """The shard's calls in flight are booked as spent and repeated. Those of another shard stay in flight."""
    run = await scene.run()
    mine, others = (await scene.keys(2))[:1], (await scene.keys(2))[1:]
    old, other = await begin(scene, run, 0), await begin(scene, run, 500)
    await request_permit(scene.store, mine, run, old)
    await request_permit(scene.store, others, run, other)

    new = await begin(scene, run, 0)
    permit = await request_permit(scene.store, mine + others, run, new)

    assert (list(permit.granted), permit.busy) == (mine, frozenset(others))
    assert (await scene.store.run(TENANT, "run-1")).counts.repeated == 1


async def test_a_late_answer_of_an_older_attempt_is_kept(scene: Scene) -> None:
    """An answer that was paid stays, and the newer call is booked as repeated."""
    run = await scene.run()
    keys = await scene.keys(1)
    old = (await request_permit(scene.store, keys, run, await begin(scene, run))).granted[keys[0]]
    new = (await request_permit(scene.store, keys, run, await begin(scene, run))).granted[keys[0]]

    await scene.store.commit(TENANT, run.row, [scene.called(keys[0], old, 0)])
    await scene.store.commit(TENANT, run.row, [scene.called(keys[0], new, 0)])

    after = await scene.store.run(TENANT, "run-1")
    assert (after.counts.by_status, after.counts.calls, after.counts.repeated) == ({"ok": 1}, 2, 2)
    assert len(await scene.store.verdicts(run.row, VerdictQuery(), after=-1, limit=9)) == 1


async def test_a_shard_that_is_done_is_not_begun_again(scene: Scene) -> None:
    """A shard stays done until its run is reopened, and an older attempt cannot mark it as done."""
    run = await scene.run()
    old, new = await begin(scene, run), await begin(scene, run)

    await scene.store.end_shard(run.row, old)
    newest = await scene.store.begin_shard(run.row, 0)
    await scene.store.end_shard(run.row, Fence(0, newest or 0))
    done = await scene.store.begin_shard(run.row, 0)
    await scene.store.move_run(run.row, RunState.DONE)
    await scene.store.reopen_run(run.row, None)

    assert (new.attempt, newest, done) == (2, 3, None)
    assert await scene.store.begin_shard(run.row, 0) == 4


async def test_all_processes_together_keep_an_accounts_rate_limit(scene: Scene) -> None:
    """A permit grants the calls of a tenth of a second. The next permit says how long to wait for more."""
    keys = await scene.keys(20)
    request = PermitRequest(keys=keys, run=None, worst_micros=10, seconds=60, rate_limit=RATE_LIMIT)

    first = await scene.store.permit(TENANT, request)
    second = await scene.store.permit(TENANT, replace(request, keys=keys[5:]))
    await pass_time(scene.store, scene.clock, 5)
    third = await scene.store.permit(TENANT, replace(request, keys=keys[5:]))

    assert [len(permit.granted) for permit in (first, second, third)] == [5, 0, 5]
    assert 0 < second.wait <= 0.1
    assert (first.wait, third.wait) == (0, 0)


async def test_calls_beyond_the_rate_limit_are_no_attempts(scene: Scene) -> None:
    """Keys that the rate limit did not grant are free for others."""
    keys = await scene.keys(20)
    await scene.store.permit(
        TENANT, PermitRequest(keys=keys, run=None, worst_micros=10, seconds=60, rate_limit=RATE_LIMIT)
    )

    others = await scene.store.permit(TENANT, PermitRequest(keys=keys, run=None, worst_micros=10, seconds=60))

    assert (len(others.granted), len(others.busy)) == (15, 5)


async def test_tokens_are_limited_too(scene: Scene) -> None:
    """A call that needs more tokens than a tenth of a second has is granted alone, and the next one waits."""
    keys = await scene.keys(20)
    dear = RateLimit("vendor", calls=math.inf, tokens=1000.0, tokens_each=500)

    first = await scene.store.permit(
        TENANT, PermitRequest(keys=keys, run=None, worst_micros=10, seconds=60, rate_limit=dear)
    )
    second = await scene.store.permit(
        TENANT, PermitRequest(keys=keys[1:], run=None, worst_micros=10, seconds=60, rate_limit=dear)
    )

    assert (len(first.granted), len(second.granted)) == (1, 0)
    assert 0.3 < second.wait <= 0.5
