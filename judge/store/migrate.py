"""Migrations, and the schemas that a release works with.

A migration is a single transaction on either database, so if it is killed at any statement, the old schema remains. A
file is migrated when it is opened, after a copy was made. A PostgreSQL database is migrated only by `judge migrate`,
one process at a time, never by a server.

A schema changes in two steps, one release apart. The first step expands it with new tables and optional columns, and
earlier releases continue to work. The second step contracts it, when no such release is in use any more. So each script
states in *works_with* the oldest revision whose release can still read and write the new schema (by default the
script's own). The newest script's *works_with* is stored in alembic_version next to the revision. A release works with
the newest revision it knows, and with a later one whose *works_with* it knows. With any other it does not start.

A new store gets all its tables at once. They are the same as those that the scripts make, in a quarter of the time.
"""

from __future__ import annotations

import ast
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select, text, update

from judge.domain.errors import StoreFailed
from judge.store.schema import metadata

SCRIPTS = Path(__file__).parent / "migrations"
SHARED = 0x6A756468
"""The number of the advisory lock that the migrating process takes."""
LOCK_SECONDS = 5
"""How long a migration waits for a table. Whoever needs that table meanwhile waits behind it."""
VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
    Column("works_with", String(32)),
)


@dataclass(frozen=True, slots=True)
class _Known:
    """The revisions that a release knows, the *newest* of them, and the oldest one that the newest *works_with*."""

    newest: str
    revisions: frozenset[str]
    works_with: str


def migrate(engine: Engine, scripts: Path = SCRIPTS) -> None:
    """Migrate a file to the newest schema. A file with an older schema is first copied to NAME.before-REVISION."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        before, now = _upgrade(connection, scripts, copy=True)
        if before != now:
            connection.commit()


def migrate_shared(engine: Engine, scripts: Path = SCRIPTS) -> tuple[str | None, str]:
    """Migrate a PostgreSQL database to the newest schema. Return the revisions before and after."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SHARED})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        revisions = _upgrade(connection, scripts, copy=False)
        connection.commit()
        return revisions


def check_schema(connection: Connection, scripts: Path = SCRIPTS, *, exactly: bool = False) -> None:
    """Raise StoreFailed unless this release works with the schema. If *exactly*, it must be the newest it knows."""
    known, present = _known(scripts), _present(connection)
    if present == known.newest:
        return
    if present in known.revisions or present is None:
        schema = f"schema {present}" if present else "no schema"
        raise StoreFailed(f"the store has {schema}, but this release needs {known.newest}: run `judge migrate`")
    _check_newer(connection, known, present)
    if exactly:
        raise StoreFailed(f"the store has schema {present}, not {known.newest}: use the release that made it")


def _check_newer(connection: Connection, known: _Known, present: str) -> None:
    """Raise StoreFailed unless the unknown revision *present* works with this release."""
    oldest = _works_with(connection)
    if oldest not in known.revisions:
        raise StoreFailed(
            f"the store has schema {present} of a newer release, which needs a release with schema {oldest} or later;"
            f" this release has {known.newest}: use a newer release"
        )


@lru_cache(maxsize=1)
def _known(scripts: Path) -> _Known:
    """Read the revisions from the text of the scripts, because loading alembic takes a quarter of a second."""
    constants = [_constants(path) for path in (scripts / "versions").glob("*.py")]
    followed = {script.get("down_revision") for script in constants}
    revisions = frozenset(script["revision"] for script in constants)
    [newest] = [script for script in constants if script["revision"] not in followed]
    return _Known(newest["revision"], revisions, newest.get("works_with", newest["revision"]))


def _constants(script: Path) -> dict[str, str]:
    """Return the string constants that a script assigns at its top level."""
    constants = {}
    for line in ast.parse(script.read_text("utf-8")).body:
        match line:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Constant(str(value))):
                constants[name] = value
    return constants


def _present(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION.name):
        return None
    return connection.scalar(select(VERSION.c.version_num))


def _works_with(connection: Connection) -> str | None:
    """Return the oldest revision whose release works with the schema, as its newest script stored it."""
    if not _says_works_with(connection):
        return None
    return connection.scalar(select(VERSION.c.works_with))


def _says_works_with(connection: Connection) -> bool:
    return any(column["name"] == "works_with" for column in inspect(connection).get_columns(VERSION.name))


def _upgrade(connection: Connection, scripts: Path, *, copy: bool) -> tuple[str | None, str]:
    """Upgrade in the open transaction. Return the revisions before and after."""
    known, present = _known(scripts), _present(connection)
    if present == known.newest:
        return present, present
    if present is not None and present not in known.revisions:
        _check_newer(connection, known, present)
        return present, present
    if present is None and scripts == SCRIPTS and not inspect(connection).get_table_names():
        metadata.create_all(connection, checkfirst=False)
        VERSION.create(connection)
        connection.execute(VERSION.insert().values(version_num=known.newest, works_with=known.works_with))
        return None, known.newest
    if present is not None and copy:
        _copy(connection, f".before-{known.newest}")
    _run(connection, scripts)
    if not _says_works_with(connection):
        connection.execute(text("ALTER TABLE alembic_version ADD COLUMN works_with VARCHAR(32)"))
    connection.execute(update(VERSION).values(works_with=known.works_with))
    return present, known.newest


def _run(connection: Connection, scripts: Path) -> None:
    """Run the scripts that are newer than the schema."""
    from alembic import command  # noqa: PLC0415  # slow to load, and only older stores need it
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _copy(connection: Connection, suffix: str) -> None:
    """Copy the file as it was before this transaction, with a connection of its own."""
    file = connection.engine.url.database
    if not file or file == ":memory:":
        return
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(file + suffix)) as target:
        source.backup(target)
