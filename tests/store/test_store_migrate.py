"""Migrations of files, which happen when a file is opened."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from judge.domain.errors import StoreFailed
from judge.ports.records import VerdictQuery
from judge.store.migrate import SCRIPTS, _known, migrate
from judge.store.schema import metadata
from judge.store.sql_store import SqlStore
from support.scene import Scene
from support.schemas import kill_migration

if TYPE_CHECKING:
    from support.clocks import StillClock

TENANT = "default"
SECOND = '''
"""A later schema."""
import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("dataset", sa.Column("note", sa.String()))
    op.create_table("extra", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO extra VALUES (1)")
'''


def tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Return the migrations of a later release."""
    scripts = tmp_path / "later" / "migrations"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "0011_later.py").write_text(SECOND)
    return scripts


def test_the_migrations_make_the_schema_that_the_code_uses(tmp_path: Path) -> None:
    """The migrations make the tables, columns and indexes of the code's metadata."""
    engine = create_engine(f"sqlite:///{tmp_path / 'judge.db'}", isolation_level="AUTOCOMMIT", poolclass=NullPool)
    migrate(engine)

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)

    assert differences == []


def test_a_migration_killed_at_any_statement_leaves_the_old_schema(tmp_path: Path, newer: Path) -> None:
    """Wherever a migration is killed, the file has the old schema, and the next attempt succeeds."""
    file = tmp_path / "judge.db"
    kill_migration(f"sqlite:///{file}", SCRIPTS, 1000)
    old = tables(file)

    killed = 0
    while kill_migration(f"sqlite:///{file}", newer, killed):
        assert tables(file) == old
        killed += 1

    assert killed > 5
    assert len(tables(file)) == len(old) + 1


def test_a_first_schema_killed_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A new file is empty or has the whole schema."""
    file = tmp_path / "judge.db"
    for statement in (2, 5, 20, 30):
        assert kill_migration(f"sqlite:///{file}", SCRIPTS, statement)
        assert tables(file) == set()


def test_a_file_is_copied_before_it_is_migrated(tmp_path: Path, newer: Path) -> None:
    """The old file is copied next to the migrated one. New files and files with the present schema are not copied."""
    file = tmp_path / "judge.db"
    kill_migration(f"sqlite:///{file}", SCRIPTS, 1000)
    kill_migration(f"sqlite:///{file}", SCRIPTS, 1000)
    old = tables(file)
    assert [path.name for path in tmp_path.glob("judge.db.before*")] == []

    kill_migration(f"sqlite:///{file}", newer, 1000)

    assert tables(tmp_path / "judge.db.before-0011") == old


async def test_a_file_of_a_newer_release_is_refused(tmp_path: Path, newer: Path, clock: StillClock) -> None:
    """An older release does not open a schema that it does not know."""
    file = tmp_path / "judge.db"
    kill_migration(f"sqlite:///{file}", newer, 1000)

    with pytest.raises(StoreFailed, match="newer release"):
        SqlStore.open(f"sqlite:///{file}", clock=clock)


async def test_a_url_that_is_not_a_store_is_refused(tmp_path: Path, clock: StillClock) -> None:
    """A file that is not a database and URLs of other kinds raise StoreFailed."""
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 20)

    for url in (f"sqlite:///{tmp_path / 'text.db'}", "redis://localhost", f"sqlite:///{tmp_path / 'text.db' / 'x'}"):
        with pytest.raises(StoreFailed):
            SqlStore.open(url, clock=clock)


async def test_reopening_a_file_keeps_everything(tmp_path: Path, file_url: str, clock: StillClock) -> None:
    """The next process reads what was committed, in a folder with any name."""
    url = file_url.replace("judge.db", "100% new/judge.db")
    store = SqlStore.open(url, clock=clock)
    scene = await Scene(store, clock).fill()
    run = await scene.run()
    await scene.answer(await scene.keys(3), run)
    before = await store.run(TENANT, "run-1")
    seen = await store.verdicts(run.row, VerdictQuery(), after=-1, limit=9)
    await store.close()

    again = SqlStore.open(url, clock=clock)

    assert await again.run(TENANT, "run-1") == before
    assert await again.verdicts(run.row, VerdictQuery(), after=-1, limit=9) == seen
    assert (await again.dataset(TENANT, "d")).outputs == 9
    await again.close()
    assert [path.name for path in (tmp_path / "100% new").iterdir()] == ["judge.db"]


async def test_a_write_that_fails_leaves_nothing(scene: Scene) -> None:
    """An error in the middle of a transaction undoes it, and the store keeps working."""

    def work(c: Connection) -> None:
        c.exec_driver_sql("DELETE FROM dataset")
        c.exec_driver_sql("SELECT * FROM nowhere")

    with pytest.raises(StoreFailed, match="nowhere"):
        await scene.store._db.write(work)

    assert (await scene.store.dataset(TENANT, "d")).revision == scene.revision


def test_revisions_are_read_as_alembic_reads_them() -> None:
    """Without alembic, the scripts' text gives the same revisions, the same newest one and the same works_with."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)

    known = _known(SCRIPTS)

    assert scripts.get_heads() == [known.newest]
    assert {script.revision for script in scripts.walk_revisions()} == known.revisions
    assert scripts.get_revision("head").module.works_with == known.works_with
