"""A presentation that kills each process that judges it: its shard is quarantined and named, and the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from judge.backends.scripted import Scripted
from judge.domain.judge import RenderedPrompt
from judge.domain.run import Run, RunState, StopReason
from judge.domain.temporal_connection import TemporalConnection
from judge.domain.verdict import Reply
from judge.engines.temporal import TemporalEngine
from judge.execution.quarantine import Quarantine
from judge.execution.run_executor import TRIES, UNANSWERED_TRIES, Execution, Shard
from judge.execution.stops import Stop
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.engine_service import PLANNED, TENANT, EngineService, OneJudge

SIZE = 6
DEADLY = ("question 3",)
"""Its six presentations are the shard that begins at position 18."""


class DyingJudge(Scripted):
    """Answers everything but DEADLY, which kills its process."""

    def __init__(self) -> None:
        super().__init__(lambda _: "[[A]]")
        self.died = asyncio.Event()

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        if prompt.shown.prompt == DEADLY:
            self.died.set()
            await asyncio.Event().wait()
        return await super().reply(prompt)


class SlowJudge(DyingJudge):
    """Does not answer before its process dies."""

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        self.died.set()
        await asyncio.Event().wait()
        return await super().reply(prompt)


@pytest.fixture
async def service() -> AsyncIterator[EngineService]:
    """A service whose engine is never started: the test hands out the shards."""
    store, backend = SqlStore.open("sqlite://", clock=QuickClock()), Scripted([])
    engine = TemporalEngine(store, TemporalConnection(), QuickClock())
    built = EngineService(store=store, backend=backend, engine=engine, judges=OneJudge(backend))
    await built.fill()
    yield built
    await store.close()


async def execute_in_process(
    service: EngineService, run: Run, backend: DyingJudge | None = None
) -> tuple[bool, list[Stop]]:
    """Execute the rest of *run* in a simulated process. Returns whether it died, and else how each shard ended."""
    before = asyncio.all_tasks()
    backend = backend or DyingJudge()
    execution = Execution(service.store, OneJudge(backend), QuickClock(), size=SIZE)
    assert await execution.begin(TENANT, run.run_id)
    shards = [Shard(0, first, first + SIZE) for first in range(0, PLANNED, SIZE)]
    shard_tasks = [asyncio.create_task(execution.execute(TENANT, run.run_id, shard)) for shard in shards]
    dying = asyncio.create_task(backend.died.wait())
    async with asyncio.timeout(60):
        ends: set[asyncio.Future[Any]] = {dying, asyncio.gather(*shard_tasks)}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if not backend.died.is_set():
        dying.cancel()
        return False, [task.result() for task in shard_tasks]
    while left := asyncio.all_tasks() - before:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1)
    return True, []


async def test_a_shard_that_kills_its_process_each_time_is_quarantined_and_named(service: EngineService) -> None:
    """After TRIES lost attempts without progress the shard is not tried again, and every other shard is judged.

    Shards that were executing in the same process are not blamed.
    """
    run = await service.begin()
    deaths, stops = 0, list[Stop]()
    while not stops:
        died, stops = await execute_in_process(service, run)
        deaths += died
    await Execution(service.store, OneJudge(DyingJudge()), QuickClock()).end(TENANT, run.run_id, stops)

    ended = await service.store.run(TENANT, run.run_id)
    assert [stop.reason for stop in stops] == [None] * 3 + [StopReason.QUARANTINED] + [None] * 6
    assert (ended.state, ended.reason) == (RunState.DONE, "QUARANTINED")
    assert "positions 18 to 23 of judge 'j'" in ended.message
    assert ended.counts.by_status == {"ok": PLANNED - SIZE}
    assert TRIES <= deaths <= TRIES + 1


async def test_no_shard_is_blamed_for_restarts_before_the_judge_has_answered(service: EngineService) -> None:
    """A slow judge's process may die more often than TRIES before its first answer. Then each shard is judged."""
    run = await service.begin()

    died = [(await execute_in_process(service, run, SlowJudge()))[0] for _ in range(TRIES + 2)]
    deaths, stops = 0, list[Stop]()
    while not stops:
        again, stops = await execute_in_process(service, run)
        deaths += again

    assert died == [True] * (TRIES + 2)
    assert [stop.reason for stop in stops] == [None] * 3 + [StopReason.QUARANTINED] + [None] * 6
    assert (await service.store.run(TENANT, run.run_id)).counts.by_status == {"ok": PLANNED - SIZE}


async def test_a_judge_that_never_answers_and_ends_each_process_is_quarantined_late(service: EngineService) -> None:
    """A presentation that ends its process before the judge has answered anything does not do so for ever."""
    run = await service.begin()
    for _ in range(UNANSWERED_TRIES):
        await execute_in_process(service, run, SlowJudge())

    execution = Execution(service.store, OneJudge(DyingJudge()), QuickClock(), size=SIZE)
    stop = await execution.execute(TENANT, run.run_id, Shard(0, 0, SIZE))

    assert stop.reason is StopReason.QUARANTINED


async def test_no_shard_is_blamed_for_a_process_that_dies_while_its_run_waits(service: EngineService) -> None:
    """Attempts that are lost while the run is WAITING count against no shard, no matter how many there are."""
    run = await service.begin()
    died = []
    for _ in range(TRIES + 1):
        died.append((await execute_in_process(service, run))[0])
        await service.store.move_run(run.row, RunState.WAITING, reason="PROVIDER_DOWN")
    losses = await service.store.shard_losses(run.row, 18, 24, waited=True)

    assert died == [True] * (TRIES + 1)
    assert losses.lost == 0


async def test_quarantined_shards_are_executed_one_after_another() -> None:
    """One shard has its turn at a time; one that is stopped while it waits gets none and does not delay others."""
    quarantine = Quarantine()
    first, second, third = quarantine.turn(), quarantine.turn(), quarantine.turn()
    assert await first.acquire()
    waiting: Sequence[asyncio.Task[bool]] = [asyncio.create_task(turn.acquire()) for turn in (second, third)]
    await asyncio.sleep(0)

    second.stop()
    stopped = await waiting[0]
    early = waiting[1].done()
    first.release()

    assert (stopped, early, await waiting[1]) == (False, False, True)
