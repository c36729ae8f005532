"""A store copied into another: files and PostgreSQL, each into each."""

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
from support.schemas import EXPANDED, REVISIONS, ProcessKilled, engine_of, fill, migrate_url, rows_of, scripts_until

if TYPE_CHECKING:
    from conftest import Scene
    from support.clocks import StillClock
    from support.postgres import Postgres

TENANT = "default"
TABLES = metadata.sorted_tables
_numbers = count(1)


class Places:
    """Makes new stores of either kind."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        self.folder, self.server = folder, server

    def new(self, kind: str) -> str:
        """The URL of an empty store with the present schema, or of a file that is not there yet."""
        if kind == "file":
            return f"sqlite:///{self.folder / f'{next(_numbers)}.db'}"
        return self.server.create(f"copied_{next(_numbers)}")


@pytest.fixture
def places(tmp_path: Path, server: Postgres) -> Places:
    return Places(tmp_path, server)


DIRECTIONS = pytest.mark.parametrize(
    ("here", "there"), [("file", "shared"), ("shared", "file"), ("file", "file"), ("shared", "shared")]
)


def copied(source: str, target: str, clock: StillClock) -> list[Copied]:
    """What was copied."""
    return copy_store(source, target, clock, lambda _: None)


def filled(url: str) -> dict[str, list[tuple[object, ...]]]:
    """The rows of a store that has some in every table, more of them than go at once in one."""
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
    """Whatever the code's metadata knows, and nothing else, is copied with its ids, row by row."""
    source, target = places.new(here), places.new(there)
    rows = filled(source)
    assert all(rows.values())

    told: list[Copied] = []
    copy_store(source, target, clock, told.append)

    with engine_of(target).connect() as connection:
        assert rows == rows_of(connection, TABLES)
        assert {*metadata.tables, "alembic_version"} == set(inspect(connection).get_table_names())
    assert {name: len(found) for name, found in rows.items()} == {one.table: one.rows for one in told}


def ids(url: str, table: Table, content: bytes = b"new") -> int:
    """The id of a new row of *table*."""
    with engine_of(url).connect() as connection:
        values = {"tenant_id": 9, "hash": content}
        made = connection.execute(insert(table).values(values)).inserted_primary_key
        connection.commit()
        assert made is not None
        return int(made[0])


@DIRECTIONS
def test_no_id_is_given_twice(places: Places, clock: StillClock, here: str, there: str) -> None:
    """The target's ids go on after the highest that the source ever gave, though its row was deleted."""
    source, target = places.new(here), places.new(there)
    migrate_url(source)
    content = metadata.tables["content"]
    given = ids(source, content)
    with engine_of(source).connect() as connection:
        connection.execute(insert(content).values(tenant_id=9, hash=b"other"))
        connection.execute(content.delete().where(content.c.id > given))
        connection.commit()

    copied(source, target, clock)

    assert given + 2 == ids(target, content, b"newer")


@DIRECTIONS
async def test_a_run_that_has_not_ended_goes_on_in_the_copy(
    places: Places, clock: StillClock, scene_of: type[Scene], here: str, there: str
) -> None:
    """Verdicts, fences, batches and the store's time are kept; calls in flight are booked when the engine starts."""
    url, target = places.new(here), places.new(there)
    store = SqlStore.open(url, clock=clock)
    scene = await scene_of(store, clock).fill()
    run = await scene.run()
    keys = await scene.keys(9)
    await scene.answer(keys[:3], run)
    assert await store.begin_shard(run.row, 0) == 1
    await scene.permit(keys[3:6], run, worst=10)
    asked = PermitRequest(keys[6:], run.row, 10, 60, batch=NewBatch((6, 7, 8), "mark"))
    batch = (await store.permit(TENANT, asked)).batch
    assert batch is not None
    await store.move_batch(batch, BatchState.SUBMITTED, provider_id="batch_1")
    verdicts = await store.verdicts(run.row, VerdictQuery(), after=-1, limit=9)
    time, open_batches = await store._time.now(), await store.open_batches(run.row, 0)
    now = await store.run(TENANT, "run-1")
    await store.close()

    copied(url, target, clock)

    again = SqlStore.open(target, clock=clock)
    assert now == await again.run(TENANT, "run-1")
    assert verdicts == await again.verdicts(run.row, VerdictQuery(), after=-1, limit=9)
    assert [(TENANT, "run-1")] == await again.unfinished()
    assert open_batches == await again.open_batches(run.row, 0)
    assert 0 <= await again._time.now() - time <= JUMP
    assert 3 == await again.orphan_attempts()
    booked = await again.run(TENANT, "run-1")
    assert (now.counts.calls + 3, now.cost_micros + 30) == (booked.counts.calls, booked.cost_micros)
    assert "SUPERSEDED" == (await again.permit(TENANT, PermitRequest(keys, run.row, 10, 60, fence=Fence(0, 0)))).refused
    assert 2 == await again.begin_shard(run.row, 0)
    await again.close()


@pytest.mark.parametrize("there", ["file", "shared"])
def test_a_copy_killed_anywhere_leaves_an_empty_store(places: Places, clock: StillClock, there: str) -> None:
    """Whatever statement it dies at, there is nothing in the target, and the next copy into it is whole."""
    source, target = places.new("file"), places.new(there)
    rows = filled(source)
    migrate_url(target)
    left = [0]

    def counted(c: Connection, *_: object) -> None:
        left[0] -= c.engine.url.database in target
        if left[0] < 0:
            raise ProcessKilled

    kills = 0
    event.listen(Engine, "before_cursor_execute", counted)
    try:
        for statement in count(0, 7):
            left[0] = statement
            try:
                copied(source, target, clock)
            except ProcessKilled:
                kills += 1
                with engine_of(target).connect() as connection:
                    left[0] = 1000
                    assert not any(rows_of(connection, TABLES).values())
            else:
                break
    finally:
        event.remove(Engine, "before_cursor_execute", counted)

    with engine_of(target).connect() as connection:
        assert rows == rows_of(connection, TABLES)
    assert kills > 10


def test_a_file_left_by_a_copy_that_lost_its_machine_is_empty(places: Places, clock: StillClock) -> None:
    """What lies on the disk while the last table is copied is an empty store to whoever opens it."""
    source, target = places.new("file"), places.new("file")
    filled(source)
    file, crashed = Path(target.removeprefix("sqlite:///")), places.folder / "crashed.db"

    def tell(one: Copied) -> None:
        if one.table == TABLES[-1].name:
            for suffix in ("", "-wal"):
                shutil.copy(f"{file}{suffix}", f"{crashed}{suffix}")

    copy_store(source, target, clock, tell)

    with closing(sqlite3.connect(crashed)) as connection:
        assert {0} == {connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in metadata.tables}  # noqa: S608  # names of our own


@pytest.mark.parametrize("there", ["file", "shared"])
def test_a_store_that_holds_something_is_not_copied_into(places: Places, clock: StillClock, there: str) -> None:
    """It is said what is there, and nothing changes."""
    source, target = places.new("file"), places.new(there)
    filled(source)
    migrate_url(target)
    ids(target, metadata.tables["content"])

    with pytest.raises(Precondition) as refused:
        copied(source, target, clock)

    with engine_of(target).connect() as connection:
        found = {name: len(rows) for name, rows in rows_of(connection, TABLES).items() if rows}
    assert "a store is copied into an empty one, and in this one there is content (1)" == refused.value.message
    assert {"content": 1} == found


def test_what_cannot_be_copied_is_told(places: Places, clock: StillClock, bare_url: str, tmp_path: Path) -> None:
    """No store to copy from, none to copy to, the same one, and schemas of other releases."""
    source = places.new("file")
    nowhere = f"sqlite:///{tmp_path / 'none' / 'judge.db'}"
    filled(source)
    newer = places.new("file")
    migrate_url(newer, scripts_until(tmp_path / "later", REVISIONS[-1], EXPANDED))

    for one, other, kind, said in (
        (nowhere, places.new("file"), StoreFailed, "there is no store"),
        ("sqlite://", places.new("file"), StoreFailed, "there is no store"),
        (source, "sqlite://", StoreFailed, "is none of"),
        (source, source, InvalidInput, "into itself"),
        (source, bare_url, StoreFailed, "no schema.*run `judge migrate`"),
        (newer, places.new("file"), StoreFailed, "needs the release that made it"),
        (source, newer, StoreFailed, "needs the release that made it"),
    ):
        with pytest.raises(kind, match=said):
            copied(one, other, clock)
    assert not (tmp_path / "none").exists()


def test_a_row_that_the_target_cannot_hold_is_named(places: Places, clock: StillClock) -> None:
    """PostgreSQL keeps no NUL in a text; the table and the rows are told, and nothing is copied."""
    source, target = places.new("file"), places.new("shared")
    migrate_url(source)
    dataset = metadata.tables["dataset"]
    with engine_of(source).connect() as connection:
        for number, name in ((7, "fine"), (8, "a\0b")):
            connection.execute(insert(dataset).values(id=number, tenant_id=1, name=name, revision=1, create_time=0.0))
        connection.commit()

    with pytest.raises(StoreFailed, match=r"of the table dataset a row from \[7\] to \[8\] cannot be stored"):
        copied(source, target, clock)

    with engine_of(target).connect() as connection:
        assert 0 == connection.scalar(select(func.count()).select_from(dataset))


async def test_a_store_that_others_use_is_not_copied(places: Places, clock: StillClock) -> None:
    """While a server or a worker is connected to either PostgreSQL, nothing is copied."""
    file, shared, other = places.new("file"), places.new("shared"), places.new("shared")
    filled(file)
    store = SqlStore.open(shared, clock=clock)

    for source, target in ((file, shared), (shared, other)):
        with pytest.raises(JudgeError, match="connections of servers or workers are open"):
            copied(source, target, clock)

    await store.close()
    assert len(TABLES) == len(copied(file, shared, clock))
