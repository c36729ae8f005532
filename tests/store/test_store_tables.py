"""The contents of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Integer, LargeBinary, func, select

from judge.domain.outcome import ItemState
from judge.domain.usage import Usage
from judge.domain.verdict import Reply
from judge.ports.records import Settled
from judge.store import schema
from judge.store.schema import KEY, metadata

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
OF_ALL = {"tenant", "store_clock", "account"}
"""Tables without a tenant's data."""


def test_tenant_is_in_every_table() -> None:
    """Every table with a tenant's data has the tenant, and so has the key of a call."""
    tables = [table for table in metadata.sorted_tables if table.name not in OF_ALL]

    assert [table.name for table in tables if "tenant_id" not in table.columns] == []
    assert KEY[0] == "tenant_id"


def test_hashes_are_in_one_table_and_an_answers_key_is_integers() -> None:
    """Texts and fingerprints are interned: each digest is stored once, and other rows refer to its number.

    A round's plan is no digest, and a token's hash belongs to no text and no other row.
    """
    digests = [
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and table.name not in {"run_round", "token"}
    ]
    [unique] = [index for index in schema.answer.indexes if index.unique]
    kinds = {column.name: type(column.type) for column in unique.columns}

    assert digests == [("content", "hash")]
    assert list(kinds) == list(KEY)
    assert {kind for name, kind in kinds.items() if name != "cache_tag"} <= {BigInteger, Integer}


async def test_only_real_answers_are_answers(scene: Scene) -> None:
    """A presentation without a reply has a state in its run, and its key can still be called."""
    run = await scene.run()
    states = [ItemState.TRANSPORT_ERROR, ItemState.REJECTED, ItemState.TOO_LONG, ItemState.NOT_RECORDED]
    keys = await scene.keys(len(states))

    failed = [Settled(key, scene.item(at), state=states[at]) for at, key in enumerate(keys)]
    await scene.store.commit(TENANT, run.row, failed)

    n_answers = await scene.store._db.read(lambda c: c.scalar(select(func.count()).select_from(schema.answer)))
    after = await scene.store.run(TENANT, "run-1")
    assert (n_answers, after.counts.settled) == (0, len(states))
    assert set((await scene.permit(keys, run)).granted) == set(keys)


async def test_cost_and_repeats_are_the_sums_of_attempts(scene: Scene) -> None:
    """A run's cost is the sum of its attempts, be they answered, failed, lost, repeated or in flight."""
    run, other = await scene.run("run-1"), await scene.run("run-2")
    keys = await scene.keys(5)
    granted = (await scene.permit(keys[:4], run, worst=50)).granted
    done = [
        scene.called(keys[0], granted[keys[0]], 0),
        Settled(keys[1], scene.item(1), granted[keys[1]], state=ItemState.REJECTED, calls=1, lost_micros=20),
    ]
    await scene.store.commit(TENANT, run.row, done)
    await scene.store.commit(TENANT, None, [scene.called(keys[2], None)])
    late = scene.called(keys[2], granted[keys[2]], 2, reply=Reply("[[B]]", usage=Usage(cost_micros=9)))
    await scene.store.commit(TENANT, run.row, [late])
    await scene.store.orphan_attempts()
    await scene.permit(keys[4:], run, worst=50)
    await scene.permit(keys[3:4], other, worst=50)

    after = await scene.store.run(TENANT, "run-1")
    a = schema.call_attempt.c
    sums = select(a.state, func.count(), func.sum(a.cost_micros)).where(a.run_id == run.row)
    rows = await scene.store._db.read(lambda c: c.execute(sums.group_by(a.state).order_by(a.state)).all())
    by_state = {state: (n_attempts, cost) for state, n_attempts, cost in rows}
    assert by_state == {"failed": (1, 20), "live": (1, 0), "orphaned": (1, 50), "repeated": (1, 9), "settled": (1, 7)}
    assert after.cost_micros == sum(cost for _, cost in by_state.values())
    assert after.counts.repeated == by_state["orphaned"][0] + by_state["repeated"][0]


async def test_attempts_outlive_their_dataset_without_text(scene: Scene) -> None:
    """DeleteDataset removes runs, texts and answers, but keeps what each attempt cost."""
    run = await scene.run()
    keys = await scene.keys(2)
    await scene.answer(keys, run)

    await scene.store.delete_dataset(TENANT, "d")

    a = schema.call_attempt
    kept = await scene.store._db.read(lambda c: c.execute(select(a.c.cost_micros, a.c.until, a.c.state)).all())
    assert [(cost, until > 0, state) for cost, until, state in kept] == [(7, True, "settled")] * 2
    assert {column.name for column in a.columns if column.type.python_type is str} == {"cache_tag", "state"}
