"""What a worker does with a step of a run: wait and continue, hand it back, or end the run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from judge.backends.scripted import Script, Scripted
from judge.domain.errors import JudgeUnusable, StoreAway
from judge.domain.judge import RenderedPrompt
from judge.domain.run import Run, RunState
from judge.domain.temporal_connection import TemporalConnection
from judge.engines.activities import BEAT, Activities
from judge.engines.temporal import TemporalEngine
from judge.engines.workflow import RunAt, ShardAt, StopReport
from judge.execution.run_executor import Execution
from judge.ports.records import Losses
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.engine_service import CONCURRENCY, PLANNED, TENANT, EngineService, OneJudge


class RecordingClock(QuickClock):
    """A clock that records for how long it was asked to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds != BEAT:
            self.slept.append(seconds)
        await super().sleep(seconds)


class Leaving(SqlStore):
    """A store that is away *times* times when a shard begins, and *unknown* times has an unknown schema."""

    times = unknown = 0
    begun = 0

    async def check(self) -> None:
        """Raise StoreAway while the schema is unknown."""
        if self.unknown:
            assert not self.begun
            self.unknown -= 1
            raise StoreAway("the store has another schema", reason="SCHEMA_UNKNOWN")

    async def begin_shard(self, row: int, shard: int, losses: Losses = Losses()) -> int | None:  # noqa: B008  # frozen
        """Begin the attempt, unless the store is away."""
        self.begun += 1
        if self.times:
            self.times -= 1
            raise StoreAway("the server is gone")
        return await super().begin_shard(row, shard, losses)


@dataclass
class Desk:
    """A run that has begun, and the activities of a worker that has its judge."""

    service: EngineService
    store: Leaving
    judges: OneJudge
    activities: Activities
    clock: RecordingClock
    run: Run
    at: ShardAt

    async def execute(self, *, attempt: int = 1, opening: str = "1") -> StopReport:
        """Execute the only shard of the run, and return the report."""
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        report: StopReport = await environment.run(self.activities.execute, replace(self.at, opening=opening))
        return report

    async def now(self) -> Run:
        """Return the run as it is now."""
        return await self.store.run(TENANT, self.run.run_id)


@asynccontextmanager
async def desk(script: Script, gate: asyncio.Event | None = None, *, without: bool = False) -> AsyncIterator[Desk]:
    store = Leaving.open("sqlite://", clock=QuickClock())
    assert isinstance(store, Leaving)
    backend = Scripted(script, gate=gate)
    judges = OneJudge(backend, without=without)
    # The engine is never started: the test plays the part of Temporal.
    service = EngineService(
        store=store, backend=backend, engine=TemporalEngine(store, TemporalConnection(), QuickClock()), judges=judges
    )
    await service.fill()
    run = await service.begin()
    clock = RecordingClock()
    activities = Activities(Execution(store, judges, QuickClock()), clock, others=3)
    assert await ActivityEnvironment().run(activities.begin, RunAt(TENANT, run.run_id, "1"))
    try:
        yield Desk(
            service=service,
            store=store,
            judges=judges,
            activities=activities,
            clock=clock,
            run=run,
            at=ShardAt(tenant=TENANT, run_id=run.run_id, opening="1", judge=0, first=0, last=PLANNED),
        )
    finally:
        await store.close()


def always(_: RenderedPrompt) -> str:
    return "[[A]]"


async def test_a_store_that_is_away_is_waited_for() -> None:
    """The shard is executed once the store is back, no matter how often the store was away."""
    async with desk(always) as d:
        d.store.times = 20

        report = await d.execute()

        assert (report, d.store.times) == (StopReport(), 0)
        assert (await d.now()).counts.by_status == {"ok": PLANNED}


async def test_a_store_that_stays_away_is_checked_less_often_until_it_is_back() -> None:
    """Pauses grow to 10 seconds, and start at one second again the next time that the store is away."""
    async with desk(always) as d:
        d.store.unknown, d.store.times = 6, 3

        assert await d.execute() == StopReport()

        assert d.clock.slept == [1, 2, 4, 8, 10, 10, 1, 1, 1]


async def test_a_worker_is_not_ready_outside_the_schema_range_it_knows() -> None:
    """It begins no shard and fails no run; it continues as soon as the schema is one that it knows."""
    async with desk(always) as d:
        d.store.unknown = 5

        report = await d.execute()

        assert (report, d.store.unknown, d.store.begun) == (StopReport(), 0, 1)
        assert (await d.now()).counts.by_status == {"ok": PLANNED}


async def test_a_worker_that_stops_hands_its_shard_back() -> None:
    """Calls in flight finish and are stored; another worker may try the shard again at once."""
    gate = asyncio.Event()
    async with desk(always, gate) as d:
        executing = asyncio.create_task(d.execute())
        await d.service.busy()
        d.activities.stop()
        gate.set()

        with pytest.raises(ApplicationError) as handed_back:
            await executing

        assert (handed_back.value.type, handed_back.value.non_retryable) == ("STOPPED", False)
        assert (await d.now()).counts.by_status == {"ok": CONCURRENCY}


async def test_a_worker_that_stops_does_not_wait_for_the_store() -> None:
    """A shard that waits for the store is handed back too."""
    async with desk(always) as d:
        d.store.times = 10**9
        executing = asyncio.create_task(d.execute())
        d.activities.stop()

        with pytest.raises(ApplicationError) as handed_back:
            await executing

        assert (handed_back.value.type, handed_back.value.non_retryable) == ("STORE_AWAY", False)


async def test_a_shard_that_another_worker_took_ends_at_its_next_permit() -> None:
    """A shard that Temporal cancels makes no new call, and stores the calls in flight before it ends."""
    gate = asyncio.Event()
    async with desk(always, gate) as d:
        environment = ActivityEnvironment()
        executing = asyncio.create_task(environment.run(d.activities.execute, d.at))
        await d.service.busy()
        environment.cancel()
        gate.set()

        with pytest.raises(asyncio.CancelledError):
            await executing

        assert d.service.backend.calls == CONCURRENCY
        assert (await d.now()).counts.by_status == {"ok": CONCURRENCY}


async def test_a_missing_credential_is_reported_after_other_workers_had_their_chance() -> None:
    """The first attempts are handed back for a worker that has the credential; then none is assumed to have it."""
    async with desk(always, without=True) as d:
        for attempt in (1, 2):
            with pytest.raises(ApplicationError) as handed_back:
                await d.execute(attempt=attempt)
            assert (handed_back.value.type, handed_back.value.non_retryable) == ("NO_CREDENTIAL", False)

        assert await d.execute(attempt=3) == StopReport("NO_CREDENTIAL", "judge 'j': there is no key")


async def test_a_worker_forgets_a_run_that_is_begun_again() -> None:
    """A judge that was unusable in one execution of a run is called again in the next one."""
    broken = [JudgeUnusable("the endpoint answered 401")]
    async with desk(lambda _: broken[0] if broken else "[[A]]") as d:
        first, again = await d.execute(), await d.execute()
        broken.clear()
        # Another worker ended the run, and someone resumed it.
        await d.store.move_run(d.run.row, RunState.FAILED)
        await d.store.reopen_run(d.run.row, None)
        await d.store.move_run(d.run.row, RunState.RUNNING)

        report = await d.execute(opening="2")

        assert (first.reason, again.reason, report.reason) == ("JUDGE_UNUSABLE", "JUDGE_UNUSABLE", "")


async def test_an_error_of_a_step_itself_ends_the_run() -> None:
    """An error that is not the store's absence, such as a deleted run, ends the workflow with its reason."""
    async with desk(always) as d:
        await d.store.delete_dataset(TENANT, "d")

        with pytest.raises(ApplicationError) as broken:
            await d.execute()

        assert (broken.value.type, broken.value.non_retryable) == ("UNKNOWN_RUN", True)
