"""Connections of each database: threads, transactions, settings and time limits."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import psycopg
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
AT_ONCE = 20


async def test_sqlite_write_transactions_are_begin_immediate_on_one_writer_thread(file_url: str) -> None:
    """Reads have their own threads and begin deferred. None fails, however many there are at once."""
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

    await asyncio.gather(*(run for _ in range(AT_ONCE) for run in (connections.write(writes), connections.read(reads))))

    await connections.close()
    writers = {name for statement, name in begun if statement == "BEGIN IMMEDIATE"}
    readers = {name for statement, name in begun if statement == "BEGIN"}
    assert sorted(statement for statement, _ in begun) == ["BEGIN"] * AT_ONCE + ["BEGIN IMMEDIATE"] * AT_ONCE
    assert len(writers) == 1
    assert not writers & readers


async def test_sqlite_has_wal_full_sync_and_a_bounded_journal(file_url: str) -> None:
    """Every connection has these settings, those of readers too."""
    connections = SqliteConnections(file_url)
    pragmas = ("journal_mode", "synchronous", "journal_size_limit")

    def settings(c: Connection) -> tuple[Any, ...]:
        return tuple(c.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas)

    reads = await asyncio.gather(*(connections.read(settings) for _ in range(4)))
    seen = {await connections.write(settings), *reads}

    await connections.close()
    assert seen == {("wal", 2, 64 * 1024 * 1024)}


async def test_another_process_may_read_a_file_while_a_process_executes_runs_on_it(
    file_url: str, clock: StillClock
) -> None:
    """In the middle of a write it sees what was stored before."""
    writer, reader = SqlStore.open(file_url, clock=clock), SqlStore.open(file_url, clock=clock)
    await writer.create_dataset(TENANT, "before")
    writing, read = threading.Event(), threading.Event()

    def slow(c: Connection) -> None:
        c.exec_driver_sql("UPDATE dataset SET revision = 7")
        writing.set()
        assert read.wait(60)

    work = asyncio.create_task(writer._db.write(slow))
    await asyncio.to_thread(writing.wait, 60)
    seen = await reader.revision(TENANT, "before")
    read.set()
    await work
    after = await reader.revision(TENANT, "before")
    await writer.close()
    await reader.close()

    assert (seen, after) == (0, 7)


@pytest.mark.parametrize("kind", ["file_url", "shared_url"])
async def test_a_store_whose_threads_are_all_busy_passes_its_check(kind: str, request: pytest.FixtureRequest) -> None:
    """The check runs at the same time as long reads and writes, not after them."""
    url = request.getfixturevalue(kind)
    connections = PostgresqlConnections(url) if kind == "shared_url" else SqliteConnections(url)
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
    """Every connection has time limits, also those opened later, so that a paused client blocks nobody."""
    connections = PostgresqlConnections(shared_url)
    names = ("idle_in_transaction_session_timeout", "lock_timeout", "transaction_timeout", "statement_timeout")
    barrier = threading.Barrier(4)

    def settings(c: Connection) -> tuple[Any, ...]:
        limits = tuple(c.exec_driver_sql(f"SELECT current_setting('{name}', true)").scalar() for name in names)
        # Four of these run at once, so each has its own connection.
        barrier.wait(60)
        return (*limits, c.exec_driver_sql("SELECT pg_backend_pid()").scalar())

    writing = await asyncio.gather(*(connections.write(settings) for _ in range(4)))
    read_only = await asyncio.gather(*(connections.read(settings) for _ in range(4)))

    await connections.close()
    assert len({pid for *_, pid in writing + read_only}) == 8
    # Versions before 17 limit each statement instead of the transaction.
    ends = [("10s", "0"), ("2min", "0")] if writing[0][2] else [(None, "10s"), (None, "2min")]
    assert {tuple(limits) for *limits, _ in writing} == {("2s", "5s", *ends[0])}
    assert {tuple(limits) for *limits, _ in read_only} == {("30s", "5s", *ends[1])}


async def test_postgresql_ends_a_client_that_is_paused_in_a_transaction(shared_url: str) -> None:
    """Its locks are free for others long before the paused client continues."""
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


async def test_postgresql_a_write_that_a_pause_ended_is_tried_again(shared_url: str) -> None:
    """A busy machine may stop a process between two statements; nothing of its transaction was written."""
    connections = PostgresqlConnections(shared_url)
    tries: list[int] = []

    def stops_at_first(c: Connection) -> None:
        tries.append(int(c.exec_driver_sql("SELECT pg_backend_pid()").scalar() or 0))
        if len(tries) == 1:
            c.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 1")
            while watcher.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", tries).fetchone():
                pass
        c.exec_driver_sql("INSERT INTO tenant (name) VALUES ('late')")

    with psycopg.connect(shared_url, autocommit=True) as watcher:
        await connections.write(stops_at_first)

    names = await connections.read(lambda c: c.exec_driver_sql("SELECT name FROM tenant").scalars().all())
    await connections.close()
    assert (len(set(tries)), names) == (2, ["late"])


@pytest.mark.parametrize("store", ["shared"], indirect=True)
async def test_hot_rows_are_written_last(scene: Scene) -> None:
    """A commit updates the run's row last, and a permit the account's row, so nobody waits while others insert."""
    run = await scene.run()
    keys = await scene.keys(5)
    db: Any = scene.store._db
    written: list[str] = []

    @event.listens_for(db._writing, "before_cursor_execute")
    def _(_c: object, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        if words[0] in ("INSERT", "UPDATE"):
            written.append(words[2] if words[0] == "INSERT" else words[1])

    rate_limit = RateLimit(account="vendor", calls=1e6, tokens=1e9, tokens_each=1)
    permit = await scene.store.permit(
        TENANT, PermitRequest(keys=keys, run=run.row, worst_micros=10, seconds=60, rate_limit=rate_limit)
    )
    permitted, written = list(written), []
    done = [scene.called(key, permit.granted[key], at) for at, key in enumerate(keys)]
    await scene.store.commit(TENANT, run.row, done)

    assert permitted[-1] == "account"
    assert permitted.index("call_attempt") < permitted.index("account")
    assert (written[-1], written.count("run")) == ("run", 1)


@pytest.mark.parametrize("store", ["shared"], indirect=True)
async def test_followers_by_revision_miss_nothing_that_commits_out_of_order(scene: Scene) -> None:
    """Revisions are given at the commit, unlike ids, so whoever follows them sees every verdict once."""
    run = await scene.run()
    keys = await scene.keys(60)
    granted = (await scene.permit(keys, run)).granted
    groups = [range(begin, begin + 4) for begin in range(0, 60, 4)]

    async def commits(group: range) -> None:
        await scene.store.commit(TENANT, run.row, [scene.called(keys[at], granted[keys[at]], at) for at in group])

    async def follows() -> list[int]:
        seen: list[int] = []
        after = (0, 0)
        while len(seen) < 60:
            page = await scene.store.verdicts_by_revision(run.row, VerdictQuery(), after=after, limit=10)
            seen += [verdict.position for verdict in page]
            after = (page[-1].revision, page[-1].position) if page else after
        return seen

    async with asyncio.timeout(60):
        seen, _ = await asyncio.gather(follows(), asyncio.gather(*map(commits, groups)))
        again = await follows()

    assert sorted(seen) == list(range(60))
    assert again == seen
