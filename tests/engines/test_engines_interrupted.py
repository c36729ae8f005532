"""Commands execute their own runs only, and an interrupted run goes on only when somebody resumes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from judge.backends.scripted import Scripted
from judge.domain.run import INTERRUPTED, RunState
from judge.engines.local import LocalEngine
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.engine_service import CONCURRENCY, PLANNED, TENANT, EngineService, OneJudge


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    opened = SqlStore.open("sqlite://", clock=QuickClock())
    yield opened
    await opened.close()


def service_on(store: SqlStore, backend: Scripted, *, continues: bool) -> EngineService:
    judges = OneJudge(backend)
    engine = LocalEngine(store, judges, QuickClock(), continues=continues)
    return EngineService(store=store, backend=backend, engine=engine, judges=judges)


async def test_an_interrupted_run_is_paused_until_it_is_resumed(store: SqlStore) -> None:
    """Calls in flight are stored, a server does not continue the run by itself, and ResumeRun makes what is missing."""
    gate = asyncio.Event()
    command = service_on(store, Scripted(lambda _: "[[A]]", gate=gate), continues=False)
    run = await command.start_busy_run()
    closing = asyncio.create_task(command.engine.close())
    await asyncio.sleep(0)
    gate.set()
    await closing
    paused = await store.run(TENANT, run.run_id)

    server = service_on(store, Scripted(lambda _: "[[A]]"), continues=True)
    await server.engine.start()
    for _ in range(100):
        await asyncio.sleep(0)
    unasked = server.backend.calls
    await server.runs.resume(TENANT, run.run_id, None)
    ended = await server.ended(run)
    await server.engine.close()

    assert (paused.state, paused.reason) == (RunState.PAUSED, INTERRUPTED)
    assert f"judge resume runs/{run.run_id}" in paused.message
    assert (command.backend.calls, unasked) == (CONCURRENCY, 0)
    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert command.backend.calls + server.backend.calls == PLANNED


async def test_a_command_leaves_the_runs_of_a_dead_process_alone(store: SqlStore) -> None:
    """It makes no call for them and does not pause them, so that a server continues them at its next start."""
    dead = service_on(store, Scripted([]), continues=True)
    await dead.fill()
    await dead.engine.close()
    run = await dead.begin()
    await store.move_run(run.row, RunState.RUNNING)

    command = service_on(store, Scripted(lambda _: "[[A]]"), continues=False)
    await command.engine.start()
    for _ in range(100):
        await asyncio.sleep(0)
    await command.engine.close()
    left = await store.run(TENANT, run.run_id)
    server = service_on(store, Scripted(lambda _: "[[A]]"), continues=True)
    await server.engine.start()
    ended = await server.ended(run)
    await server.engine.close()

    assert (command.backend.calls, left.state) == (0, RunState.RUNNING)
    assert ended.state is RunState.DONE
