"""A presentation that kills every process that judges it, with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from judge.backends.scripted import Scripted
from judge.domain.run import Run, RunState
from judge.domain.temporal_connection import TemporalConnection
from judge.engines.temporal import TemporalEngine
from judge.execution.run_executor import TRIES
from judge.store.sql_store import SqlStore
from support.child_processes import Child
from support.clocks import QuickClock
from support.deadly_process import SIZE
from support.engine_service import PLANNED, TENANT, EngineService, OneJudge, Site
from support.fault_reports import PATIENCE, Say
from support.postgres import postgres
from support.temporal_server import temporal

TESTS = Path(__file__).parents[1]


@pytest.fixture(params=["local", "temporal"])
def site(request: pytest.FixtureRequest, folder: Path) -> Iterator[Site]:
    """Each engine on the store that it is meant for."""
    if request.param == "local":
        yield Site(f"sqlite:///{folder / 'judge.db'}")
        return
    with ExitStack() as stack:
        server, engine = stack.enter_context(postgres()), stack.enter_context(temporal())
        yield Site(stack.enter_context(server.fresh()), engine.address)


async def wait_for_death(child: Child, store: SqlStore, run: Run) -> bool:
    """Start the process, wait until it dies or the run ends, and return whether it died."""
    await child.start()
    dying = asyncio.create_task(child.alive.wait())
    while not dying.done():
        if (await store.run(TENANT, run.run_id)).state.ended:
            await child.kill()
            await dying
            return False
        await asyncio.wait({dying}, timeout=0.1)
    return True


async def test_a_shard_that_kills_its_process_is_quarantined_and_the_run_ends(
    site: Site, folder: Path, say: Say
) -> None:
    """After a few deaths the shard is quarantined and named, and the run ends with the other verdicts."""
    store, backend = SqlStore.open(site.url, clock=QuickClock()), Scripted([])
    service = EngineService(
        store=store,
        backend=backend,
        engine=TemporalEngine(store, TemporalConnection(), QuickClock()),
        judges=OneJudge(backend),
    )
    await service.fill()
    run = await service.begin()
    env = {**os.environ, "PYTHONPATH": ":".join((str(TESTS), *sys.path))}
    command = (sys.executable, str(TESTS / "support" / "deadly_process.py"), site.url, site.address)
    child = Child(name="deadly", command=command, env=env, folder=folder, started="deadly.started")
    deaths = 0
    try:
        async with asyncio.timeout(PATIENCE):
            while await wait_for_death(child, store, run):
                deaths += 1
        ended = await store.run(TENANT, run.run_id)
    finally:
        await child.kill()
        await store.close()

    say(f"{deaths} processes died; {ended.counts.by_status}, repeated {ended.counts.repeated}: {ended.message}")
    assert (ended.state, ended.reason) == (RunState.DONE, "QUARANTINED")
    # A single process has the whole run in one shard. On Temporal there are several, and the others are judged.
    least, named = (PLANNED - SIZE, "positions 18 to 23") if site.address else (1, "positions 0 to 59")
    assert set(ended.counts.by_status) == {"ok"}
    assert least <= ended.counts.by_status["ok"] <= PLANNED - SIZE
    assert f"{named} of judge 'j'" in ended.message
    assert TRIES <= deaths <= 2 * TRIES
