"""Schemas of earlier and later releases, on either database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from judge.domain.errors import StoreFailed
from judge.store.migrate import SCRIPTS, migrate_shared
from judge.store.postgresql import migrate_postgresql
from judge.store.schema import metadata
from judge.store.sql_store import SqlStore
from support.scene import Scene
from support.schemas import (
    CONTRACTED,
    EXPANDED,
    REVISIONS,
    describe_schema,
    engine_of,
    fill,
    kill_migration,
    migrate_url,
    rename_columns,
    rows_of,
    scripts_until,
    tables_of,
)

if TYPE_CHECKING:
    from support.clocks import StillClock
    from support.postgres import Postgres

TENANT = "default"
LAST = REVISIONS[-1]
CHANGED = {("0003", "call_attempt")}
"""Tables whose rows a migration has to change, with the revision of that migration."""
RENAMED = {"epoch": "cache_tag", "rest": "never_started", "reading": "parsed_verdict"}
"""The tables and columns that schema 0004 renamed."""


@pytest.fixture(params=["file", "shared"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database without a schema, of each kind."""
    if request.param == "file":
        return str(request.getfixturevalue("file_url"))
    return str(request.getfixturevalue("bare_url"))


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_of_every_earlier_schema_are_migrated_to_the_present_one(url: str, tmp_path: Path, revision: str) -> None:
    """From each revision, the migrations lead to the schema that the code uses, and rows stay the same."""
    migrate_url(url, scripts_until(tmp_path / "old", revision))
    with engine_of(url).connect() as connection:
        fill(connection)
        connection.commit()
    with engine_of(url).connect() as connection:
        tables = tables_of(connection)
        before = rows_of(connection, tables)

    migrate_url(url)

    with engine_of(url).connect() as connection:
        after = rows_of(connection, [rename_columns(table, RENAMED) for table in tables])
        differing = compare_metadata(MigrationContext.configure(connection), metadata)
    changed = {name for at, name in CHANGED if at > revision}
    assert differing == []
    assert all(before.values())
    assert {RENAMED.get(name, name): rows for name, rows in before.items() if name not in changed} == {
        name: rows for name, rows in after.items() if name not in changed
    }


def test_a_new_store_has_the_schema_that_all_migrations_make(url: str, tmp_path: Path, server: Postgres) -> None:
    """Tables created at once equal those created step by step, in every column, default, index and counter."""
    migrate_url(url)

    with engine_of(url).connect() as connection:
        at_once = describe_schema(connection)
    if url.startswith("sqlite"):
        other = f"sqlite:///{tmp_path / 'steps.db'}"
        migrate_url(other, scripts_until(tmp_path / "copy", LAST))
        with engine_of(other).connect() as connection:
            assert at_once == describe_schema(connection)
    else:
        with server.fresh(template="template1") as other:
            migrate_url(other, scripts_until(tmp_path / "copy", LAST))
            with engine_of(other).connect() as connection:
                assert at_once == describe_schema(connection)
    assert set(metadata.tables) < set(at_once)


def test_a_migration_killed_at_any_statement_leaves_the_old_schema(url: str, tmp_path: Path) -> None:
    """Wherever a migration is killed, the schema is the old one, and the next attempt succeeds."""
    migrate_url(url)
    later = scripts_until(tmp_path / "later", LAST, EXPANDED)
    with engine_of(url).connect() as connection:
        old = describe_schema(connection)

    killed = 0
    while kill_migration(url, later, killed):
        with engine_of(url).connect() as connection:
            assert old == describe_schema(connection)
        killed += 1

    with engine_of(url).connect() as connection:
        assert set(old) | {"extra"} == set(describe_schema(connection))
    assert killed > 5


def test_a_first_schema_killed_half_way_leaves_no_table(url: str, tmp_path: Path) -> None:
    """A new database is empty or complete, whether its tables are created at once or step by step."""
    for scripts in (SCRIPTS, scripts_until(tmp_path / "copy", LAST)):
        for statement in (5, 20, 40):
            assert kill_migration(url, scripts, statement)
            with engine_of(url).connect() as connection:
                assert tables_of(connection) == []


def test_the_second_of_two_migrating_processes_has_nothing_to_do(bare_url: str) -> None:
    """The second process waits until the first has finished, and then changes nothing."""
    first, second = engine_of(bare_url), engine_of(bare_url)
    half_way, asked = threading.Event(), threading.Event()

    @event.listens_for(first, "before_cursor_execute")
    def _(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "CREATE TABLE answer" in statement:
            half_way.set()
            assert asked.wait(60)

    @event.listens_for(second, "before_cursor_execute")
    def _(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "pg_advisory_xact_lock" in statement:
            asked.set()

    with ThreadPoolExecutor(2) as threads:
        migration = threads.submit(migrate_shared, first)
        assert half_way.wait(60)
        waiting = threads.submit(migrate_shared, second)

        assert [(None, LAST), (LAST, LAST)] == [migration.result(60), waiting.result(60)]


async def test_an_old_replica_works_next_to_a_new_one_until_the_schema_contracts(
    url: str, tmp_path: Path, clock: StillClock
) -> None:
    """With an expanded schema, the earlier release reads and commits. With a contracted one, it names what it needs."""
    migrate_url(url)
    old = SqlStore.open(url, clock=clock)
    scene = await Scene(old, clock).fill()
    run = await scene.run()

    migrate_url(url, scripts_until(tmp_path / "expanded", LAST, EXPANDED))
    with engine_of(url).connect() as new:
        new.exec_driver_sql("UPDATE dataset SET note = 'by the new release'")
        new.exec_driver_sql("INSERT INTO extra VALUES (2)")
        new.commit()
    started = SqlStore.open(url, clock=clock)
    await scene.answer(await scene.keys(3), run)
    seen = await started.run(TENANT, "run-1")
    await started.create_dataset(TENANT, "later")
    await started.close()
    with engine_of(url).connect() as new:
        notes = new.exec_driver_sql("SELECT note FROM dataset ORDER BY id").scalars().all()
    assert (3, ["by the new release", None]) == (seen.counts.calls, notes)

    migrate_url(url, scripts_until(tmp_path / "contracted", LAST, EXPANDED, CONTRACTED))
    message = (
        "the store has schema 9002 of a newer release, which needs a release with schema 9001 or later;"
        f" this release has {LAST}: use a newer release"
    )
    with pytest.raises(StoreFailed) as refused:
        SqlStore.open(url, clock=clock)
    with pytest.raises(StoreFailed) as at_work:
        await old.create_dataset(TENANT, "last")
    await old.close()
    assert message == refused.value.message
    assert url.startswith("sqlite") or message == at_work.value.message


async def test_an_older_schema_is_refused_by_a_server(bare_url: str, tmp_path: Path, clock: StillClock) -> None:
    """A database without a schema, or with an old one, is not changed, and the error says what to do."""
    for scripts, schema in ((None, "no schema"), (scripts_until(tmp_path / "old", "0002"), "schema 0002")):
        if scripts is not None:
            migrate_url(bare_url, scripts)
        with pytest.raises(StoreFailed) as refused:
            SqlStore.open(bare_url, clock=clock)
        assert f"the store has {schema}, but this release needs {LAST}: run `judge migrate`" == refused.value.message


def test_migrating_says_what_it_needs(bare_url: str) -> None:
    """The error for a role that may not create tables says what the migration needs."""
    with engine_of(bare_url).connect() as connection:
        connection.exec_driver_sql("CREATE ROLE modest LOGIN")
        connection.commit()
    modest = bare_url.replace("postgres:", "modest:", 1).replace("postgres@", "modest@", 1)

    with pytest.raises(StoreFailed, match="needs a role that owns the store's tables"):
        migrate_postgresql(modest)

    with engine_of(bare_url).connect() as connection:
        connection.exec_driver_sql("DROP ROLE modest")
        connection.commit()


def test_works_with_never_falls_from_one_migration_to_the_next() -> None:
    """The newest script's works_with holds for all scripts before it, and each works_with is a revision."""
    scripts = ScriptDirectory(str(SCRIPTS))
    oldest = [script.module.works_with for script in reversed(list(scripts.walk_revisions()))]

    assert sorted(oldest) == oldest
    assert set(oldest) <= set(REVISIONS)
    assert all(works_with <= revision for works_with, revision in zip(oldest, REVISIONS, strict=True))
