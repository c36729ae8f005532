"""A store that has no room, a journal that is emptied, a deletion that was interrupted."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import func, select

from judge.domain.errors import AlreadyExists, NotFound, StoreFailed, StoreFull
from judge.domain.run import RunState
from judge.execution.shard_runner import Committer
from judge.ports.clock import Clock
from judge.ports.records import Settled
from judge.ports.store import RunStore
from judge.store import schema
from judge.store.deletion import _begin
from judge.store.revisions import found
from judge.store.sql_store import SqlStore
from judge.store.sqlite import SqliteConnections

if TYPE_CHECKING:
    from support.clocks import StillClock
    from support.scene import Scene

TENANT = "default"
LARGE = 1_000_000_000


def _limit_pages(store: SqlStore, pages: int) -> None:
    """Let the database grow to so many pages, whichever connection writes."""
    connections = [store._db._engine.connect() for _ in range(4)]
    for connection in connections:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        connection.close()


@pytest.mark.parametrize("store", ["memory", "file"], indirect=True)
async def test_a_full_store_says_so_and_changes_nothing(scene: Scene) -> None:
    """A write without room raises STORE_FULL; the run at work is told as PAUSED from memory, and goes on with room."""
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


class _Filling:
    """A store that has no room for the first commits."""

    def __init__(self, store: SqlStore, refusals: int) -> None:
        self._store, self.left = store, refusals

    async def commit(self, tenant: str, run: int | None, settled: list[Settled]) -> None:
        if self.left:
            self.left -= 1
            raise StoreFull("no room")
        await self._store.commit(tenant, run, settled)


async def test_a_paid_answer_waits_for_space(scene: Scene, clock: StillClock) -> None:
    """Law 4: an answer for which there is no room stays in memory until there is, and is then stored."""
    run = await scene.run()
    [key] = await scene.keys(1)
    attempt = (await scene.permit([key], run)).granted[key]
    filling = _Filling(scene.store, 3)
    committer = Committer(cast("RunStore", filling), TENANT, run.row, cast("Clock", clock))

    await committer.commit(scene.called(key, attempt, 0))

    assert filling.left == 0
    assert (await scene.store.run(TENANT, "run-1")).counts.by_status == {"ok": 1}


async def test_a_server_that_stops_does_not_wait_for_space(scene: Scene, clock: StillClock) -> None:
    run = await scene.run()
    [key] = await scene.keys(1)
    committer = Committer(cast("RunStore", _Filling(scene.store, 3)), TENANT, run.row, cast("Clock", clock))
    committer.patient = False

    with pytest.raises(StoreFailed):
        await committer.commit(scene.called(key, None, 0))


async def test_the_journal_is_emptied_when_nothing_is_written(tmp_path: Path) -> None:
    """A quiet moment after a write folds the journal into the database."""
    connections = SqliteConnections(f"sqlite:///{tmp_path}/judge.db", idle_seconds=0.0)
    journal = tmp_path / "judge.db-wal"

    await connections.write(lambda c: c.exec_driver_sql("CREATE TABLE filler AS SELECT randomblob(500000) AS x"))
    grown = journal.stat().st_size
    for _ in range(2):
        # One turn of the loop makes the timer ready, the next one runs it.
        await asyncio.sleep(0)
    # The writer takes one thing after another, so this comes after the checkpoint; it writes nothing.
    await connections.write(lambda c: c.exec_driver_sql("SELECT 1").all())

    assert grown > 500_000
    assert journal.stat().st_size == 0
    await connections.close()


async def test_writes_at_once_leave_one_checkpoint_to_come(tmp_path: Path) -> None:
    """The journal is emptied when nothing was written for a while, not for every write that had company."""
    connections = SqliteConnections(f"sqlite:///{tmp_path}/judge.db", idle_seconds=3600.0)
    loop: Any = asyncio.get_running_loop()

    await asyncio.gather(*(connections.write(lambda c: c.exec_driver_sql("SELECT 1").all()) for _ in range(5)))

    timers = [timer for timer in loop._scheduled if not timer.cancelled()]
    await connections.close()
    for timer in timers:
        timer.cancel()
    assert len(timers) == 1


async def test_an_interrupted_deletion_is_finished(scene: Scene) -> None:
    """A dataset whose deletion was begun is unreadable with its runs, keeps its name, and is gone once finished."""
    run = await scene.run()
    [key] = await scene.keys(1)
    await scene.answer([key], run)
    await scene.store._db.write(lambda c: partial(_begin, now=1.0)(c, found(c, TENANT, "d")))

    for unreadable in (scene.store.dataset(TENANT, "d"), scene.store.run(TENANT, "run-1")):
        with pytest.raises(NotFound):
            await unreadable
    with pytest.raises(AlreadyExists, match="still being deleted"):
        await scene.store.create_dataset(TENANT, "d")
    listed = (await scene.store.datasets(TENANT, "", 10), await scene.store.runs(TENANT, "", 0, 10))
    refused = (await scene.permit([key], run)).refused
    finished = await scene.store.finish_deletions()
    tables = (schema.run, schema.run_item, schema.prompt, schema.output, schema.content, schema.dataset)
    left = [
        await scene.store._db.read(lambda c, t=table: c.scalar(select(func.count()).select_from(t))) for table in tables
    ]

    assert listed == ([], [])
    assert refused == "CANCELLED"
    assert finished == 1
    assert left[:4] == [0, 0, 0, 0]
    assert left[5] == 0
    assert (await scene.store.create_dataset(TENANT, "d")).prompts == 0
