"""Keys: digests have numbers, and what is looked up by them is found by an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, select

from judge.domain.verdict import CallKey
from judge.store import schema
from judge.store.dialects import among
from judge.store.revisions import live
from judge.store.rows import matching

if TYPE_CHECKING:
    from conftest import Scene

TENANT = "default"


async def test_interning_is_stable(scene: Scene) -> None:
    """The same digest has the same id in a tenant, and its own in another."""
    digests = [bytes([n % 7]) * 32 for n in range(20)]

    ids = await scene.store.intern(TENANT, digests)

    assert ids == await scene.store.intern(TENANT, digests)
    assert len(set(ids)) == 7
    assert not set(ids) & set(await scene.store.intern("another", digests))


def _lookups(c: Connection, key: CallKey) -> list[str]:
    """The queries by which a few rows are found, as SQL."""
    asked = [
        select(schema.answer).where(matching(c, schema.answer, 1, [key])),
        select(schema.call_attempt).where(schema.LIVE, matching(c, schema.call_attempt, 1, [key])),
        select(schema.label).where(live(schema.label, 1), among(c, [schema.label.c.source], [["s"]])),
    ]
    return [str(query.compile(c, compile_kwargs={"literal_binds": True})) for query in asked]


@pytest.mark.parametrize("store", ["memory", "file"], indirect=True)
async def test_keys_are_looked_up_by_index(scene: Scene) -> None:
    """Neither answers nor attempts nor a dataset's rows are read whole to find a few."""
    [key] = await scene.keys(1)

    def plans(c: Connection) -> list[str]:
        return [c.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()[0].detail for sql in _lookups(c, key)]

    found = await scene.store._db.read(plans)

    assert "uq_answer_key (tenant_id=? AND fingerprint=? AND prompt=? AND turn=? AND first=? AND second=?)" in found[0]
    assert "uq_call_attempt_live (tenant_id=? AND fingerprint=? AND prompt=?" in found[1]
    assert "uq_label_now (dataset_id=? AND source=?)" in found[2]


@pytest.mark.parametrize("store", ["shared"], indirect=True)
async def test_keys_are_looked_up_by_index_on_postgresql(scene: Scene) -> None:
    """There too: in tables of any size the planner has an index that serves."""
    [key] = await scene.keys(1)

    def plans(c: Connection) -> list[str]:
        c.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return ["\n".join(c.exec_driver_sql(f"EXPLAIN {sql}").scalars()) for sql in _lookups(c, key)]

    found = await scene.store._db.read(plans)

    assert ["Seq Scan on" in plan for plan in found] == [False, False, False]
    assert ["uq_answer_key" in found[0], "uq_call_attempt_live" in found[1]] == [True, True]
    assert "_label_" in found[2]
