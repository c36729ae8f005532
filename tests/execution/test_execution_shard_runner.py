"""How a worker obeys permits: no permit, no call; late is void; a slot is free once its answer is stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from judge.backends.scripted import Line, Scripted
from judge.domain.errors import JudgeUnusable
from judge.domain.judge import Price, RenderedPrompt, Sampling
from judge.domain.run import Budget, Run, RunState, StopReason
from judge.domain.usage import Usage
from judge.domain.verdict import Reply
from judge.engines.local import LocalEngine
from judge.execution.shard_runner import LEASE
from judge.execution.slots import Slots
from judge.ports.clock import SystemClock
from judge.ports.records import Permit, PermitRequest, Settled
from judge.ports.reply_memory import reserve_memory
from judge.store import schema
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock, StillClock
from support.engine_service import CONCURRENCY, PLANNED, EngineService, OneJudge
from support.judge_at_work import at_work as at_work_with


class Passing(StillClock):
    """A clock on which time passes only while something waits."""

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


class Slow(SqlStore):
    """A store whose first *late* permits with a call come *seconds* after they were requested."""

    late, seconds = 0, 0.0

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        permit = await super().permit(tenant, request)
        if permit.granted and self.late:
            self.late -= 1
            assert isinstance(self._clock, Passing)
            self._clock.time += self.seconds
        return permit


class Refusing(SqlStore):
    """A store that refuses every permit, for *reason*."""

    reason = StopReason.SUPERSEDED
    requests = 0

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        self.requests += 1
        return Permit(refused=self.reason)


class Holding(SqlStore):
    """A store whose commits wait for *released*."""

    released: asyncio.Event

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        await self.released.wait()
        await super().commit(tenant, run, settled)


class Large(Scripted):
    """A backend whose replies each turn out to need 100 MiB of memory."""

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        await reserve_memory(100 << 20)
        return await super().reply(prompt)


@asynccontextmanager
async def at_work(store: SqlStore, backend: Scripted | None = None) -> AsyncIterator[tuple[EngineService, Run]]:
    """A run on *store*, executed by an engine that uses the store's clock."""
    backend = backend or Scripted(lambda _: "[[A]]")
    known = OneJudge(backend)
    engine = LocalEngine(store, known, store._clock)
    service = EngineService(store=store, backend=backend, engine=engine, judges=known)
    await service.fill()
    yield service, await service.begin()
    await engine.close()
    await store.close()


async def test_large_replies_in_flight_are_bounded_until_they_are_stored() -> None:
    """At most 256 MiB of large replies are read or wait for their commit; the others wait, and all are stored."""
    store = Holding.open("sqlite://", clock=SystemClock())
    assert isinstance(store, Holding)
    store.released = asyncio.Event()
    backend = Large(lambda _: "[[A]]")
    async with at_work(store, backend) as (service, run):
        async with asyncio.timeout(30):
            while backend.calls < 2:  # noqa: ASYNC110  # the engine works in its own tasks
                await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
        calls = backend.calls
        store.released.set()
        ended = await service.ended(run)

    assert calls == 2
    assert ended.counts.by_status == {"ok": PLANNED}


async def test_a_call_that_does_not_start_in_time_is_void() -> None:
    """Calls that start later than LEASE after their permit was requested are not made but requested again."""
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


async def test_a_call_that_starts_in_time_is_made() -> None:
    """A permit is valid until LEASE seconds after it was requested."""
    store = Slow.open("sqlite://", clock=Passing())
    assert isinstance(store, Slow)
    store.late, store.seconds = 2, LEASE
    async with at_work(store) as (service, run):
        ended = await service.ended(run)
        attempts = await store._db.read(lambda c: c.scalar(select(func.count()).select_from(schema.call_attempt)))

    assert (ended.counts.by_status, service.backend.calls, attempts) == ({"ok": PLANNED}, PLANNED, PLANNED)


async def test_no_permit_no_call() -> None:
    """A refused permit leads to no call, whatever the reason."""
    calls = {}
    reasons = (StopReason.CANCELLED, StopReason.NOT_RUNNING, StopReason.SUPERSEDED, StopReason.BUDGET_STOPPED)
    for reason in reasons:
        store = Refusing.open("sqlite://", clock=Passing())
        assert isinstance(store, Refusing)
        store.reason = reason
        async with at_work(store) as (service, _):
            async with asyncio.timeout(60):
                while not store.requests:  # noqa: ASYNC110  # there is no event for it
                    await asyncio.sleep(0)
        calls[reason] = service.backend.calls

    assert calls == dict.fromkeys(reasons, 0)


async def test_a_concurrency_slot_is_free_again_only_after_its_answer_has_committed() -> None:
    """While the answers of all slots wait to be stored no call is made, so a crash repeats no more than these."""
    store = Holding.open("sqlite://", clock=Passing())
    assert isinstance(store, Holding)
    store.released = asyncio.Event()
    async with at_work(store) as (service, run):
        async with asyncio.timeout(60):
            while service.backend.calls < CONCURRENCY or service.backend.in_flight:  # noqa: ASYNC110  # there is no event
                await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        answered = service.backend.calls
        store.released.set()
        ended = await service.ended(run)

    assert answered == CONCURRENCY
    assert (ended.counts.by_status, service.backend.calls) == ({"ok": PLANNED}, PLANNED)


def test_permits_use_a_clock_that_counts_suspension() -> None:
    """The clock is CLOCK_BOOTTIME: a clock that stops while the machine sleeps would keep old permits valid."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)

    now = SystemClock().monotonic()

    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize(("budget", "calls", "at_once"), [(130, 4, 1), (250, 23, 10)])
async def test_a_budget_is_used_by_fewer_calls_at_a_time(budget: int, calls: int, at_once: int) -> None:
    """Calls reserve one try at its worst, ten times what they cost here, and wait for those in flight to settle.

    After ten answers they reserve what recent calls cost, so that nine tenths of the budget are used.
    """
    reply = Reply("[[A]]", usage=Usage(output_tokens=10))
    backend = Scripted(lambda _: reply)
    known = OneJudge(backend)
    definition = replace(known.card.definition, sampling=Sampling(max_output_tokens=100))
    known.card = replace(known.card, definition=definition, price=Price(output_micros=1_000_000))
    known.judge = at_work_with(known.card, backend, QuickClock())
    store = SqlStore.open("sqlite://", clock=SystemClock())
    service = EngineService(store=store, backend=backend, engine=LocalEngine(store, known, QuickClock()), judges=known)
    await service.fill()

    ended = await service.ended(await service.begin(budget=Budget(cost_micros=budget)))
    await service.engine.close()
    await store.close()

    assert (ended.state, ended.reason) == (RunState.DONE, "BUDGET_STOPPED")
    assert (ended.counts.by_status, ended.cost_micros) == ({"ok": calls}, 10 * calls)
    assert backend.max_in_flight <= at_once


@pytest.mark.parametrize("denied", [2, 3])
async def test_a_refusal_after_answers_concerns_that_call_unless_three_come_in_a_row(denied: int) -> None:
    """Two 403s after an answer are rejections of their presentations. The third in a row stops the judge."""
    lines: list[Line] = ["[[A]]", *(JudgeUnusable("the endpoint answered 403") for _ in range(denied))]
    backend = Scripted([*lines, *["[[A]]"] * (PLANNED - len(lines))])
    known = OneJudge(backend)
    known.judge = replace(known.judge, slots=Slots(1))
    store = SqlStore.open("sqlite://", clock=SystemClock())
    service = EngineService(store=store, backend=backend, engine=LocalEngine(store, known, QuickClock()), judges=known)
    await service.fill()

    ended = await service.ended(await service.begin())
    await service.engine.close()
    await store.close()

    if denied == 2:
        assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED - 2, "rejected": 2})
    else:
        assert (ended.state, ended.reason) == (RunState.FAILED, "JUDGE_UNUSABLE")
        assert ended.counts.by_status == {"ok": 1, "rejected": 2, "failed": 1}


class HangsOnce(Scripted):
    """Answers everything, but the first call not before its deadline."""

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        reply = await super().reply(prompt)
        if self.calls == 1:
            await asyncio.Event().wait()
        return reply


async def test_a_call_that_exceeds_its_deadline_is_made_again_and_counted_as_repeated() -> None:
    """The provider may have answered it, so the run counts it twice, as the provider does."""
    backend = HangsOnce(lambda _: "[[A]]")
    known = OneJudge(backend)
    known.card = replace(known.card, limits=replace(known.card.limits, deadline_seconds=0.2))
    known.judge = at_work_with(known.card, backend, QuickClock())
    store = SqlStore.open("sqlite://", clock=SystemClock())
    service = EngineService(store=store, backend=backend, engine=LocalEngine(store, known, QuickClock()), judges=known)
    await service.fill()

    ended = await service.ended(await service.begin())
    await service.engine.close()
    await store.close()

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert (ended.counts.calls, ended.counts.repeated) == (backend.calls, backend.calls - PLANNED)
    assert backend.calls > PLANNED
