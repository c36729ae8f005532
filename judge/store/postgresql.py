"""PostgreSQL: several processes write at once in short transactions, and repeat those that conflict.

A paused client must not block everybody. So PostgreSQL ends write transactions that are idle for two seconds, waits at
most five seconds for a lock, and lets a write take at most ten. Before version 17, which can limit a transaction, each
statement of a write may take that long. Only `judge migrate` migrates the schema.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url

from judge.domain.errors import UNSTORABLE, InvalidInput, StoreAway, StoreFailed, StoreFull, StoreHeld
from judge.store.migrate import check_schema, migrate_shared

T = TypeVar("T")
SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
THREADS = 4
"""The number of threads that write, and of those that read. Each has its own connection."""
TRIES = 5
OLDEST = 14
"""The oldest version that works. The tests run on 15 to 18."""
LIMITS_TRANSACTIONS = 170000
"""The first version that can limit how long a transaction takes, as its server_version."""
WRITING = "-c idle_in_transaction_session_timeout=2s -c lock_timeout=5s"
WRITE_SECONDS = 10
READ_ONLY = "-c idle_in_transaction_session_timeout=30s -c lock_timeout=5s -c default_transaction_read_only=on"
READ_SECONDS = 120
DISK_FULL = "53100"
GONE = ("08", "57P", "25P04")
"""The server is stopping or starting, the connection is lost, or the transaction was open for too long."""
WRONG_VALUE = ("22", "54")
"""A value is none of its column's type, such as a text with NUL, or too large for an index."""
UNKNOWN = ("42703", "42P01")
"""A column or a table does not exist: somebody may have migrated the store while this process was running."""
CONFLICTS = ("40001", "40P01", "55P03", "23505", "25P03")
"""A serialization failure, a deadlock, a lock timeout, a unique key that another transaction inserted first, or a pause
of this process, which a busy machine may make, until the database ended its idle transaction."""
NEEDS = {
    "42501": "judge migrate needs a role that owns the store's tables and may create tables in their schema",
    "55P03": "judge migrate could not lock a table within 5 seconds; nothing was changed, try again",
}
"""What a migration needs, by the error code of the database."""
EXECUTING = 0x6A756467
"""The number of the advisory lock of the only process whose own engine executes runs."""


def is_postgresql(url: str) -> bool:
    """Whether *url* is the URL of a PostgreSQL database."""
    return url.partition("://")[0] in SCHEMES


class PostgresqlConnections:
    """Runs writes in some threads, as READ COMMITTED transactions, and reads in others, which see one moment each."""

    def __init__(self, url: str) -> None:
        self.full = False
        self._writing = postgresql_engine(url, WRITING, "READ COMMITTED", seconds=WRITE_SECONDS)
        self._read_only = postgresql_engine(url, READ_ONLY, "REPEATABLE READ", seconds=READ_SECONDS)
        self._writers = ThreadPoolExecutor(THREADS, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="store-reader")
        self._checker = ThreadPoolExecutor(1, thread_name_prefix="store-checker")
        try:
            with opening(url), self._read_only.connect() as connection:
                check_version(connection)
                check_schema(connection)
        except BaseException:
            self._release()
            raise

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one write transaction and return its result. If it fails, nothing is written."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._writers, self._write_with_retries, work)
        except StoreFull:
            self.full = True
            raise
        self.full = False
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one read transaction and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _transact, self._read_only, work)

    async def check(self) -> None:
        """Return if the database answers and this release works with its schema. Raises StoreAway otherwise."""
        await asyncio.get_running_loop().run_in_executor(self._checker, _transact, self._read_only, _check_schema)

    def _write_with_retries(self, work: Callable[[Connection], T]) -> T:
        for _ in range(TRIES - 1):
            with contextlib.suppress(_Conflict):
                return _transact(self._writing, work)
        return _transact(self._writing, work)

    async def close(self) -> None:
        """Finish writes in progress and close all connections."""
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        for pool in (self._writers, self._readers, self._checker):
            pool.shutdown()
        self._writing.dispose()
        self._read_only.dispose()


class _Conflict(StoreAway):
    """Another transaction got in the way. The same work may succeed when it is tried again."""


def _transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    try:
        with engine.connect() as connection:
            result = work(connection)
            connection.commit()
            return result
    except exc.DBAPIError as error:
        if _state(error).startswith(UNKNOWN):
            with engine.connect() as connection:
                _check_schema(connection)
        if isinstance(error, exc.DataError) or _state(error).startswith(WRONG_VALUE):
            raise InvalidInput("request", f"the store cannot keep a value: {error.orig}", reason=UNSTORABLE) from error
        raise _kind(error)(f"the store failed: {error.orig}") from error


def check_version(connection: Connection) -> None:
    """Raise StoreFailed if the database is older than this release works with."""
    version = int(connection.exec_driver_sql("SHOW server_version_num").scalar() or 0) // 10_000
    if version < OLDEST:
        raise StoreFailed(
            f"the database is PostgreSQL {version}, but judge needs version {OLDEST} or later: upgrade it"
        )


def _check_schema(connection: Connection) -> None:
    """Raise StoreAway if this release does not work with the schema. Processes of another release may still work."""
    try:
        check_schema(connection)
    except StoreFailed as error:
        raise StoreAway(error.message, reason="SCHEMA_UNKNOWN") from None


def _state(error: BaseException | None) -> str:
    """Return the error code that the database gives *error*, or "" if there is none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _kind(error: exc.DBAPIError) -> type[StoreFailed]:
    state = _state(error)
    if state == DISK_FULL:
        return StoreFull
    if state in CONFLICTS:
        return _Conflict
    # If there is no error code, no server has answered.
    away = state.startswith(GONE) or (not state and isinstance(error, exc.OperationalError))
    return StoreAway if away or error.connection_invalidated else StoreFailed


def migrate_postgresql(url: str) -> tuple[str | None, str]:
    """Migrate the database at *url* to the newest schema. Return the revisions before and after.

    The database must be version 14 or later. The role must own the tables and be allowed to create tables. Servers and
    workers may keep running. If the migration cannot lock a table within 5 seconds, it fails and changes nothing.
    """
    engine = postgresql_engine(url, "", "READ COMMITTED")
    try:
        with opening(url):
            with engine.connect() as connection:
                check_version(connection)
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
    """Be the only process whose own engine executes the runs of this store. Raises StoreHeld if there is another."""
    engine = postgresql_engine(url, "", "AUTOCOMMIT")
    try:
        with opening(url), engine.connect() as connection:
            if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({EXECUTING})").scalar():
                raise StoreHeld(
                    "another server executes the runs of this store; stop it, or use it with --server HOST:PORT"
                )
            yield
    finally:
        engine.dispose()


@contextlib.contextmanager
def opening(url: str) -> Iterator[None]:
    """Raise StoreFailed, with the URL without its password, if the database refuses."""
    try:
        yield
    except exc.DBAPIError as error:
        raise StoreFailed(f"store {url_without_password(url)!r} cannot be opened: {error.orig}") from error


def url_without_password(url: str) -> str:
    """Return *url* with its password hidden."""
    return make_url(url).render_as_string(hide_password=True)


def postgresql_engine(url: str, options: str, isolation: str, *, seconds: int = 0) -> Engine:
    """Return an engine for the database at *url*, with these connection *options* and this *isolation* level.

    A transaction may take *seconds*; 0 means any time.
    """
    try:
        import psycopg  # noqa: F401, PLC0415  # an extra
    except ImportError:
        raise StoreFailed("a store on PostgreSQL needs the extra [postgresql]: psycopg is not installed") from None
    parsed: URL = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(
        parsed,
        isolation_level=isolation,
        pool_size=THREADS,
        # One more for `check` while all are busy.
        max_overflow=1,
        pool_pre_ping=True,
        connect_args={"options": options, "application_name": "judge", "connect_timeout": 10},
    )
    if seconds:
        event.listen(engine, "connect", partial(_limit_time, seconds))
    return engine


def _limit_time(seconds: int, connection: Any, _: object) -> None:  # noqa: ANN401  # the driver's own type
    """Limit how long a transaction of a new *connection* may take or, before version 17, each of its statements."""
    limited = "transaction" if connection.info.server_version >= LIMITS_TRANSACTIONS else "statement"
    connection.autocommit = True
    connection.execute(f"SET {limited}_timeout = '{seconds}s'")
    connection.autocommit = False
