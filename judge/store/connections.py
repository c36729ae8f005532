"""Connections: one writer thread with BEGIN IMMEDIATE, readers on their own threads, and the migration at the door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import StaticPool

from judge.domain.errors import StoreFailed

T = TypeVar("T")
MEMORY = "sqlite://"
READERS = 2
JOURNAL_BYTES = 64 * 1024 * 1024


def migrated(engine: Engine) -> None:
    """Bring the schema up to date in one transaction: killed at any statement, it leaves the old one."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


class Connections:
    """Runs functions of a connection: writes one after another, each in a transaction; reads beside them."""

    def __init__(self, url: str) -> None:
        memory = url == MEMORY
        if not memory:
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"poolclass": StaticPool} if memory else {}
        self._engine = create_engine(
            url, connect_args={"check_same_thread": False, "timeout": 30}, isolation_level="AUTOCOMMIT", **options
        )
        event.listen(self._engine, "connect", _pragmas)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = self._writer if memory else ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._writer.submit(migrated, self._engine).result()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The result of *work* in one write transaction, whole or not at all."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._transact, work, "BEGIN IMMEDIATE")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """The result of *work* in one read transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._transact, work, "BEGIN")

    def _transact(self, work: Callable[[Connection], T], begin: str) -> T:
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql(begin)
                try:
                    result = work(connection)
                    connection.exec_driver_sql("COMMIT")
                except BaseException:
                    connection.exec_driver_sql("ROLLBACK")
                    raise
                return result
        except (exc.OperationalError, exc.InternalError) as error:
            raise StoreFailed(f"the store failed: {error.orig}") from error

    async def close(self) -> None:
        """Finish what is being written, and let go."""
        for pool in {self._writer, self._readers}:
            await asyncio.to_thread(pool.shutdown)
        self._engine.dispose()


def _pragmas(connection: Any, _: object) -> None:  # noqa: ANN401  # the driver's own type
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"journal_size_limit={JOURNAL_BYTES}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
