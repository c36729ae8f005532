"""Migrations, and the schemas that a release works with.

Killed at any statement, a migration leaves the old schema: all of it is a single transaction on either database. A
file is brought up to date when it is opened, after a copy was made. A PostgreSQL is by `judge migrate`, one process at
a time; a server never does.

A schema changes in two steps, a release apart. The first expands it: new tables, new columns that may be left out. The
releases of before go on with it. The second contracts it, when no such release is in use any more. So each script says
in *works_with* the oldest revision whose release still reads and writes what it leaves (itself, if it says nothing),
and the newest script's word is stored in alembic_version beside the revision. A release works with the newest revision
it knows, and with a later one whose *works_with* it knows; with no other it starts.

A store that is new gets its tables at once: the same ones, in a quarter of the time.
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
"""The number of the advisory lock of the process that migrates."""
LOCK_SECONDS = 5
"""So long a migration waits for a table: whoever wants that table meanwhile waits behind it."""
VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
    Column("works_with", String(32)),
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a release knows: its *newest* revision, all *revisions*, and what the newest *works_with*."""

    newest: str
    revisions: frozenset[str]
    works_with: str


def migrate(engine: Engine, scripts: Path = SCRIPTS) -> None:
    """Bring a file's schema up to date; one that had an older one is kept beside it as NAME.before-REVISION."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        before, now = _upgraded(connection, scripts, copy=True)
        if before != now:
            connection.commit()


def migrate_shared(engine: Engine, scripts: Path = SCRIPTS) -> tuple[str | None, str]:
    """Bring the schema of a PostgreSQL up to date; what it was and what it is."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SHARED})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        told = _upgraded(connection, scripts, copy=False)
        connection.commit()
        return told


def check_schema(connection: Connection, scripts: Path = SCRIPTS, *, exactly: bool = False) -> None:
    """StoreFailed unless this release works with the schema; if *exactly*, unless it is the newest it knows."""
    known, present = _known(scripts), _present(connection)
    if present == known.newest:
        return
    if present in known.revisions or present is None:
        has = f"schema {present}" if present else "no schema"
        raise StoreFailed(f"the store has {has}, and this release works with {known.newest}: run `judge migrate`")
    _check_newer(connection, known, present)
    if exactly:
        raise StoreFailed(f"the store has schema {present}, and this needs the release that made it")


def _check_newer(connection: Connection, known: _Known, present: str) -> None:
    """StoreFailed unless the revision *present*, which is none that is known, works with this release."""
    oldest = _works_with(connection)
    if oldest not in known.revisions:
        raise StoreFailed(
            f"the store has schema {present}, which a newer release made and which works with releases from schema"
            f" {oldest} on; this release has {known.newest}: use a newer one"
        )


@lru_cache(maxsize=1)
def _known(scripts: Path) -> _Known:
    """Read from the scripts' text: alembic takes a quarter of a second to load, and few stores need it."""
    said = [_constants(path) for path in (scripts / "versions").glob("*.py")]
    revisions = frozenset(one["revision"] for one in said)
    [newest] = [one for one in said if one["revision"] not in {other.get("down_revision") for other in said}]
    return _Known(newest["revision"], revisions, newest.get("works_with", newest["revision"]))


def _constants(script: Path) -> dict[str, str]:
    """The texts that a script gives names to at its top level, each on a line of its own."""
    found = {}
    for line in ast.parse(script.read_text("utf-8")).body:
        match line:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Constant(str(value))):
                found[name] = value
    return found


def _present(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION.name):
        return None
    return connection.scalar(select(VERSION.c.version_num))


def _works_with(connection: Connection) -> str | None:
    """The oldest revision whose release works with the schema, as its newest script said."""
    if not _says_works_with(connection):
        return None
    return connection.scalar(select(VERSION.c.works_with))


def _says_works_with(connection: Connection) -> bool:
    return any(column["name"] == "works_with" for column in inspect(connection).get_columns(VERSION.name))


def _upgraded(connection: Connection, scripts: Path, *, copy: bool) -> tuple[str | None, str]:
    """Upgrade in the transaction that is open; the revision before and after."""
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
    """Run the scripts that the schema has not seen."""
    from alembic import command  # noqa: PLC0415  # slow to load, and only a store of before needs it
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _copy(connection: Connection, suffix: str) -> None:
    """Copy the file as it was before this transaction, by a connection of its own."""
    file = connection.engine.url.database
    if not file or file == ":memory:":
        return
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(file + suffix)) as target:
        source.backup(target)
