"""SQLite: one writer thread with BEGIN IMMEDIATE, readers on their own threads, and the migration at the door."""

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

from judge.domain.errors import StoreFailed, StoreFull
from judge.store.migrate import migrate

T = TypeVar("T")
MEMORY = "sqlite://"
SQLITE_FILE = "sqlite:///"
READERS = 2
BUSY_SECONDS = 30
JOURNAL_BYTES = 64 * 1024 * 1024
CACHE_KIB = 32 * 1024
"""Pages that each connection keeps, at most: with SQLite's own 2 MiB a million verdicts take a sixth longer to rank."""
IDLE_SECONDS = 5.0
"""Seconds without a write after which the journal is folded into the database and emptied."""


class SqliteConnections:
    """Runs functions of a connection: writes one after another, each in a transaction; reads beside them."""

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
            self._writer.submit(_migrated, self._engine, url).result()
        except BaseException:
            self._release()
            raise

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The result of *work* in one write transaction, whole or not at all."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(
                self._writer, self._transact, work, "BEGIN IMMEDIATE"
            )
        except StoreFull:
            self.full = True
            raise
        self.full = False
        self._quiet_from_now()
        return result

    def _quiet_from_now(self) -> None:
        """Fold the journal away when nothing was written for a while."""
        if self._idle is not None:
            self._idle.cancel()
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_seconds, self._writer.submit, self._checkpoint)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """The result of *work* in one read transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._transact, work, "BEGIN")

    async def check(self) -> None:
        """Return if the file can be read: its schema is this release's since it was opened."""
        there = partial(self._transact, lambda c: c.exec_driver_sql("SELECT 1 FROM alembic_version").all(), "BEGIN")
        await asyncio.get_running_loop().run_in_executor(self._checker, there)

    def _transact(self, work: Callable[[Connection], T], begin: str) -> T:
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql(begin)
                # What is not committed is rolled back when the connection goes back to its pool.
                result = work(connection)
                connection.commit()
                return result
        except exc.DBAPIError as error:
            full = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            kind = StoreFull if full else StoreFailed
            raise kind(f"the store failed: {error.orig}") from error

    def _checkpoint(self) -> None:
        # A reader in the way is not waited for: the next quiet moment will do.
        with contextlib.suppress(exc.DBAPIError), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=0")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")

    async def close(self) -> None:
        """Finish what is being written, and let go."""
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        for pool in {self._writer, self._readers, self._checker}:
            pool.shutdown()
        self._engine.dispose()


def sqlite_engine(url: str) -> Engine:
    """Connections to the file at *url*, each without a transaction until one is begun in so many words."""
    options: dict[str, Any] = {"poolclass": StaticPool} if url == MEMORY else {}
    connect_args = {"check_same_thread": False, "timeout": BUSY_SECONDS}
    engine = create_engine(url, connect_args=connect_args, isolation_level="AUTOCOMMIT", **options)
    event.listen(engine, "connect", _pragmas)
    return engine


def file_of(url: str) -> Path:
    """The file at *url*, in a folder that is there; StoreFailed if it is none."""
    path = Path(url.removeprefix(SQLITE_FILE))
    if not url.startswith(SQLITE_FILE) or not path.name:
        raise StoreFailed(f"store {url!r} is none of {MEMORY}, {SQLITE_FILE}PATH and postgresql://HOST/NAME")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFailed(f"the store's folder {path.parent} cannot be made: {error}") from error
    return path


def _migrated(engine: Engine, url: str) -> None:
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
