"""The engine on Temporal, beyond the contract: long histories, Temporal away, workers without a credential."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client

from judge.backends.scripted import Scripted
from judge.domain.judge import RenderedPrompt
from judge.domain.run import Run, RunState
from judge.domain.temporal_connection import TemporalConnection
from judge.engines.temporal import TemporalEngine
from judge.execution.run_executor import TRIES
from judge.ports.clock import SystemClock
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.engine_service import PLANNED, TENANT, EngineService, OneJudge, Site
from support.postgres import Postgres
from support.temporal_server import TemporalServer, free_port


@pytest.fixture
def site(server: Postgres, temporal_server: TemporalServer) -> Iterator[Site]:
    """A fresh store, and the shared Temporal server."""
    with server.fresh() as url:
        yield Site(url, temporal_server.address)


def always(_: RenderedPrompt) -> str:
    return "[[A]]"


async def count_histories(site: Site, run: Run) -> int:
    """Count the histories of *run*."""
    client = await Client.connect(site.address)
    n_histories, before = 0, None
    while n_histories == 0 or before:
        history = await client.get_workflow_handle(run.run_id, run_id=before).fetch_history()
        before = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
        n_histories += 1
    return n_histories


async def test_a_long_run_continues_in_new_histories(site: Site) -> None:
    """12 shards with 5 to a history make three histories; no shard is cut off, and no call is repeated."""
    async with site.service(always, shards=5, size=5) as h:
        await h.fill()

        run = await h.ended(await h.begin())
        n_histories = await count_histories(site, run)

    assert (run.state, run.counts.by_status, run.counts.repeated) == (RunState.DONE, {"ok": PLANNED}, 0)
    assert (h.backend.calls, n_histories) == (PLANNED, 3)


async def test_shards_that_raise_unexpected_errors_are_named_across_histories(site: Site) -> None:
    """A shard whose presentations raise an unexpected error is quarantined and named; the others are judged."""

    def breaks(prompt: RenderedPrompt) -> str | Exception:
        return KeyError("broken") if prompt.shown.prompt == ("question 3",) else "[[A]]"

    with capture_logs() as events:
        async with site.service(breaks, shards=4, size=6) as h:
            await h.fill()

            run = await h.ended(await h.begin())

    assert [event["first"] for event in events if event["event"] == "shard.broken"] == [18] * TRIES
    assert (run.state, run.reason) == (RunState.DONE, "QUARANTINED")
    assert "positions 18 to 23 of judge 'j'" in run.message
    assert run.counts.by_status["ok"] >= PLANNED - 6


async def test_a_runs_workflow_has_its_id_and_there_is_one_whoever_starts_it(site: Site) -> None:
    """Starting a run again, from any number of servers, does not disturb its workflow."""
    gate = asyncio.Event()
    async with site.service(always, gate) as h, engine_alone(site.url, site.settings) as other:
        run = await h.start_busy_run()
        client = await Client.connect(site.address)
        before = await client.get_workflow_handle(run.run_id).describe()
        for engine in (h.engine, other.engine) * 3:
            assert isinstance(engine, TemporalEngine)
            await engine._start(client, TENANT, run.run_id)
        during = await client.get_workflow_handle(run.run_id).describe()
        gate.set()
        ended = await h.ended(run)

    assert (before.id, before.run_id) == (run.run_id, during.run_id)
    assert (ended.counts.by_status, h.backend.calls) == ({"ok": PLANNED}, PLANNED)


async def test_a_worker_without_the_credential_leaves_the_run_to_others(site: Site) -> None:
    """Without a worker that has the credential the run is WAITING, NO_CREDENTIAL; it continues when one has it."""
    async with site.service(always, without=True) as lacking:
        await lacking.fill()
        run = await lacking.begin()
        waiting = await lacking.until(run, lambda now: now.state is RunState.WAITING)
        async with site.service(always) as having:
            ended = await having.ended(run)

    assert (waiting.reason, lacking.backend.calls) == ("NO_CREDENTIAL", 0)
    assert "there is no key" in waiting.message
    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})


@asynccontextmanager
async def engine_alone(url: str, settings: TemporalConnection) -> AsyncIterator[EngineService]:
    """An engine without a worker."""
    store, backend = SqlStore.open(url, clock=QuickClock()), Scripted(always)
    engine = TemporalEngine(store, settings, SystemClock(), every=0.2, patience=0.2)
    await engine.start()
    try:
        yield EngineService(store=store, backend=backend, engine=engine, judges=OneJudge(backend))
    finally:
        await engine.close()
        await store.close()


async def test_a_run_is_created_and_cancelled_while_temporal_is_away() -> None:
    """CreateRun answers, the run is QUEUED as ENGINE_UNAVAILABLE, and CancelRun ends it."""
    settings = TemporalConnection(address=f"127.0.0.1:{free_port()}")
    async with engine_alone("sqlite://", settings) as h:
        await h.fill()
        run = await h.begin()
        queued = await h.until(run, lambda now: bool(now.reason))

        cancelled = await h.runs.cancel(TENANT, run.run_id)

    assert (run.state, queued.state, queued.reason) == (RunState.QUEUED, RunState.QUEUED, "ENGINE_UNAVAILABLE")
    assert settings.address in queued.message
    assert cancelled.state is RunState.CANCELLED


async def test_what_was_created_while_temporal_was_away_is_executed(site: Site) -> None:
    """The run starts as soon as a server reaches Temporal, and its reason is cleared."""
    away = replace(site.settings, address=f"127.0.0.1:{free_port()}")
    async with engine_alone(site.url, away) as h:
        await h.fill()
        run = await h.begin()
        queued = await h.until(run, lambda now: bool(now.reason))
    async with site.service(always) as reaching:
        ended = await reaching.ended(run)

    assert queued.reason == "ENGINE_UNAVAILABLE"
    assert (ended.state, ended.reason, ended.counts.by_status) == (RunState.DONE, "", {"ok": PLANNED})


async def test_a_cancelled_run_ends_even_without_a_worker(site: Site) -> None:
    """No call can start any more, so the run becomes CANCELLED although no worker confirms it."""
    gate = asyncio.Event()
    async with site.service(always, gate) as h:
        run = await h.start_busy_run()
    async with engine_alone(site.url, site.settings) as alone:
        await alone.runs.cancel(TENANT, run.run_id)

        cancelled = await alone.ended(run)

    assert cancelled.state is RunState.CANCELLED
