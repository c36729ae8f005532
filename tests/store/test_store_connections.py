"""How each database is written and read."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, event

from judge.ports.records import PermitRequest, RateLimit, VerdictQuery
from judge.store.postgresql import PostgresqlConnections
from judge.store.sql_store import SqlStore
from judge.store.sqlite import SqliteConnections

if TYPE_CHECKING:
    from support.clocks import StillClock
    from support.scene import Scene

TENANT = "default"
MANY = 20


async def test_sqlite_write_transactions_are_begin_immediate_on_one_writer_thread(file_url: str) -> None:
    """However many ask at once; reads have their own threads, begin deferred, and none of either fails."""
    connections = SqliteConnections(file_url)
    begun: list[tuple[str, str]] = []

    @event.listens_for(connections._engine, "before_cursor_execute")
    def _(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("BEGIN"):
            begun.append((statement, threading.current_thread().name))

    def reads(c: Connection) -> None:
        c.exec_driver_sql("SELECT count(*) FROM tenant").all()

    def writes(c: Connection) -> None:
        reads(c)
        c.exec_driver_sql("INSERT INTO tenant (name) VALUES (hex(randomblob(16)))")

    await asyncio.gather(*(run for _ in range(MANY) for run in (connections.write(writes), connections.read(reads))))

    await connections.close()
    writers = {name for statement, name in begun if statement == "BEGIN IMMEDIATE"}
    readers = {name for statement, name in begun if statement == "BEGIN"}
    assert sorted(statement for statement, _ in begun) == ["BEGIN"] * MANY + ["BEGIN IMMEDIATE"] * MANY
    assert len(writers) == 1
    assert not writers & readers


async def test_sqlite_has_wal_full_sync_and_a_bounded_journal(file_url: str) -> None:
    """On every connection, of readers as of the writer."""
    connections = SqliteConnections(file_url)
    pragmas = ("journal_mode", "synchronous", "journal_size_limit")

    def told(c: Connection) -> tuple[Any, ...]:
        return tuple(c.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas)

    seen = {await connections.write(told), *(await asyncio.gather(*(connections.read(told) for _ in range(4))))}

    await connections.close()
    assert seen == {("wal", 2, 64 * 1024 * 1024)}


async def test_another_process_may_read_a_file_that_one_executes_runs_on(file_url: str, clock: StillClock) -> None:
    """In the middle of what that one writes it sees what was stored before."""
    one, other = SqlStore.open(file_url, clock=clock), SqlStore.open(file_url, clock=clock)
    await one.create_dataset(TENANT, "before")
    writing, read = threading.Event(), threading.Event()

    def slow(c: Connection) -> None:
        c.exec_driver_sql("UPDATE dataset SET revision = 7")
        writing.set()
        assert read.wait(60)

    work = asyncio.create_task(one._db.write(slow))
    await asyncio.to_thread(writing.wait, 60)
    seen = await other.revision(TENANT, "before")
    read.set()
    await work
    after = await other.revision(TENANT, "before")
    await one.close()
    await other.close()

    assert (seen, after) == (0, 7)


@pytest.mark.parametrize("url", ["file_url", "shared_url"])
async def test_a_store_whose_threads_are_all_busy_is_there(url: str, request: pytest.FixtureRequest) -> None:
    """Whether it can be worked with is asked beside long reads and writes, not behind them."""
    where = request.getfixturevalue(url)
    connections = PostgresqlConnections(where) if url == "shared_url" else SqliteConnections(where)
    done = threading.Event()
    busy = [asyncio.create_task(connections.read(lambda _: done.wait(60))) for _ in range(10)]
    busy.append(asyncio.create_task(connections.write(lambda _: done.wait(60))))
    await asyncio.sleep(0)

    async with asyncio.timeout(50):
        await connections.check()

    done.set()
    assert await asyncio.gather(*busy) == [True] * 11
    await connections.close()


async def test_postgresql_sessions_set_their_time_outs(shared_url: str) -> None:
    """On every connection, also those begun later: a paused client holds nobody."""
    connections = PostgresqlConnections(shared_url)
    names = ("idle_in_transaction_session_timeout", "lock_timeout", "transaction_timeout")
    barrier = threading.Barrier(4)

    def told(c: Connection) -> tuple[Any, ...]:
        found = tuple(c.exec_driver_sql(f"SHOW {name}").scalar() for name in names)
        # Each of four at once has a connection of its own.
        barrier.wait(60)
        return (*found, c.exec_driver_sql("SELECT pg_backend_pid()").scalar())

    writing = await asyncio.gather(*(connections.write(told) for _ in range(4)))
    parsed_verdict = await asyncio.gather(*(connections.read(told) for _ in range(4)))

    await connections.close()
    assert len({pid for *_, pid in writing + parsed_verdict}) == 8
    assert {tuple(found) for *found, _ in writing} == {("2s", "5s", "10s")}
    assert {tuple(found) for *found, _ in parsed_verdict} == {("30s", "5s", "2min")}


async def test_postgresql_ends_a_client_that_is_paused_in_a_transaction(shared_url: str) -> None:
    """What it held is free for others long before the paused one comes back."""
    connections, other = PostgresqlConnections(shared_url), PostgresqlConnections(shared_url)
    held, back = threading.Event(), threading.Event()

    def paused(c: Connection) -> None:
        c.exec_driver_sql("INSERT INTO tenant (name) VALUES ('paused')")
        held.set()
        assert back.wait(60)
        c.exec_driver_sql("SELECT 1")

    work = asyncio.create_task(connections.write(paused))
    await asyncio.to_thread(held.wait, 60)
    await other.write(lambda c: c.exec_driver_sql("INSERT INTO tenant (name) VALUES ('paused')"))
    back.set()

    with pytest.raises(Exception, match="the store failed"):
        await work
    names = await other.read(lambda c: c.exec_driver_sql("SELECT name FROM tenant").scalars().all())
    await connections.close()
    await other.close()
    assert names == ["paused"]


@pytest.mark.parametrize("store", ["shared"], indirect=True)
async def test_hot_rows_are_written_last(scene: Scene) -> None:
    """A run's row at the end of a commit, an account's at the end of a permit: nobody waits while others insert."""
    run = await scene.run()
    keys = await scene.keys(5)
    db: Any = scene.store._db
    written: list[str] = []

    @event.listens_for(db._writing, "before_cursor_execute")
    def _(_c: object, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        if words[0] in ("INSERT", "UPDATE"):
            written.append(words[2] if words[0] == "INSERT" else words[1])

    rate_limit = RateLimit("vendor", 1e6, 1e9, 1)
    permit = await scene.store.permit(TENANT, PermitRequest(keys, run.row, 10, 60, rate_limit=rate_limit))
    permitted, written = list(written), []
    done = [scene.called(key, permit.granted[key], at) for at, key in enumerate(keys)]
    await scene.store.commit(TENANT, run.row, done)

    assert permitted[-1] == "account"
    assert permitted.index("call_attempt") < permitted.index("account")
    assert (written[-1], written.count("run")) == ("run", 1)


@pytest.mark.parametrize("store", ["shared"], indirect=True)
async def test_followers_by_revision_miss_nothing_that_commits_out_of_order(scene: Scene) -> None:
    """Ids are given before they commit; revisions when they do: whoever follows them sees every verdict once."""
    run = await scene.run()
    keys = await scene.keys(60)
    granted = (await scene.permit(keys, run)).granted
    groups = [range(begin, begin + 4) for begin in range(0, 60, 4)]

    async def commits(group: range) -> None:
        await scene.store.commit(TENANT, run.row, [scene.called(keys[at], granted[keys[at]], at) for at in group])

    async def follows() -> list[int]:
        seen: list[int] = []
        after = 0
        while len(seen) < 60:
            page = await scene.store.verdicts(run.row, VerdictQuery(), after=after, limit=10, by_revision=True)
            seen += [verdict.position for verdict in page]
            after = page[-1].revision if page else after
        return seen

    async with asyncio.timeout(60):
        seen, *_ = await asyncio.gather(follows(), *map(commits, groups))
        again = await follows()

    assert sorted(seen) == list(range(60))
    assert again == seen
