"""SQLite: one writer thread with BEGIN IMMEDIATE, readers in their own threads, and a migration on opening."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import StaticPool

from judge.domain.errors import UNSTORABLE, InvalidInput, StoreFailed, StoreFull
from judge.store.migrate import migrate

T = TypeVar("T")
MEMORY = "sqlite://"
SQLITE_FILE = "sqlite:///"
READERS = 2
BUSY_SECONDS = 30
JOURNAL_BYTES = 64 * 1024 * 1024
CACHE_KIB = 32 * 1024
"""Each connection's page cache. With SQLite's default of 2 MiB, ranking a million verdicts takes a sixth longer."""
IDLE_SECONDS = 5.0
"""Seconds without a write after which the journal is folded into the database and emptied."""


class SqliteConnections:
    """Runs writes one after another, each in a transaction, and reads at the same time."""

    def __init__(self, url: str, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self.full = False
        self._idle_seconds = idle_seconds
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False
        memory = url == MEMORY
        if not memory:
            file_of(url)
        self._engine = sqlite_engine(url)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = self._writer if memory else ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._checker = self._writer if memory else ThreadPoolExecutor(1, thread_name_prefix="store-checker")
        try:
            self._writer.submit(_migrate, self._engine, url).result()
        except BaseException:
            self._release()
            raise

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one write transaction and return its result. If it fails, nothing is written."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(
                self._writer, self._transact, work, "BEGIN IMMEDIATE"
            )
        except StoreFull:
            self.full = True
            raise
        self.full = False
        self._schedule_checkpoint()
        return result

    def _schedule_checkpoint(self) -> None:
        """Fold the journal into the database after a while without a write."""
        if self._idle is not None:
            self._idle.cancel()
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_seconds, self._writer.submit, self._checkpoint)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one read transaction and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._transact, work, "BEGIN")

    async def check(self) -> None:
        """Return if the file can be read. Its schema has been this release's since it was opened."""
        query = partial(self._transact, lambda c: c.exec_driver_sql("SELECT 1 FROM alembic_version").all(), "BEGIN")
        await asyncio.get_running_loop().run_in_executor(self._checker, query)

    def _transact(self, work: Callable[[Connection], T], begin: str) -> T:
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql(begin)
                # Without a commit, the connection is rolled back when it returns to its pool.
                result = work(connection)
                connection.commit()
                return result
        except (exc.DataError, OverflowError) as error:
            cause = getattr(error, "orig", error)
            raise InvalidInput("request", f"the store cannot keep a value: {cause}", reason=UNSTORABLE) from error
        except exc.DBAPIError as error:
            full = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            kind = StoreFull if full else StoreFailed
            raise kind(f"the store failed: {error.orig}") from error

    def _checkpoint(self) -> None:
        # Do not wait for a reader. The next idle moment is early enough.
        with contextlib.suppress(exc.DBAPIError), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=0")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")

    async def close(self) -> None:
        """Finish writes in progress and close all connections."""
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        for pool in {self._writer, self._readers, self._checker}:
            pool.shutdown()
        self._engine.dispose()


def sqlite_engine(url: str) -> Engine:
    """Return an engine for the file at *url*. Its connections have no transaction until a BEGIN statement."""
    options: dict[str, Any] = {"poolclass": StaticPool} if url == MEMORY else {}
    connect_args = {"check_same_thread": False, "timeout": BUSY_SECONDS}
    engine = create_engine(url, connect_args=connect_args, isolation_level="AUTOCOMMIT", **options)
    event.listen(engine, "connect", _pragmas)
    return engine


def file_of(url: str) -> Path:
    """Return the file at *url*, and create its folder if needed. Raises StoreFailed if *url* is not a file's."""
    path = Path(url.removeprefix(SQLITE_FILE))
    if not url.startswith(SQLITE_FILE) or not path.name:
        raise StoreFailed(f"unknown store {url!r}: use {MEMORY}, {SQLITE_FILE}PATH or postgresql://HOST/NAME")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFailed(f"the store's folder {path.parent} cannot be created: {error}") from error
    return path


def _migrate(engine: Engine, url: str) -> None:
    try:
        migrate(engine)
    except exc.DBAPIError as error:
        raise StoreFailed(f"store {url!r} cannot be opened: {error.orig}") from error


def _pragmas(connection: Any, _: object) -> None:  # noqa: ANN401  # the driver's own type
    cursor = connection.cursor()
    limits = (f"journal_size_limit={JOURNAL_BYTES}", f"cache_size=-{CACHE_KIB}")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", *limits):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
