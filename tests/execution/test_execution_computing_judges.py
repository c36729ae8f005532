"""A judge that computes: its rule judges everything that a permit grants in one go, under the same permits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from judge.backends.baseline import BaselineJudge
from judge.backends.scripted import Scripted
from judge.domain.errors import CallRejected
from judge.domain.judge import Limits, RenderedPrompt
from judge.domain.outcome import ItemState
from judge.domain.run import RunState
from judge.domain.verdict import Reply
from judge.engines.local import LocalEngine
from judge.execution import run_executor as execution
from judge.execution.judges import Rule
from judge.execution.shard_runner import AT_A_TIME, LEASE
from judge.execution.slots import Slots
from judge.ports.records import Permit, PermitRequest, Settled, VerdictQuery
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock, StillClock
from support.engine_service import CONCURRENCY, PLANNED, EngineService, OneJudge


class Counting(SqlStore):
    """A store that records the size of each commit, and whose first *late* permits come too late."""

    late = 0
    groups: Sequence[int] = ()

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        permit = await super().permit(tenant, request)
        if permit.granted and self.late:
            self.late -= 1
            assert isinstance(self._clock, StillClock)
            self._clock.time += LEASE + 0.1
        return permit

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        self.groups = [*self.groups, len(settled)]
        await super().commit(tenant, run, settled)


@asynccontextmanager
async def computing(
    rule: Rule | None, backend: BaselineJudge | None = None, slots: int = 20
) -> AsyncIterator[EngineService]:
    """A service whose judge computes by *rule*, or calls *backend* if there is none, with so many *slots*."""
    store = Counting.open("sqlite://", clock=QuickClock())
    script = Scripted([])
    known = OneJudge(script)
    card = replace(known.card, limits=Limits(max_failed_share=1.0))
    known.judge = replace(known.judge, card=card, rule=rule, slots=Slots(slots), backend=backend or script)
    engine = LocalEngine(store, known, store._clock)
    service = EngineService(store=store, backend=script, engine=engine, judges=known)
    await service.fill()
    yield service
    await engine.close()
    await store.close()


async def run_verdicts(service: EngineService) -> list[tuple[object, ...]]:
    """Execute a run on *service* and return the content of each verdict."""
    run = await service.ended(await service.begin())
    page = await service.store.verdicts(run.row, VerdictQuery(), after=-1, limit=PLANNED)
    return [
        (verdict.position, verdict.reply and verdict.reply.raw, verdict.outcome, verdict.status, verdict.state)
        for verdict in page
    ]


async def test_a_rule_says_what_its_backend_says() -> None:
    """A rule and its awaited backend give the same reply, outcome and state for each presentation."""
    for name in ("longest", "first", "random", "matches-reference"):
        backend = BaselineJudge(name)
        async with computing(backend.compute_reply) as service, computing(None, backend) as awaited:
            at_once, one_by_one = await run_verdicts(service), await run_verdicts(awaited)

        assert at_once == one_by_one
        assert len(at_once) == PLANNED


async def test_what_one_permit_grants_is_one_commit() -> None:
    """60 presentations with 20 slots commit in three groups."""
    async with computing(BaselineJudge("first").compute_reply) as service:
        await run_verdicts(service)
        assert isinstance(service.store, Counting)
        groups = service.store.groups

    assert groups == [20, 20, 20]


async def test_a_rule_that_breaks_on_one_presentation_costs_only_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are stored, although the shard is tried only once and then quarantined."""
    monkeypatch.setattr(execution, "TRIES", 1)

    def rule(prompt: RenderedPrompt) -> Reply:
        if prompt.shown.first == ("b on p3",) and prompt.shown.second == ("c on p3",):
            raise ZeroDivisionError
        return Reply("[[A]]")

    async with computing(rule, slots=PLANNED) as service:
        run = await service.ended(await service.begin())

    assert (run.state, run.reason, run.counts.by_status["ok"]) == (RunState.DONE, "QUARANTINED", PLANNED - 1)


async def test_law_2_what_a_rule_does_not_apply_to_has_a_state_and_no_verdict() -> None:
    def rule(_: RenderedPrompt) -> Reply:
        raise CallRejected("not this one")

    async with computing(rule) as service:
        verdicts = await run_verdicts(service)

    assert {row[1:] for row in verdicts} == {(None, None, None, ItemState.REJECTED)}


async def test_a_permit_that_comes_too_late_is_void_for_a_rule_too() -> None:
    """Nothing is judged under a permit that comes too late: its calls are requested again."""
    calls = 0

    def rule(_: RenderedPrompt) -> Reply:
        nonlocal calls
        calls += 1
        return Reply("[[A]]")

    async with computing(rule) as service:
        assert isinstance(service.store, Counting)
        service.store.late = 2
        run = await service.ended(await service.begin())

    assert (calls, run.counts.by_status, run.counts.calls, run.counts.repeated) == (
        PLANNED,
        {"ok": PLANNED},
        PLANNED,
        0,
    )


async def test_a_rule_does_not_keep_the_loop_from_others() -> None:
    """Other tasks run after every AT_A_TIME presentations."""
    turns, seen = 0, set[int]()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def rule(_: RenderedPrompt) -> Reply:
        seen.add(turns)
        return Reply("[[A]]")

    async with computing(rule, slots=PLANNED) as service:
        other_task = asyncio.create_task(others())
        await run_verdicts(service)
        other_task.cancel()

    assert PLANNED > AT_A_TIME > CONCURRENCY
    assert len(seen) == 2
