"""Copies of stores: from files and PostgreSQL to files and PostgreSQL."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, Engine, Table, event, func, insert, inspect, select

from judge.domain.errors import InvalidInput, JudgeError, Precondition, StoreFailed
from judge.ports.records import BatchState, Fence, NewBatch, PermitRequest, VerdictQuery
from judge.store.clock import JUMP
from judge.store.copy import Copied, copy_store
from judge.store.schema import metadata
from judge.store.sql_store import SqlStore
from support.scene import Scene
from support.schemas import EXPANDED, REVISIONS, ProcessKilled, engine_of, fill, migrate_url, rows_of, scripts_until

if TYPE_CHECKING:
    from support.clocks import StillClock
    from support.postgres import Postgres

TENANT = "default"
TABLES = metadata.sorted_tables
_numbers = count(1)


class Places:
    """Creates new stores of either kind."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        self.folder, self.server = folder, server

    def new(self, kind: str) -> str:
        """Return the URL of an empty store with the present schema, or of a file that does not exist yet."""
        if kind == "file":
            return f"sqlite:///{self.folder / f'{next(_numbers)}.db'}"
        return self.server.create(f"copied_{next(_numbers)}")


@pytest.fixture
def places(tmp_path: Path, server: Postgres) -> Places:
    return Places(tmp_path, server)


DIRECTIONS = pytest.mark.parametrize(
    ("here", "there"), [("file", "shared"), ("shared", "file"), ("file", "file"), ("shared", "shared")]
)


def copy(source: str, target: str, clock: StillClock) -> list[Copied]:
    """Copy a store without telling anybody, and return what was copied."""
    return copy_store(source, target, clock, lambda _: None)


def fill_every_table(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Fill every table of a new store, one of them with more rows than are copied at once, and return the rows."""
    migrate_url(url)
    with engine_of(url).connect() as connection:
        fill(connection)
        texts = [{"tenant_id": 1, "hash": number.to_bytes(32, "big")} for number in range(300)]
        connection.execute(insert(metadata.tables["content"]).values(id=5000, tenant_id=1, hash=b"5000"))
        connection.execute(insert(metadata.tables["content"]), [{"id": 6000 + n, **row} for n, row in enumerate(texts)])
        connection.commit()
        return rows_of(connection, TABLES)


@DIRECTIONS
def test_every_table_arrives_as_it_was(places: Places, clock: StillClock, here: str, there: str) -> None:
    """All tables of the schema, and no others, are copied with their ids, row by row."""
    source, target = places.new(here), places.new(there)
    rows = fill_every_table(source)
    assert all(rows.values())

    copied: list[Copied] = []
    copy_store(source, target, clock, copied.append)

    with engine_of(target).connect() as connection:
        assert rows == rows_of(connection, TABLES)
        assert {*metadata.tables, "alembic_version"} == set(inspect(connection).get_table_names())
    assert {name: len(table_rows) for name, table_rows in rows.items()} == {table.table: table.rows for table in copied}


def insert_row(url: str, table: Table, content: bytes = b"new") -> int:
    """Insert a row into *table* and return its id."""
    with engine_of(url).connect() as connection:
        values = {"tenant_id": 9, "hash": content}
        key = connection.execute(insert(table).values(values)).inserted_primary_key
        connection.commit()
        assert key is not None
        return int(key[0])


@DIRECTIONS
def test_no_id_is_given_twice(places: Places, clock: StillClock, here: str, there: str) -> None:
    """The target's next id is above the highest that the source ever gave, even if that row was deleted."""
    source, target = places.new(here), places.new(there)
    migrate_url(source)
    content = metadata.tables["content"]
    given = insert_row(source, content)
    with engine_of(source).connect() as connection:
        connection.execute(insert(content).values(tenant_id=9, hash=b"other"))
        connection.execute(content.delete().where(content.c.id > given))
        connection.commit()

    copy(source, target, clock)

    assert given + 2 == insert_row(target, content, b"newer")


@DIRECTIONS
async def test_a_run_that_has_not_ended_goes_on_in_the_copy(
    places: Places, clock: StillClock, here: str, there: str
) -> None:
    """Verdicts, fences, batches and the store's time are copied. Calls in flight are booked when the engine starts."""
    url, target = places.new(here), places.new(there)
    store = SqlStore.open(url, clock=clock)
    scene = await Scene(store, clock).fill()
    run = await scene.run()
    keys = await scene.keys(9)
    await scene.answer(keys[:3], run)
    assert await store.begin_shard(run.row, 0) == 1
    await scene.permit(keys[3:6], run, worst=10)
    request = PermitRequest(keys=keys[6:], run=run.row, worst_micros=10, seconds=60, batch=NewBatch((6, 7, 8), "mark"))
    batch = (await store.permit(TENANT, request)).batch
    assert batch is not None
    await store.move_batch(batch, BatchState.SUBMITTED, provider_id="batch_1")
    verdicts = await store.verdicts(run.row, VerdictQuery(), after=-1, limit=9)
    time, open_batches = await store._time.now(), await store.open_batches(run.row, 0)
    now = await store.run(TENANT, "run-1")
    await store.close()

    copy(url, target, clock)

    again = SqlStore.open(target, clock=clock)
    assert now == await again.run(TENANT, "run-1")
    assert verdicts == await again.verdicts(run.row, VerdictQuery(), after=-1, limit=9)
    assert [(TENANT, "run-1")] == await again.unfinished()
    assert open_batches == await again.open_batches(run.row, 0)
    assert 0 <= await again._time.now() - time <= JUMP
    assert 3 == await again.orphan_attempts()
    booked = await again.run(TENANT, "run-1")
    assert (now.counts.calls + 3, now.cost_micros + 30) == (booked.counts.calls, booked.cost_micros)
    assert (
        "SUPERSEDED"
        == (
            await again.permit(
                TENANT, PermitRequest(keys=keys, run=run.row, worst_micros=10, seconds=60, fence=Fence(0, 0))
            )
        ).refused
    )
    assert 2 == await again.begin_shard(run.row, 0)
    await again.close()


@pytest.mark.parametrize("there", ["file", "shared"])
def test_a_copy_killed_anywhere_leaves_an_empty_store(places: Places, clock: StillClock, there: str) -> None:
    """If it is killed at any statement, the target is empty, and the next copy into it is complete."""
    source, target = places.new("file"), places.new(there)
    rows = fill_every_table(source)
    migrate_url(target)
    left = [0]

    def kill_at_zero(c: Connection, *_: object) -> None:
        left[0] -= str(c.engine.url.database) in target
        if left[0] < 0:
            raise ProcessKilled

    kills = 0
    event.listen(Engine, "before_cursor_execute", kill_at_zero)
    try:
        for statement in count(0, 7):
            left[0] = statement
            try:
                copy(source, target, clock)
            except ProcessKilled:
                kills += 1
                with engine_of(target).connect() as connection:
                    left[0] = 1000
                    assert not any(rows_of(connection, TABLES).values())
            else:
                break
    finally:
        event.remove(Engine, "before_cursor_execute", kill_at_zero)

    with engine_of(target).connect() as connection:
        assert rows == rows_of(connection, TABLES)
    assert kills > 10


def test_a_file_left_by_a_copy_that_lost_its_machine_is_empty(places: Places, clock: StillClock) -> None:
    """The file on the disk is an empty store until the copy is committed, even while the last table is copied."""
    source, target = places.new("file"), places.new("file")
    fill_every_table(source)
    file, crashed = Path(target.removeprefix("sqlite:///")), places.folder / "crashed.db"

    def save(progress: Copied) -> None:
        if progress.table == TABLES[-1].name:
            for suffix in ("", "-wal"):
                shutil.copy(f"{file}{suffix}", f"{crashed}{suffix}")

    copy_store(source, target, clock, save)

    with closing(sqlite3.connect(crashed)) as connection:
        assert {0} == {connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in metadata.tables}  # noqa: S608  # names of our own


@pytest.mark.parametrize("there", ["file", "shared"])
def test_a_store_that_has_rows_is_not_copied_into(places: Places, clock: StillClock, there: str) -> None:
    """The error names its tables that have rows, and nothing changes."""
    source, target = places.new("file"), places.new(there)
    fill_every_table(source)
    migrate_url(target)
    insert_row(target, metadata.tables["content"])

    with pytest.raises(Precondition) as refused:
        copy(source, target, clock)

    with engine_of(target).connect() as connection:
        n_rows = {name: len(rows) for name, rows in rows_of(connection, TABLES).items() if rows}
    assert "the target of a copy must be empty, but it has rows in these tables: content (1)" == refused.value.message
    assert {"content": 1} == n_rows


def test_stores_that_cannot_be_copied_are_refused(
    places: Places, clock: StillClock, bare_url: str, tmp_path: Path
) -> None:
    """A missing source, an unknown target, the same store and schemas of other releases are errors."""
    source = places.new("file")
    nowhere = f"sqlite:///{tmp_path / 'none' / 'judge.db'}"
    fill_every_table(source)
    newer = places.new("file")
    migrate_url(newer, scripts_until(tmp_path / "later", REVISIONS[-1], EXPANDED))

    for copy_from, copy_to, error, message in (
        (nowhere, places.new("file"), StoreFailed, "there is no store"),
        ("sqlite://", places.new("file"), StoreFailed, "there is no store"),
        (source, "sqlite://", StoreFailed, "unknown store"),
        (source, source, InvalidInput, "into itself"),
        (source, bare_url, StoreFailed, "no schema.*run `judge migrate`"),
        (newer, places.new("file"), StoreFailed, "use the release that made it"),
        (source, newer, StoreFailed, "use the release that made it"),
    ):
        with pytest.raises(error, match=message):
            copy(copy_from, copy_to, clock)
    assert not (tmp_path / "none").exists()


def test_a_row_that_the_target_cannot_hold_is_named(places: Places, clock: StillClock) -> None:
    """PostgreSQL cannot store NUL in a text. The error names the table and the rows, and nothing is copied."""
    source, target = places.new("file"), places.new("shared")
    migrate_url(source)
    dataset = metadata.tables["dataset"]
    with engine_of(source).connect() as connection:
        for number, name in ((7, "fine"), (8, "a\0b")):
            connection.execute(insert(dataset).values(id=number, tenant_id=1, name=name, revision=1, create_time=0.0))
        connection.commit()

    with pytest.raises(StoreFailed, match=r"table dataset: a row between \[7\] and \[8\] cannot be stored"):
        copy(source, target, clock)

    with engine_of(target).connect() as connection:
        assert 0 == connection.scalar(select(func.count()).select_from(dataset))


async def test_a_store_that_others_use_is_not_copied(places: Places, clock: StillClock) -> None:
    """While a server or a worker is connected to the source or the target, nothing is copied."""
    file, shared, other = places.new("file"), places.new("shared"), places.new("shared")
    fill_every_table(file)
    store = SqlStore.open(shared, clock=clock)

    for source, target in ((file, shared), (shared, other)):
        with pytest.raises(JudgeError, match="connections of servers or workers are open"):
            copy(source, target, clock)

    await store.close()
    assert len(TABLES) == len(copy(file, shared, clock))
