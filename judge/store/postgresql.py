"""PostgreSQL: several processes write at once, each transaction short, and whoever was in another's way tries again.

A paused client must not hold everybody: idle transactions end after two seconds, a lock is waited for at most five and
a write takes at most ten. The schema is brought up to date by `judge migrate` alone, never by a server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, exc, make_url

from judge.domain.errors import StoreAway, StoreFailed, StoreFull, StoreHeld
from judge.store.migrate import check_schema, migrate_shared

T = TypeVar("T")
SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
THREADS = 4
"""Of writers, and of readers, each with a connection."""
TRIES = 5
WRITING = "-c idle_in_transaction_session_timeout=2s -c lock_timeout=5s -c transaction_timeout=10s"
READ_ONLY = "-c idle_in_transaction_session_timeout=30s -c lock_timeout=5s -c transaction_timeout=120s"
READ_ONLY += " -c default_transaction_read_only=on"
DISK_FULL = "53100"
GONE = ("08", "57P", "25P03", "25P04")
"""The server is stopping or starting, the connection is lost, or the transaction was idle or open for too long."""
UNKNOWN = ("42703", "42P01")
"""A column or a table is not there: somebody may have migrated while this process was at work."""
IN_THE_WAY = ("40001", "40P01", "55P03", "23505")
"""Serialization, deadlock, a lock not had in time, and a unique key that another transaction took meanwhile."""
NEEDS = {
    "42501": "judge migrate needs a role that owns the store's tables and may create some in their schema",
    "55P03": "judge migrate needs each table to itself for a moment; nothing was changed, try again",
}
"""What a migration lacked, by what the database says."""
EXECUTING = 0x6A756467
"""The number of the advisory lock of the one process whose own engine executes runs."""


def is_postgresql(url: str) -> bool:
    """Whether *url* is one of PostgreSQL."""
    return url.partition("://")[0] in SCHEMES


class PostgresqlConnections:
    """Writes in some threads, each in a READ COMMITTED transaction; reads in others, each of one moment."""

    def __init__(self, url: str) -> None:
        self.full = False
        self._writing = postgresql_engine(url, WRITING, "READ COMMITTED")
        self._read_only = postgresql_engine(url, READ_ONLY, "REPEATABLE READ")
        self._writers = ThreadPoolExecutor(THREADS, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="store-reader")
        self._checker = ThreadPoolExecutor(1, thread_name_prefix="store-checker")
        try:
            with told(url), self._read_only.connect() as connection:
                check_schema(connection)
        except BaseException:
            self._release()
            raise

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The result of *work* in one write transaction, whole or not at all."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._writers, self._written, work)
        except StoreFull:
            self.full = True
            raise
        self.full = False
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """The result of *work* in one read transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _transacted, self._read_only, work)

    async def check(self) -> None:
        """Return if the database answers and has a schema that this release works with; StoreAway otherwise."""
        await asyncio.get_running_loop().run_in_executor(self._checker, _transacted, self._read_only, _known)

    def _written(self, work: Callable[[Connection], T]) -> T:
        for _ in range(TRIES - 1):
            with contextlib.suppress(_InTheWay):
                return _transacted(self._writing, work)
        return _transacted(self._writing, work)

    async def close(self) -> None:
        """Finish what is being written, and let go."""
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        for pool in (self._writers, self._readers, self._checker):
            pool.shutdown()
        self._writing.dispose()
        self._read_only.dispose()


class _InTheWay(StoreAway):
    """Another transaction was in the way: the same one may succeed when tried again."""


def _transacted(engine: Engine, work: Callable[[Connection], T]) -> T:
    try:
        with engine.connect() as connection:
            result = work(connection)
            connection.commit()
            return result
    except exc.DBAPIError as error:
        if _state(error).startswith(UNKNOWN):
            with engine.connect() as connection:
                _known(connection)
        raise _kind(error)(f"the store failed: {error.orig}") from error


def _known(connection: Connection) -> None:
    """StoreAway if the schema is one that this release does not work with: for this process there is no store.

    Another release's processes go on with what it leaves.
    """
    try:
        check_schema(connection)
    except StoreFailed as error:
        raise StoreAway(error.message, reason="SCHEMA_UNKNOWN") from None


def _state(error: BaseException | None) -> str:
    """What the database calls *error*, if it does."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _kind(error: exc.DBAPIError) -> type[StoreFailed]:
    state = _state(error)
    if state == DISK_FULL:
        return StoreFull
    if state in IN_THE_WAY:
        return _InTheWay
    # Without a state no server has answered.
    away = state.startswith(GONE) or (not state and isinstance(error, exc.OperationalError))
    return StoreAway if away or error.connection_invalidated else StoreFailed


def migrate_postgresql(url: str) -> tuple[str | None, str]:
    """Bring the schema at *url* up to date; what it was and what it is.

    It needs a role that owns the tables and may create some, and each table to itself for a moment: servers and workers
    may go on meanwhile, and what could not be had in 5 seconds fails it, with nothing changed.
    """
    engine = postgresql_engine(url, "", "READ COMMITTED")
    try:
        with told(url):
            return migrate_shared(engine)
    except StoreFailed as error:
        needs = NEEDS.get(_state(error.__cause__))
        if needs is None:
            raise
        raise StoreFailed(f"{error.message.strip()}; {needs}") from error
    finally:
        engine.dispose()


@contextlib.contextmanager
def executing(url: str) -> Iterator[None]:
    """Be the one process whose own engine executes the runs of this store; StoreHeld if there is one."""
    engine = postgresql_engine(url, "", "AUTOCOMMIT")
    try:
        with told(url), engine.connect() as connection:
            if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({EXECUTING})").scalar():
                raise StoreHeld(
                    "another server executes the runs of this store; end it, or use it with --server HOST:PORT"
                )
            yield
    finally:
        engine.dispose()


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """What the database says against it, as StoreFailed."""
    try:
        yield
    except exc.DBAPIError as error:
        named = make_url(url).render_as_string(hide_password=True)
        raise StoreFailed(f"store {named!r} cannot be opened: {error.orig}") from error


def postgresql_engine(url: str, options: str, isolation: str) -> Engine:
    """Connections to the database at *url*, with these *options* and in this *isolation*."""
    try:
        import psycopg  # noqa: F401, PLC0415  # an extra
    except ImportError:
        raise StoreFailed("a store on PostgreSQL needs the extra [postgresql]") from None
    parsed: URL = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(
        parsed,
        isolation_level=isolation,
        pool_size=THREADS,
        # One for whoever asks whether it is there while all are busy.
        max_overflow=1,
        pool_pre_ping=True,
        connect_args={"options": options, "application_name": "judge", "connect_timeout": 10},
    )
