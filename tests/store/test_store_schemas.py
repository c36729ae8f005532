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
    from conftest import Scene
    from support.clocks import StillClock
    from support.postgres import Postgres

TENANT = "default"
LAST = REVISIONS[-1]
CHANGED = {("0003", "call_attempt")}
"""What a migration has to change in rows that are there: by its revision, the table."""
RENAMED = {"epoch": "cache_tag", "rest": "never_started", "reading": "parsed_verdict"}
"""The tables and columns that have another name since schema 0004."""


@pytest.fixture(params=["file", "shared"])
def url(request: pytest.FixtureRequest) -> str:
    """A database without a schema, of each kind."""
    if request.param == "file":
        return str(request.getfixturevalue("file_url"))
    return str(request.getfixturevalue("bare_url"))


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_of_every_earlier_schema_come_to_the_present_one(url: str, tmp_path: Path, revision: str) -> None:
    """From each revision on the schema becomes the one that the code uses, and rows stay what they were."""
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
    """Tables made at once are those made step by step, to the last column, default, index and counter."""
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
    """Wherever a migration ends, the schema is the old one or the new one, and the next try succeeds."""
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
    """A new database is empty or whole, whether its tables are made at once or step by step."""
    for scripts in (SCRIPTS, scripts_until(tmp_path / "copy", LAST)):
        for statement in (5, 20, 40):
            assert kill_migration(url, scripts, statement)
            with engine_of(url).connect() as connection:
                assert tables_of(connection) == []


def test_of_two_processes_that_migrate_one_finds_it_done(bare_url: str) -> None:
    """The second waits until the first is through, and has nothing to do."""
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
        one = threads.submit(migrate_shared, first)
        assert half_way.wait(60)
        other = threads.submit(migrate_shared, second)

        assert [(None, LAST), (LAST, LAST)] == [one.result(60), other.result(60)]


async def test_an_old_replica_works_beside_a_new_one_until_the_schema_contracts(
    url: str, tmp_path: Path, clock: StillClock, scene_of: type[Scene]
) -> None:
    """On an expanded schema the release of before reads and commits; on a contracted one it says what it lacks."""
    migrate_url(url)
    old = SqlStore.open(url, clock=clock)
    scene = await scene_of(old, clock).fill()
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
    said = (
        "the store has schema 9002, which a newer release made and which works with releases from schema 9001 on;"
        f" this release has {LAST}: use a newer one"
    )
    with pytest.raises(StoreFailed) as refused:
        SqlStore.open(url, clock=clock)
    with pytest.raises(StoreFailed) as at_work:
        await old.create_dataset(TENANT, "last")
    await old.close()
    assert said == refused.value.message
    assert url.startswith("sqlite") or said == at_work.value.message


async def test_an_older_schema_is_refused_by_a_server(bare_url: str, tmp_path: Path, clock: StillClock) -> None:
    """A database without a schema, or with an old one, is not touched, and it is said what to do."""
    for scripts, has in ((None, "no schema"), (scripts_until(tmp_path / "old", "0002"), "schema 0002")):
        if scripts is not None:
            migrate_url(bare_url, scripts)
        with pytest.raises(StoreFailed) as refused:
            SqlStore.open(bare_url, clock=clock)
        assert f"the store has {has}, and this release works with {LAST}: run `judge migrate`" == refused.value.message


def test_migrating_says_what_it_needs(bare_url: str) -> None:
    """A role that may not create tables, and a table that somebody holds, are told in a sentence."""
    with engine_of(bare_url).connect() as connection:
        connection.exec_driver_sql("CREATE ROLE modest LOGIN")
        connection.commit()
    modest = bare_url.replace("postgres:", "modest:", 1).replace("postgres@", "modest@", 1)

    with pytest.raises(StoreFailed, match="needs a role that owns the store's tables"):
        migrate_postgresql(modest)

    with engine_of(bare_url).connect() as connection:
        connection.exec_driver_sql("DROP ROLE modest")
        connection.commit()


def test_no_migration_takes_back_what_one_before_it_gave_up() -> None:
    """What the newest script says it works with holds for all before it: it never falls, and is a revision."""
    config_free = ScriptDirectory(str(SCRIPTS))
    said = [one.module.works_with for one in reversed(list(config_free.walk_revisions()))]

    assert sorted(said) == said
    assert set(said) <= set(REVISIONS)
    assert all(works_with <= revision for works_with, revision in zip(said, REVISIONS, strict=True))
