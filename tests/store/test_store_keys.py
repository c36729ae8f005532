"""Keys: digests have numbers, and rows are looked up by an index."""

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
    """The same digest has the same id in a tenant, and another id in another tenant."""
    digests = [bytes([n % 7]) * 32 for n in range(20)]

    ids = await scene.store.intern(TENANT, digests)

    assert ids == await scene.store.intern(TENANT, digests)
    assert len(set(ids)) == 7
    assert not set(ids) & set(await scene.store.intern("another", digests))


def _statements(c: Connection, key: CallKey) -> list[tuple[str, Any]]:
    """Return the statements that look up or change a few rows, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def record(
        _c: Connection, _cursor: object, sql: str, values: object, _context: object, _executemany: object
    ) -> None:
        statements.append((sql, values))

    event.listen(c, "before_cursor_execute", record)
    ids_of(c, schema.answer, 1, [key])
    ids_of(c, schema.call_attempt, 1, [key], condition=schema.LIVE.text)
    ids_among(c, schema.label, ("dataset_id", "source"), [(1, "s")], condition="label.removed IS NULL")
    settle(c, [(1, "settled", 0)])
    event.remove(c, "before_cursor_execute", record)
    return statements


@pytest.mark.parametrize("store", ["memory", "file"], indirect=True)
async def test_keys_are_looked_up_by_index(scene: Scene) -> None:
    """No table of answers, attempts or dataset rows is scanned to look up or change a few rows."""
    [key] = await scene.keys(1)

    def plans(c: Connection) -> list[str]:
        explained = (
            c.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all() for sql, values in _statements(c, key)
        )
        return ["\n".join(row.detail for row in rows) for rows in explained]

    query_plans = await scene.store._db.write(plans)

    key_parts = ("tenant_id", "fingerprint", "prompt", "turn", "first", "second", "cache_tag", "repeat")
    assert f"uq_answer_key ({' AND '.join(f'{part}=?' for part in key_parts)})" in query_plans[0]
    assert "uq_call_attempt_live (tenant_id=? AND fingerprint=? AND prompt=?" in query_plans[1]
    assert "uq_label_now (dataset_id=? AND source=?)" in query_plans[2]
    assert "SEARCH call_attempt USING INTEGER PRIMARY KEY" in query_plans[3]


@pytest.mark.parametrize("store", ["shared"], indirect=True)
async def test_keys_are_looked_up_by_index_on_postgresql(scene: Scene) -> None:
    """PostgreSQL has an index for each lookup, in tables of any size."""
    [key] = await scene.keys(1)

    def plans(c: Connection) -> list[str]:
        c.exec_driver_sql("SET LOCAL enable_seqscan = off")
        asked = _statements(c, key)
        return ["\n".join(c.exec_driver_sql(f"EXPLAIN {sql}", values).scalars()) for sql, values in asked]

    query_plans = await scene.store._db.write(plans)

    assert ["Seq Scan on" in plan for plan in query_plans] == [False, False, False, False]
    assert ["uq_answer_key" in query_plans[0], "uq_call_attempt_live" in query_plans[1]] == [True, True]
    assert "_label_" in query_plans[2]
