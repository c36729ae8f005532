"""Watching runs: how often the store is polled, and what a watcher gets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

import judge
from judge.backends.scripted import Scripted
from judge.domain.run import Pairing, Run, RunState
from judge.domain.temporal_connection import TemporalConnection
from judge.engines.temporal import TemporalEngine
from judge.runs.watch import POLL, Watcher
from judge.store.sql_store import SqlStore
from support.clocks import StillClock
from support.engine_service import TENANT, EngineService, OneJudge


class RecordingStore(SqlStore):
    """A store that records when it was polled for changes, and of which runs."""

    polls: list[tuple[float, list[int]]]

    async def changes(self, rows: Collection[int]) -> dict[int, int]:
        self.polls.append((self._clock.monotonic(), sorted(rows)))
        return await super().changes(rows)


class Passing(StillClock):
    """A clock on which time passes only while something waits."""

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


async def _watch(watcher: Watcher, run: Run) -> list[Run]:
    return [snapshot async for snapshot, _ in watcher.watch(TENANT, run.run_id, 0)]


async def test_one_poll_in_500_ms_for_all_watched_runs() -> None:
    """Each poll covers all watched runs, and two polls are at least 500 ms apart.

    Every watcher sees the terminal state, and never an older revision.
    """
    store = RecordingStore.open("sqlite://", clock=Passing())
    assert isinstance(store, RecordingStore)
    store.polls = []
    backend = Scripted([])
    service = EngineService(
        store=store,
        backend=backend,
        engine=TemporalEngine(store, TemporalConnection(), Passing()),
        judges=OneJudge(backend),
    )
    await service.fill()
    runs = [await service.begin(name, Pairing(cache_tag=name)) for name in "abc"]
    watcher = Watcher(store, store._clock)
    watching = [asyncio.create_task(_watch(watcher, run)) for run in runs for _ in range(2)]
    async with asyncio.timeout(60):
        while len(store.polls) < 10:  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0)
        for run in runs:
            await store.move_run(run.row, RunState.RUNNING)
            await store.move_run(run.row, RunState.DONE)
        seen = await asyncio.gather(*watching)
    await watcher.close()
    await store.close()

    times = [at for at, _ in store.polls]
    revisions = [[snapshot.revision for snapshot in snapshots] for snapshots in seen]
    assert POLL == 0.5
    assert min(later - earlier for earlier, later in pairwise(times)) >= POLL
    assert [rows for _, rows in store.polls[2:10]] == [[run.row for run in runs]] * 8
    assert [snapshots[-1].state for snapshots in seen] == [RunState.DONE] * 6
    assert revisions == [sorted(set(seen_revisions)) for seen_revisions in revisions]


def test_no_database_announces_what_has_changed() -> None:
    """No module uses LISTEN or NOTIFY: polling works on both databases and through any proxy."""
    announcing = re.compile(r"\b(LISTEN|NOTIFY|pg_notify)\b")
    modules = list(Path(judge.__file__).parent.rglob("*.py"))

    assert len(modules) > 100
    assert [path.name for path in modules if announcing.search(path.read_text("utf-8"))] == []


async def test_a_watch_that_starts_again_and_again_polls_no_more_often() -> None:
    """A watcher that comes after another has gone waits until the next poll is due."""
    store = RecordingStore.open("sqlite://", clock=Passing())
    assert isinstance(store, RecordingStore)
    store.polls = []
    backend = Scripted([])
    service = EngineService(
        store=store,
        backend=backend,
        engine=TemporalEngine(store, TemporalConnection(), Passing()),
        judges=OneJudge(backend),
    )
    await service.fill()
    run = await service.begin()
    watcher = Watcher(store, store._clock)
    for _ in range(5):
        watching = asyncio.create_task(_watch(watcher, run))
        n_polls = len(store.polls)
        async with asyncio.timeout(60):
            while len(store.polls) == n_polls:  # noqa: ASYNC110  # there is no event for it
                await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.gather(*filter(None, [watcher._polling]))
    await watcher.close()
    await store.close()

    times = [at for at, _ in store.polls]
    assert len(times) >= 5
    assert min(later - earlier for earlier, later in pairwise(times)) >= POLL
