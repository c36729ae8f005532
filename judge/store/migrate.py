"""Migrations. Killed at any statement, one leaves the old schema: it is a single transaction on either database.

A file is brought up to date when it is opened, after a copy was made. A PostgreSQL is by `judge migrate`, one process
at a time; a server that finds another schema than the one it knows says so and does not start.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from judge.domain.errors import StoreFailed

SCRIPTS = Path(__file__).parent / "migrations"


SHARED = 0x6A756468
"""The number of the advisory lock of the process that migrates."""


def migrate(engine: Engine, scripts: Path = SCRIPTS) -> None:
    """Bring a file's schema up to date; one that had an older one is kept beside it as NAME.before-REVISION."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        before, newest = _upgraded(connection, scripts, copy=True)
        if before != newest:
            connection.commit()


def migrate_shared(engine: Engine, scripts: Path = SCRIPTS) -> tuple[str | None, str]:
    """Bring the schema of a PostgreSQL up to date; what it was and what it is."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SHARED})")
        told = _upgraded(connection, scripts, copy=False)
        connection.commit()
        return told


def check_schema(connection: Connection, scripts: Path = SCRIPTS) -> None:
    """StoreFailed unless the schema is the one that this release knows."""
    present = MigrationContext.configure(connection).get_current_revision()
    newest = _scripts(scripts)[1].get_current_head()
    if present != newest:
        has = f"schema {present}" if present else "no schema"
        raise StoreFailed(f"the store has {has}, and this release works with {newest}: run `judge migrate`")


def _scripts(scripts: Path) -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config, ScriptDirectory.from_config(config)


def _upgraded(connection: Connection, scripts: Path, *, copy: bool) -> tuple[str | None, str]:
    """Upgrade in the transaction that is open; the revision before and after."""
    config, script = _scripts(scripts)
    newest = script.get_current_head() or ""
    present = MigrationContext.configure(connection).get_current_revision()
    if present == newest:
        return present, newest
    if present is not None:
        if present not in {revision.revision for revision in script.walk_revisions()}:
            raise StoreFailed(f"the store has schema {present}, which a newer release made; use that release")
        if copy:
            _copy(connection, f".before-{newest}")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return present, newest


def _copy(connection: Connection, suffix: str) -> None:
    """Copy the file as it was before this transaction, by a connection of its own."""
    file = connection.engine.url.database
    if not file or file == ":memory:":
        return
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(file + suffix)) as target:
        source.backup(target)
