"""A full disk, the journal that is emptied when idle, and a deletion that was interrupted."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import Connection, Table, func, select

from judge.domain.errors import AlreadyExists, NotFound, StoreFailed, StoreFull
from judge.domain.run import RunState
from judge.execution.committer import Committer
from judge.ports.clock import Clock
from judge.ports.records import Settled
from judge.ports.run_rows import RunQuery
from judge.ports.store import RunStore
from judge.store import schema
from judge.store.deletion import _begin
from judge.store.revisions import dataset_row
from judge.store.sql_store import SqlStore
from judge.store.sqlite import SqliteConnections

if TYPE_CHECKING:
    from support.clocks import StillClock
    from support.scene import Scene

TENANT = "default"
LARGE = 1_000_000_000


def _limit_pages(store: SqlStore, pages: int) -> None:
    """Let the database grow to at most *pages*, whichever connection writes."""
    assert isinstance(store._db, SqliteConnections)
    connections = [store._db._engine.connect() for _ in range(4)]
    for connection in connections:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        connection.close()


@pytest.mark.parametrize("store", ["memory", "file"], indirect=True)
async def test_a_full_store_says_so_and_changes_nothing(scene: Scene) -> None:
    """A write to a full disk raises STORE_FULL. A running run is PAUSED until there is space."""
    run = await scene.run()
    _limit_pages(scene.store, 1)

    with pytest.raises(StoreFailed) as full:
        await scene.keys(3000)
    paused = await scene.store.run(TENANT, "run-1")
    _limit_pages(scene.store, LARGE)
    keys = await scene.keys(3000)
    after = await scene.store.run(TENANT, "run-1")

    assert full.value.reason == "STORE_FULL"
    assert (paused.state, paused.reason, paused.revision) == (RunState.PAUSED, "STORE_FULL", run.revision)
    assert (after.state, after.reason, len(keys)) == (RunState.RUNNING, "", 3000)


class _FullAtFirst:
    """A store that is full for the first commits."""

    def __init__(self, store: SqlStore, refusals: int) -> None:
        self._store, self.left = store, refusals

    async def commit(self, tenant: str, run: int | None, settled: list[Settled]) -> None:
        if self.left:
            self.left -= 1
            raise StoreFull("the disk is full")
        await self._store.commit(tenant, run, settled)


async def test_a_paid_answer_waits_for_space(scene: Scene, clock: StillClock) -> None:
    """Law 4: while the store is full, an answer stays in memory, and it is stored as soon as there is space."""
    run = await scene.run()
    [key] = await scene.keys(1)
    attempt = (await scene.permit([key], run)).granted[key]
    full = _FullAtFirst(scene.store, 3)
    committer = Committer(store=cast("RunStore", full), tenant=TENANT, run=run.row, clock=cast("Clock", clock))

    await committer.commit(scene.called(key, attempt, 0))

    assert full.left == 0
    assert (await scene.store.run(TENANT, "run-1")).counts.by_status == {"ok": 1}


async def test_a_server_that_stops_does_not_wait_for_space(scene: Scene, clock: StillClock) -> None:
    """An impatient committer raises the error of a full store at once."""
    run = await scene.run()
    [key] = await scene.keys(1)
    committer = Committer(
        store=cast("RunStore", _FullAtFirst(scene.store, 3)), tenant=TENANT, run=run.row, clock=cast("Clock", clock)
    )
    committer.patient = False

    with pytest.raises(StoreFailed):
        await committer.commit(scene.called(key, None, 0))


async def test_the_journal_is_emptied_when_nothing_is_written(tmp_path: Path) -> None:
    """After a while without a write, the journal is folded into the database."""
    connections = SqliteConnections(f"sqlite:///{tmp_path}/judge.db", idle_seconds=0.0)
    journal = tmp_path / "judge.db-wal"

    await connections.write(lambda c: c.exec_driver_sql("CREATE TABLE filler AS SELECT randomblob(500000) AS x"))
    grown = journal.stat().st_size
    for _ in range(2):
        # The first turn of the loop makes the timer ready, and the next one runs it.
        await asyncio.sleep(0)
    # The writer does one thing after another, so this runs after the checkpoint. It writes nothing.
    await connections.write(lambda c: c.exec_driver_sql("SELECT 1").all())

    assert grown > 500_000
    assert journal.stat().st_size == 0
    await connections.close()


async def test_writes_at_once_schedule_one_checkpoint(tmp_path: Path) -> None:
    """Writes at the same time schedule a single checkpoint, not one for each of them."""
    connections = SqliteConnections(f"sqlite:///{tmp_path}/judge.db", idle_seconds=3600.0)
    loop: Any = asyncio.get_running_loop()

    await asyncio.gather(*(connections.write(lambda c: c.exec_driver_sql("SELECT 1").all()) for _ in range(5)))

    timers = [timer for timer in loop._scheduled if not timer.cancelled()]
    await connections.close()
    for timer in timers:
        timer.cancel()
    assert len(timers) == 1


def _n_rows(c: Connection, table: Table) -> int:
    return c.scalar(select(func.count()).select_from(table)) or 0


async def test_an_interrupted_deletion_is_finished(scene: Scene) -> None:
    """A dataset that is being deleted is unreadable, with its runs, but its name stays taken until it is gone."""
    run = await scene.run()
    [key] = await scene.keys(1)
    await scene.answer([key], run)
    await scene.store._db.write(lambda c: partial(_begin, now=1.0)(c, dataset_row(c, TENANT, "d")))

    for unreadable in (scene.store.dataset(TENANT, "d"), scene.store.run(TENANT, "run-1")):
        with pytest.raises(NotFound):
            await unreadable
    with pytest.raises(AlreadyExists, match="still being deleted"):
        await scene.store.create_dataset(TENANT, "d")
    listed = (await scene.store.datasets(TENANT, "", 10), await scene.store.runs(TENANT, RunQuery(), 0, 10))
    refused = (await scene.permit([key], run)).refused
    finished = await scene.store.finish_deletions()
    tables = (schema.run, schema.run_item, schema.prompt, schema.output, schema.content, schema.dataset)
    left = [await scene.store._db.read(partial(_n_rows, table=table)) for table in tables]

    assert listed == ([], [])
    assert refused == "CANCELLED"
    assert finished == 1
    assert left[:4] == [0, 0, 0, 0]
    assert left[5] == 0
    assert (await scene.store.create_dataset(TENANT, "d")).prompts == 0
