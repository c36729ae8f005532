"""Keys: digests have numbers, and what is looked up by them is found by an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, event

from judge.domain.verdict import CallKey
from judge.store import schema
from judge.store.attempts import settle
from judge.store.many_rows import ids_among
from judge.store.rows import ids_of

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"


async def test_interning_is_stable(scene: Scene) -> None:
    """The same digest has the same id in a tenant, and its own in another."""
    digests = [bytes([n % 7]) * 32 for n in range(20)]

    ids = await scene.store.intern(TENANT, digests)

    assert ids == await scene.store.intern(TENANT, digests)
    assert len(set(ids)) == 7
    assert not set(ids) & set(await scene.store.intern("another", digests))


def _statements(c: Connection, key: CallKey) -> list[tuple[str, Any]]:
    """The statements by which a few rows are found or changed, with their parameters."""
    heard: list[tuple[str, Any]] = []

    def hear(_c: Connection, _cursor: object, sql: str, values: object, _context: object, _many: object) -> None:
        heard.append((sql, values))

    event.listen(c, "before_cursor_execute", hear)
    ids_of(c, schema.answer, 1, [key])
    ids_of(c, schema.call_attempt, 1, [key], where=schema.LIVE.text)
    ids_among(c, schema.label, ("dataset_id", "source"), [(1, "s")], where="label.removed IS NULL")
    settle(c, [(1, "settled", 0)])
    event.remove(c, "before_cursor_execute", hear)
    return heard


@pytest.mark.parametrize("store", ["memory", "file"], indirect=True)
async def test_keys_are_looked_up_by_index(scene: Scene) -> None:
    """Neither answers nor attempts nor a dataset's rows are read whole to find a few, or to change them."""
    [key] = await scene.keys(1)

    def plans(c: Connection) -> list[str]:
        explained = (
            c.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all() for sql, values in _statements(c, key)
        )
        return ["\n".join(row.detail for row in rows) for rows in explained]

    found = await scene.store._db.write(plans)

    key_parts = ("tenant_id", "fingerprint", "prompt", "turn", "first", "second", "cache_tag", "repeat")
    assert f"uq_answer_key ({' AND '.join(f'{part}=?' for part in key_parts)})" in found[0]
    assert "uq_call_attempt_live (tenant_id=? AND fingerprint=? AND prompt=?" in found[1]
    assert "uq_label_now (dataset_id=? AND source=?)" in found[2]
    assert "SEARCH call_attempt USING INTEGER PRIMARY KEY" in found[3]


@pytest.mark.parametrize("store", ["shared"], indirect=True)
async def test_keys_are_looked_up_by_index_on_postgresql(scene: Scene) -> None:
    """There too: in tables of any size the planner has an index that serves."""
    [key] = await scene.keys(1)

    def plans(c: Connection) -> list[str]:
        c.exec_driver_sql("SET LOCAL enable_seqscan = off")
        asked = _statements(c, key)
        return ["\n".join(c.exec_driver_sql(f"EXPLAIN {sql}", values).scalars()) for sql, values in asked]

    found = await scene.store._db.write(plans)

    assert ["Seq Scan on" in plan for plan in found] == [False, False, False, False]
    assert ["uq_answer_key" in found[0], "uq_call_attempt_live" in found[1]] == [True, True]
    assert "_label_" in found[2]
