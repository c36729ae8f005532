"""Copies a store into another one. Each is a file or PostgreSQL. Runs that have not ended are copied too.

The copy is one transaction of the target and reads one moment of the source. If it is killed anywhere, the target is
empty, so nobody serves an incomplete store. Ids stay the same, and the target's id counters stay above every id that
the source ever gave.

The store's clock is copied unchanged, because permits and rate limits use its time. Its source is another clock now,
which advances it by ten seconds at most, like any jump of a clock. Calls in flight stay in flight: the engine that
starts on the target books them as spent, as it does after the end of any process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, Row, Table, Text, cast, exc, func, select, text

from judge.domain.errors import InvalidInput, Precondition, StoreFailed
from judge.ports.clock import Clock
from judge.store.migrate import check_schema, migrate
from judge.store.postgresql import EXECUTING, is_postgresql, opening, postgresql_engine
from judge.store.schema import metadata
from judge.store.sqlite import SQLITE_FILE, file_of, sqlite_engine

FETCHED = 64
"""Rows in memory at once. The largest ones have 4 MiB."""
WAITING = "-c lock_timeout=5s"
OTHERS = f"""
    SELECT count(*) FROM pg_stat_activity a
    WHERE datname = current_database() AND application_name = 'judge' AND pid <> pg_backend_pid()
    AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.objid = {EXECUTING})
"""  # noqa: S608  # a number of our own
"""The number of connections of other servers and workers: all except this one and the one that holds the store."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How many rows of a table were copied, and how long it took."""

    table: str
    rows: int
    seconds: float


def copy_store(source_url: str, target_url: str, clock: Clock, tell: Callable[[Copied], None]) -> list[Copied]:
    """Copy every table of a store into an empty store with the present schema, and call *tell* after each table.

    The caller must hold both stores, so that no process executes runs on them.
    """
    if source_url == target_url:
        raise InvalidInput("to", "a store cannot be copied into itself")
    done = []
    with _open_source(source_url) as source, _open_target(target_url) as target:
        try:
            for each in metadata.sorted_tables:
                began = clock.monotonic()
                rows = _copy(source, target, each)
                done.append(Copied(each.name, rows, clock.monotonic() - began))
                tell(done[-1])
            target.commit()
        except exc.DBAPIError as error:
            raise StoreFailed(f"the copy failed, and the target is empty: {error.orig}") from error
    return done


def _copy(source: Connection, target: Connection, each: Table) -> int:
    """Copy a table in the order of its primary key, and return its number of rows."""
    # A JSON document is copied as the text that the database stores.
    columns = [cast(column, Text) if isinstance(column.type, JSON) else column for column in each.columns]
    ordered = select(*columns).order_by(*each.primary_key.columns)
    rows = 0
    for page in source.execute(ordered, execution_options={"yield_per": FETCHED}).partitions():
        try:
            _add(target, each, page)
        except (exc.DBAPIError, target.dialect.loaded_dbapi.Error) as error:
            first, last = (dict(zip(each.columns.keys(), row, strict=True)) for row in (page[0], page[-1]))
            keys = [[row[key.name] for key in each.primary_key.columns] for row in (first, last)]
            message = f"table {each.name}: a row between {keys[0]} and {keys[1]} cannot be stored"
            raise StoreFailed(f"{message}: {getattr(error, 'orig', error)}") from error
        rows += len(page)
    if rows != (present := _count(target, each)):
        raise StoreFailed(f"table {each.name}: {present:,} of {rows:,} rows arrived; nothing was copied")
    _advance_counter(source, target, each)
    return rows


def _add(c: Connection, each: Table, rows: Sequence[Row[Any]]) -> None:
    """Insert rows of all columns. This is several times faster than statements that SQLAlchemy makes."""
    names = ", ".join(f'"{column.name}"' for column in each.columns)
    if c.dialect.name == "sqlite":
        values = ", ".join("?" * len(each.columns))
        sql = f'INSERT INTO "{each.name}" ({names}) VALUES ({values})'  # noqa: S608  # names of our own
        c.exec_driver_sql(sql, [tuple(row) for row in rows])
        return
    driver: Any = c.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f'COPY "{each.name}" ({names}) FROM STDIN') as lines:
        for row in rows:
            lines.write_row(row)


def _count(c: Connection, each: Table) -> int:
    return c.scalar(select(func.count()).select_from(each)) or 0


def _advance_counter(source: Connection, target: Connection, each: Table) -> None:
    """Make sure that the target never gives an id that the source gave."""
    column = each.autoincrement_column
    if column is None:
        return
    highest = max(_highest_id(source, column), source.scalar(select(func.max(column))) or 0)
    if not highest:
        return
    if target.dialect.name == "sqlite":
        if each.dialect_options["sqlite"]["autoincrement"]:
            target.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": each.name})
            counted = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)")
            target.execute(counted, {"name": each.name, "seq": highest})
    else:
        target.execute(select(func.setval(_sequence(target, column), highest)))


def _highest_id(c: Connection, column: Column[Any]) -> int:
    """Return the highest id that was ever given, or 0 if the database does not count."""
    if c.dialect.name == "sqlite":
        if not column.table.dialect_options["sqlite"]["autoincrement"]:
            return 0
        return c.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": column.table.name}) or 0
    counter = c.exec_driver_sql(f"SELECT last_value, is_called FROM {_sequence(c, column)}").one()  # noqa: S608  # the database's own name
    return int(counter.last_value) if counter.is_called else 0


def _sequence(c: Connection, column: Column[Any]) -> str:
    return str(c.scalar(select(func.pg_get_serial_sequence(f'"{column.table.name}"', column.name))))


def check_source(url: str) -> None:
    """Raise StoreFailed if *url* is a file that does not exist. The file is not created."""
    if not is_postgresql(url) and not (url.startswith(SQLITE_FILE) and Path(url.removeprefix(SQLITE_FILE)).is_file()):
        raise StoreFailed(f"there is no store at {url!r} to copy from")


@contextlib.contextmanager
def _open_source(url: str) -> Iterator[Connection]:
    """Open one moment of a store that nobody writes to."""
    check_source(url)
    with _open(url, "BEGIN", "SHARE") as connection:
        yield connection


@contextlib.contextmanager
def _open_target(url: str) -> Iterator[Connection]:
    """Open an empty store that nobody else writes to."""
    if not is_postgresql(url):
        file_of(url)
    with _open(url, "BEGIN IMMEDIATE", "EXCLUSIVE") as connection:
        counts = {each.name: _count(connection, each) for each in metadata.sorted_tables}
        there = ", ".join(f"{name} ({rows:,})" for name, rows in counts.items() if rows)
        if there:
            raise Precondition(f"the target of a copy must be empty, but it has rows in these tables: {there}")
        yield connection


@contextlib.contextmanager
def _open(url: str, begin: str, lock: str) -> Iterator[Connection]:
    """Open a transaction on a store with the present schema, and lock its tables against others."""
    shared = is_postgresql(url)
    engine = postgresql_engine(url, WAITING, "REPEATABLE READ") if shared else sqlite_engine(url)
    try:
        with contextlib.ExitStack() as stack:
            with opening(url):
                if not shared:
                    migrate(engine)
                connection = stack.enter_context(engine.connect())
                if shared:
                    _lock(connection, lock)
                else:
                    connection.exec_driver_sql(begin)
                check_schema(connection, exactly=True)
            yield connection
    finally:
        engine.dispose()


def _lock(c: Connection, mode: str) -> None:
    """Lock all tables before the transaction's first read, which chooses the moment that it sees."""
    check_schema(c, exactly=True)
    if others := c.scalar(text(OTHERS)):
        raise Precondition(f"{others} connections of servers or workers are open to the store; stop them and try again")
    c.rollback()
    names = ", ".join(f'"{each.name}"' for each in metadata.sorted_tables)
    c.exec_driver_sql(f"LOCK TABLE {names} IN {mode} MODE")
