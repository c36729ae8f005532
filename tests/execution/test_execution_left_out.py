"""A run that ends before its failed calls were made again says how often they were made, and why they failed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from judge.backends.scripted import Line, Scripted
from judge.domain.errors import TransportFailed
from judge.domain.judge import Limits, RenderedPrompt
from judge.domain.outcome import ItemState
from judge.domain.run import Budget, Run, RunState
from judge.domain.verdict import Verdict
from judge.engines.local import LocalEngine
from judge.execution.cost import ATTEMPTS
from judge.execution.slots import Slots
from judge.ports.clock import SystemClock
from judge.ports.records import VerdictQuery
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.engine_service import PLANNED, TENANT, EngineService, OneJudge
from support.judge_at_work import at_work

CUT = "no answer: the connection was closed in the middle of the answer"

pytestmark = pytest.mark.usefixtures("quick_retries")


async def ended_run(backend: Scripted, *, calls: int = 0, deadline: float = 60.0) -> tuple[Run, list[Verdict]]:
    """Execute a run of at most so many calls, one at a time. Returns it, and its stored verdicts and states."""
    known = OneJudge(backend)
    known.card = replace(known.card, limits=Limits(deadline_seconds=deadline, concurrency=1))
    known.judge = replace(at_work(known.card, backend, QuickClock()), slots=Slots(1))
    store = SqlStore.open("sqlite://", clock=SystemClock())
    engine = LocalEngine(store, known, QuickClock())
    service = EngineService(store=store, backend=backend, engine=engine, judges=known)
    await service.fill()
    ended = await service.ended(await service.begin(budget=Budget(calls=calls)))
    rows = await store.verdicts(ended.row, VerdictQuery(), after=-1, limit=1000)
    await engine.close()
    await store.close()
    return ended, rows


async def test_a_budget_stop_names_the_last_failure_and_its_presentations() -> None:
    """Connections that are cut use up the budget without an answer; the run says so, and each such presentation."""

    def script(_: RenderedPrompt) -> Line:
        raise TransportFailed(CUT, maybe_paid=True)

    ended, rows = await ended_run(Scripted(script), calls=2 * ATTEMPTS)

    assert (ended.state, ended.reason) == (RunState.DONE, "BUDGET_STOPPED")
    assert f"with 0 of {PLANNED} presentations judged; no call was answered (the last one: {CUT})" in ended.message
    assert [(row.state, row.reason) for row in rows] == [
        (ItemState.BUDGET_STOPPED, f"{ATTEMPTS} calls without an answer; the last one: {CUT}")
    ] * 2


@pytest.mark.parametrize("budget", [1, 7])
async def test_refused_connections_take_no_call_from_a_budget(budget: int) -> None:
    """A provider that refuses for a while, now and then, is called as often as the budget says. The run counts that."""
    seen = refused = 0

    def script(_: RenderedPrompt) -> Line:
        nonlocal seen, refused
        if refused < 2 * ATTEMPTS + 3 * seen:
            refused += 1
            raise TransportFailed("connection refused", unsent=True)
        seen += 1
        return "[[A]]"

    ended, rows = await ended_run(Scripted(script), calls=budget)

    assert (ended.reason, seen, ended.counts.calls, ended.spent[0].calls) == ("BUDGET_STOPPED", *[budget] * 3)
    assert ended.counts.by_status["ok"] == budget
    assert {row.reason for row in rows if row.state is not None} <= {"no call reached the provider: connection refused"}


async def test_a_run_of_slow_calls_names_them() -> None:
    """The presentations that were paid for without an answer have it as their reason."""
    ended, rows = await ended_run(Scripted([], gate=asyncio.Event()), deadline=0.05)

    assert ended.reason == "TOO_SLOW"
    assert {(row.state, row.reason) for row in rows} == {
        (ItemState.TRANSPORT_ERROR, "1 call without an answer; the last one: slower than deadline_seconds = 0.05")
    }


async def test_what_was_left_out_is_called_when_the_run_is_resumed() -> None:
    """The state is not final."""
    failing = [TransportFailed(CUT, maybe_paid=True)] * ATTEMPTS
    lines: list[Line] = [*failing, *["[[A]]"] * PLANNED]
    backend = Scripted(lines)
    known = OneJudge(backend)
    known.judge = replace(known.judge, slots=Slots(1))
    store = SqlStore.open("sqlite://", clock=SystemClock())
    service = EngineService(store=store, backend=backend, engine=LocalEngine(store, known, QuickClock()), judges=known)
    await service.fill()
    stopped = await service.ended(await service.begin(budget=Budget(calls=ATTEMPTS)))
    await service.runs.resume(TENANT, stopped.run_id, Budget(calls=1000))
    ended = await service.ended(stopped)
    await service.engine.close()
    await store.close()

    assert stopped.counts.by_status == {"budget_stopped": 1}
    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
