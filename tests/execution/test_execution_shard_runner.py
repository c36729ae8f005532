"""The permit, as a worker keeps it: no permit, no call; void when late; a slot is free when its answer is stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import func, select

from judge.backends.scripted import Scripted
from judge.domain.run import Run, RunState
from judge.engines.local import LocalEngine
from judge.execution.shard_runner import LEASE
from judge.ports.clock import SystemClock
from judge.ports.records import Permit, PermitRequest, Settled
from judge.store import schema
from judge.store.sql_store import SqlStore
from support.clocks import StillClock
from support.engine_service import CONCURRENCY, PLANNED, EngineService, OneJudge


class Passing(StillClock):
    """A clock on which time passes when somebody waits."""

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


class Slow(SqlStore):
    """A store whose first *late* permits with a call come *seconds* after they were asked for, by everybody's clock."""

    late, seconds = 0, 0.0

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        permit = await super().permit(tenant, request)
        if permit.granted and self.late:
            self.late -= 1
            assert isinstance(self._clock, Passing)
            self._clock.time += self.seconds
        return permit


class Refusing(SqlStore):
    """A store that gives no permit, for the reason *why*."""

    why = "SUPERSEDED"
    asked = 0

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:  # whatever is asked
        self.asked += 1
        return Permit(refused=self.why)


class Holding(SqlStore):
    """A store whose commits wait for *memory_limit*."""

    memory_limit: asyncio.Event

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        await self.memory_limit.wait()
        await super().commit(tenant, run, settled)


@asynccontextmanager
async def at_work(store: SqlStore) -> AsyncIterator[tuple[EngineService, Run]]:
    """A run over *store*, executed by a judge and an engine that go by the store's clock."""
    backend = Scripted(lambda _: "[[A]]")
    known = OneJudge(backend)
    engine = LocalEngine(store, known, store._clock)
    service = EngineService(store, backend, engine, known)
    await service.fill()
    yield service, await service.begin()
    await engine.close()
    await store.close()


async def test_a_slot_that_is_not_begun_in_time_is_void() -> None:
    """A permit is valid from before its request was sent: what came later than LEASE is asked for again, uncalled."""
    store = Slow.open("sqlite://", clock=Passing())
    assert isinstance(store, Slow)
    store.late, store.seconds = 2, LEASE + 0.1
    states = select(schema.call_attempt.c.state, func.count(), func.sum(schema.call_attempt.c.cost_micros))
    async with at_work(store) as (service, run):
        ended = await service.ended(run)
        attempts = await store._db.read(lambda c: c.execute(states.group_by("state").order_by("state")).all())

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert (service.backend.calls, ended.counts.calls, ended.counts.repeated) == (PLANNED, PLANNED, 0)
    assert [tuple(row) for row in attempts] == [("failed", 2 * CONCURRENCY, 0), ("settled", PLANNED, 0)]


async def test_a_slot_that_is_begun_in_time_is_called() -> None:
    """However long ago the permit was asked for, up to LEASE."""
    store = Slow.open("sqlite://", clock=Passing())
    assert isinstance(store, Slow)
    store.late, store.seconds = 2, LEASE
    async with at_work(store) as (service, run):
        ended = await service.ended(run)
        attempts = await store._db.read(lambda c: c.scalar(select(func.count()).select_from(schema.call_attempt)))

    assert (ended.counts.by_status, service.backend.calls, attempts) == ({"ok": PLANNED}, PLANNED, PLANNED)


async def test_no_permit_no_call() -> None:
    """Whatever the reason, and whatever is to be judged."""
    calls = {}
    for why in ("CANCELLED", "NOT_RUNNING", "SUPERSEDED", "BUDGET_STOPPED"):
        store = Refusing.open("sqlite://", clock=Passing())
        assert isinstance(store, Refusing)
        store.why = why
        async with at_work(store) as (service, _):
            async with asyncio.timeout(60):
                while not store.asked:  # noqa: ASYNC110  # no event tells
                    await asyncio.sleep(0)
        calls[why] = service.backend.calls

    assert calls == {"CANCELLED": 0, "NOT_RUNNING": 0, "SUPERSEDED": 0, "BUDGET_STOPPED": 0}


async def test_a_concurrency_slot_is_free_again_only_after_its_answer_has_committed() -> None:
    """With every slot's answer there and none stored nobody is called: a crash repeats what is in flight, no more."""
    store = Holding.open("sqlite://", clock=Passing())
    assert isinstance(store, Holding)
    store.memory_limit = asyncio.Event()
    async with at_work(store) as (service, run):
        async with asyncio.timeout(60):
            while service.backend.calls < CONCURRENCY or service.backend.in_flight:  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        answered = service.backend.calls
        store.memory_limit.set()
        ended = await service.ended(run)

    assert answered == CONCURRENCY
    assert (ended.counts.by_status, service.backend.calls) == ({"ok": PLANNED}, PLANNED)


def test_permits_go_by_a_clock_that_counts_suspension() -> None:
    """CLOCK_BOOTTIME: one that stood still while a machine slept would think its permits fresh."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)

    told = SystemClock().monotonic()

    assert before <= told <= time.clock_gettime(time.CLOCK_BOOTTIME)
