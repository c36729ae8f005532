"""The contract of an engine: it finishes runs within their limits, and can be cancelled, resumed and restarted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from judge.domain.errors import JudgeUnusable
from judge.domain.judge import RenderedPrompt
from judge.domain.run import Budget, Pairing, RunState
from judge.ports.clock import SystemClock
from judge.runs.watch import Watcher
from judge.store.sql_store import SqlStore
from judge.store.sqlite import SqliteConnections
from support.engine_service import CONCURRENCY, PLANNED, TENANT, Site
from support.postgres import Postgres
from support.temporal_server import TemporalServer


@pytest.fixture(params=["local", "temporal"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Each engine with the kind of store that it is used with."""
    if request.param == "local":
        yield Site(f"sqlite:///{tmp_path / 'judge.db'}")
        return
    server: Postgres = request.getfixturevalue("server")
    temporal: TemporalServer = request.getfixturevalue("temporal_server")
    with server.fresh() as url:
        yield Site(url, temporal.address)


def always(_: RenderedPrompt) -> str:
    return "[[A]]"


async def test_a_run_finishes_within_its_concurrency(site: Site) -> None:
    """Every presentation gets a verdict with one call, and never more calls at once than the judge allows."""
    async with site.service(always) as h:
        await h.fill()

        run = await h.ended(await h.begin())

    assert (run.state, run.counts.by_status, run.counts.calls) == (RunState.DONE, {"ok": PLANNED}, PLANNED)
    assert h.backend.calls == PLANNED
    assert h.backend.max_in_flight <= CONCURRENCY


async def test_a_cancelled_run_keeps_what_it_has(site: Site) -> None:
    """No call starts after the cancel, those in flight are kept, and a resumed run makes only the other calls."""
    gate = asyncio.Event()
    async with site.service(always, gate) as h:
        run = await h.start_busy_run()

        await h.runs.cancel(TENANT, run.run_id)
        gate.set()
        cancelled = await h.ended(run)
        await h.runs.resume(TENANT, run.run_id, None)
        resumed = await h.until(run, lambda now: now.state is RunState.DONE)

    assert h.backend.max_in_flight == CONCURRENCY
    assert cancelled.state is RunState.CANCELLED
    assert cancelled.counts.by_status == {"ok": CONCURRENCY}
    assert (resumed.counts.by_status, h.backend.calls) == ({"ok": PLANNED}, PLANNED)


async def test_a_budget_of_calls_is_kept_and_may_be_raised(site: Site) -> None:
    """The run stops at its budget and reports it, and continues under a larger one without paying twice."""
    async with site.service(always) as h:
        await h.fill()
        run = await h.begin(budget=Budget(calls=10))
        stopped = await h.ended(run)
        at_stop = h.backend.calls

        await h.runs.resume(TENANT, run.run_id, Budget(calls=1000))
        resumed = await h.until(run, lambda now: now.state is RunState.DONE and not now.reason)

    assert (stopped.state, stopped.reason, at_stop) == (RunState.DONE, "BUDGET_STOPPED", 10)
    assert (resumed.counts.by_status, h.backend.calls) == ({"ok": PLANNED}, PLANNED)


async def test_an_unfinished_run_continues_at_the_next_start(site: Site) -> None:
    """A run whose engine stopped in the middle is finished by the next one, and no call is repeated."""
    gate = asyncio.Event()
    async with site.service(always, gate) as first:
        run = await first.start_busy_run()
    async with site.service(always) as second:
        ended = await second.ended(run)

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert first.backend.calls + second.backend.calls == PLANNED
    assert ended.counts.repeated == 0


async def test_two_runs_at_once_pay_each_key_once(site: Site) -> None:
    """Law 3: two runs over the same content share every call."""
    async with site.service(always) as h:
        await h.fill()
        runs = [await h.begin("one"), await h.begin("two")]

        ended = [await h.ended(run) for run in runs]

    assert [run.counts.by_status for run in ended] == [{"ok": PLANNED}] * 2
    assert h.backend.calls == PLANNED == sum(run.counts.calls for run in ended)
    assert sum(run.counts.reused for run in ended) == PLANNED


async def test_a_small_run_beside_a_large_one_ends_long_before_it(site: Site) -> None:
    """A small run that starts while a large one has every slot ends before half of the large one is done."""
    gate = asyncio.Event()
    async with site.service(always, gate) as h:
        await h.fill()
        large = await h.begin("large", Pairing(repeats=40))
        await h.busy()
        small = await h.begin("small", Pairing(cache_tag="another"))
        await h.until(small, lambda now: now.state is RunState.RUNNING)
        gate.set()

        ended = await h.ended(small)
        unfinished = await h.store.run(TENANT, large.run_id)

    assert ended.counts.by_status == {"ok": PLANNED}
    assert unfinished.counts.planned == 40 * PLANNED
    assert 0 < unfinished.counts.settled < unfinished.counts.planned / 2


async def test_a_judge_that_cannot_be_called_ends_the_run_at_once(site: Site) -> None:
    """A wrong key ends the run with a clear reason after at most one window of calls."""
    async with site.service(lambda _: JudgeUnusable("the endpoint answered 401")) as h:
        await h.fill()

        run = await h.ended(await h.begin())

    assert (run.state, run.reason) == (RunState.FAILED, "JUDGE_UNUSABLE")
    assert run.message == (
        "judge 'j': the endpoint answered 401; its other presentations were not tried. "
        f"Check it with `judge doctor j`, then `judge resume {run.run_id}`"
    )
    assert h.backend.calls <= CONCURRENCY


async def test_a_watcher_sees_the_run_to_its_end(site: Site) -> None:
    """Snapshots only get newer, and the last one is the terminal one."""
    async with site.service(always) as h:
        await h.fill()
        run = await h.begin()
        watcher = Watcher(h.store, SystemClock())

        async with asyncio.timeout(60):
            seen = [snapshot async for snapshot, _ in watcher.watch(TENANT, run.run_id, 0)]
        await watcher.close()

    revisions = [snapshot.revision for snapshot in seen]
    assert (seen[-1].state, seen[-1].counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert revisions == sorted(set(revisions))


async def test_a_full_store_pauses_a_run_until_there_is_space(tmp_path: Path) -> None:
    """While the store is full the run is PAUSED; then it continues by itself, and no answer is lost or repeated."""
    gate = asyncio.Event()
    async with Site(f"sqlite:///{tmp_path / 'judge.db'}").service(lambda _: "x" * 20_000 + "[[A]]", gate) as h:
        run = await h.start_busy_run()

        _limit_pages(h.store, 1)
        gate.set()
        paused = await h.until(run, lambda now: now.state is RunState.PAUSED)
        _limit_pages(h.store, 1_000_000_000)
        ended = await h.ended(run)

    assert paused.reason == "STORE_FULL"
    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert h.backend.calls == PLANNED


def _limit_pages(store: SqlStore, pages: int) -> None:
    assert isinstance(store._db, SqliteConnections)
    connections = [store._db._engine.connect() for _ in range(5)]
    for connection in connections:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    for connection in connections:
        connection.close()
