"""A store that an earlier schema's code filled: it is opened, migrated and gone on with, and nothing is paid twice.

filled_0003.json holds the rows of a store of schema 0003 with three runs: one done, one stopped by its budget after 20
of 72 calls, and an adaptive one stopped in its second round. It is never written anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Connection, Table, text

from judge.api.v1 import run_service_pb2 as pb
from judge.app.local import running
from judge_client import JudgeClient
from support.demo_data import settings
from support.schemas import engine_of, migrated, scripts_until, tables_of

ROWS: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("filled_0003.json").read_text("utf-8"))


def value(table: Table, name: str, stored: Any) -> Any:  # noqa: ANN401  # whatever the column holds
    kind = table.c[name].type
    if isinstance(stored, dict):
        return bytes.fromhex(stored["hex"])
    if isinstance(kind, JSON) and stored is not None:
        return json.loads(stored)
    return bool(stored) if isinstance(kind, Boolean) else stored


def insert_rows(c: Connection) -> None:
    for table in tables_of(c):
        rows = [{name: value(table, name, stored) for name, stored in row.items()} for row in ROWS[table.name]]
        if rows:
            c.execute(table.insert(), rows)
        if c.dialect.name == "postgresql" and "id" in table.c and rows:
            sequence = c.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name})
            if sequence:
                c.execute(
                    text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": max(r["id"] for r in rows)}
                )


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of the store, with the schema that this release works with."""
    url = f"sqlite:///{tmp_path / 'judge.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("bare_url")
    migrated(url, scripts_until(tmp_path / "scripts", "0003"))
    with engine_of(url).begin() as connection:
        insert_rows(connection)
    migrated(url)
    return url


async def test_a_filled_store_is_gone_on_with_and_nothing_is_paid_twice(filled: str) -> None:
    """Runs that stopped are resumed to their end, and a new run of the same content makes no call."""
    again = pb.RunSpec(dataset="datasets/small", judges=["judges/longest"])
    async with running(settings(), store_url=filled, listen=None) as address, JudgeClient(address) as client:
        runs = {run.counts.planned: run.name async for run in client.list_runs("small")}
        before = await client.get_run(runs[72])
        await client.resume_run(runs[72], pb.Budget(calls=1000))
        await client.resume_run(runs[12], pb.Budget(calls=1000))
        resumed, adaptive = await client.wait_run(runs[72]), await client.wait_run(runs[12])
        repeated = await client.wait_run((await client.create_run(again)).name)

    assert {"ok": 20, "budget_stopped": 52} == {k: n for k, n in before.counts.by_status.items() if n}
    assert ({"ok": 72}, 3) == (dict(resumed.counts.by_status), resumed.pairing.seed)
    assert (72, {"ok": 18}) == (resumed.counts.calls, dict(adaptive.counts.by_status))
    assert (36, 0, {"ok": 36}) == (repeated.counts.reused, repeated.counts.calls, dict(repeated.counts.by_status))
