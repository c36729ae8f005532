"""A store that the code of an earlier schema filled is migrated and resumed, and nothing is paid twice.

filled_NNNN.json holds the rows of a store that the code of schema NNNN wrote. It has a run that is done and a run that
its budget stopped after 20 of 72 calls. That of schema 0003 also has an adaptive run that stopped in its second round.
These files are never written again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Connection, Table, text

from judge.api.v1 import run_service_pb2 as pb
from judge.app.local import running
from judge.store.migrate import SCRIPTS
from judge_client import JudgeClient
from support.demo_data import settings
from support.schemas import describe_schema, engine_of, kill_migration, migrate_url, scripts_until, tables_of
from support.schemas import rows_of as rows_by_key

REVISIONS = ("0001", "0002", "0003")
Rows = dict[str, list[dict[str, Any]]]


def rows_of(revision: str) -> Rows:
    rows: Rows = json.loads(Path(__file__).with_name(f"filled_{revision}.json").read_text("utf-8"))
    return rows


def value(table: Table, name: str, stored: Any) -> Any:  # noqa: ANN401  # whatever the column holds
    kind = table.c[name].type
    if isinstance(stored, dict):
        return bytes.fromhex(stored["hex"])
    if isinstance(kind, JSON) and stored is not None:
        return json.loads(stored)
    return bool(stored) if isinstance(kind, Boolean) else stored


def insert_rows(c: Connection, stored_rows: Rows) -> None:
    for table in tables_of(c):
        rows = [{name: value(table, name, stored) for name, stored in row.items()} for row in stored_rows[table.name]]
        if rows:
            c.execute(table.insert(), rows)
        if c.dialect.name == "postgresql" and "id" in table.c and rows:
            sequence = c.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name})
            if sequence:
                c.execute(
                    text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": max(r["id"] for r in rows)}
                )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'judge.db'}"
    return str(request.getfixturevalue("bare_url"))


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_filled_store_is_resumed_and_nothing_is_paid_twice(url: str, tmp_path: Path, revision: str) -> None:
    """Stopped runs are resumed and finish, and a new run of the same content makes no call."""
    migrate_url(url, scripts_until(tmp_path / "scripts", revision))
    with engine_of(url).begin() as connection:
        insert_rows(connection, rows_of(revision))
    migrate_url(url)

    again = pb.RunSpec(dataset="datasets/small", judges=["judges/longest"])
    async with running(settings(), store_url=url, listen=None) as address, JudgeClient(address) as client:
        runs = {run.counts.planned: run.name async for run in client.list_runs("small")}
        before = await client.get_run(runs[72])
        for name in runs.values():
            await client.resume_run(name, pb.Budget(calls=1000))
        resumed = await client.wait_run(runs[72])
        adaptive = await client.wait_run(runs[12]) if 12 in runs else None
        repeated = await client.wait_run((await client.create_run(again)).name)

    assert {"ok": 20, "budget_stopped": 52} == {k: n for k, n in before.counts.by_status.items() if n}
    assert ({"ok": 72}, 3, "again") == (
        dict(resumed.counts.by_status),
        resumed.pairing.seed,
        resumed.pairing.cache_tag,
    )
    assert resumed.counts.calls == 72
    assert (adaptive is not None) == (revision == "0003")
    assert adaptive is None or {"ok": 18} == dict(adaptive.counts.by_status)
    assert (36, 0, {"ok": 36}) == (repeated.counts.reused, repeated.counts.calls, dict(repeated.counts.by_status))


def test_rows_with_the_old_words_get_the_new_ones(url: str, tmp_path: Path) -> None:
    """Reasons, statuses and JSON names are rewritten, and texts that contain an old name stay the same."""
    spec = {"dataset": "d", "pairing": {"epoch": "again", "tags": ['"epoch":', "given_up"]}}
    migrate_url(url, scripts_until(tmp_path / "scripts", "0003"))
    with engine_of(url).begin() as connection:
        insert_rows(connection, rows_of("0003"))
        [run] = tables_of(connection, ["run"])
        changed = {"spec": spec, "reason": "POISONED", "by_status": {"ok": 3, "given_up": 2}}
        connection.execute(run.update().where(run.c.id == 1).values(changed))
        connection.execute(text("UPDATE run_item SET status = 'given_up' WHERE run_id = 1"))

    migrate_url(url)

    with engine_of(url).connect() as connection:
        [run] = tables_of(connection, ["run"])
        row = connection.execute(run.select().where(run.c.id == 1)).one()
        others = connection.execute(run.select().where(run.c.id != 1)).all()
        statuses = connection.scalars(text("SELECT DISTINCT status FROM run_item WHERE run_id = 1")).all()
    assert row.spec == {"dataset": "d", "pairing": {"cache_tag": "again", "tags": ['"epoch":', "given_up"]}}
    assert ("QUARANTINED", {"ok": 3, "failed": 2}, ["failed"]) == (row.reason, row.by_status, statuses)
    assert all("cache_tag" in other.spec["pairing"] and "epoch" not in other.spec["pairing"] for other in others)


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_migration_of_a_filled_store_killed_at_any_statement_changes_nothing(
    url: str, tmp_path: Path, revision: str
) -> None:
    """Wherever it is killed, the store has its old schema and its old rows, and the next attempt succeeds."""
    migrate_url(url, scripts_until(tmp_path / "scripts", revision))
    with engine_of(url).begin() as connection:
        insert_rows(connection, rows_of(revision))
    with engine_of(url).connect() as connection:
        before = describe_schema(connection), rows_by_key(connection, tables_of(connection))

    kills = 0
    while kill_migration(url, SCRIPTS, kills):
        with engine_of(url).connect() as connection:
            assert before == (describe_schema(connection), rows_by_key(connection, tables_of(connection)))
        kills += 1

    assert kills > 5
