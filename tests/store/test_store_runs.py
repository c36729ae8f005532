"""The contract of runs: how they are created, listed, moved, reopened, and planned round by round."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from judge.domain.errors import AlreadyExists, NotFound, Precondition, RequestIdReused
from judge.domain.outcome import ItemState
from judge.domain.run import Budget, RunState
from judge.ports.records import Settled, VerdictQuery
from judge.ports.run_rows import RunQuery
from judge.rpc import encode
from judge.store import schema as s

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
ALL = VerdictQuery()


async def test_a_request_id_makes_one_run(scene: Scene) -> None:
    """The same request again returns the run as it is now; with different settings it is refused."""
    run = await scene.run()

    again = await scene.store.create_run(TENANT, scene.new_run("run-9", request_id=run.request_id))

    assert again == run
    with pytest.raises(RequestIdReused) as caught:
        await scene.store.create_run(TENANT, scene.new_run("run-9", request_id=run.request_id, body_hash="other"))
    assert "run-1" in caught.value.fields["run"]
    with pytest.raises(AlreadyExists):
        await scene.store.create_run(TENANT, scene.new_run("run-1", request_id="another"))
    without = [scene.new_run(f"run-{n}", request_id="") for n in (5, 6)]
    assert [(await scene.store.create_run(TENANT, new)).run_id for new in without] == ["run-5", "run-6"]


async def test_a_run_keeps_what_was_frozen_into_it(scene: Scene) -> None:
    """A run is returned with its spec and judges as they were stored, and runs are listed newest first."""
    new = scene.new_run("run-1", budget=Budget(5, 6))
    created = await scene.store.create_run(TENANT, new)
    await scene.run("run-2")

    assert (created.spec, created.judges, created.plan_hash) == (new.spec, new.judges, "plan")
    assert (created.state, created.counts.planned, created.create_time) == (RunState.QUEUED, 100, 1000.0)
    assert [run.run_id for run in await scene.store.runs(TENANT, RunQuery("d"), 0, 10)] == ["run-2", "run-1"]
    newest = (await scene.store.runs(TENANT, RunQuery(), 0, 1))[0]
    assert [run.run_id for run in await scene.store.runs(TENANT, RunQuery(), newest.row, 10)] == ["run-1"]
    assert await scene.store.runs(TENANT, RunQuery("other"), 0, 10) == []
    assert await scene.store.changes([created.row, newest.row]) == {created.row: 1, newest.row: newest.revision}
    with pytest.raises(NotFound):
        await scene.store.run(TENANT, "run-3")
    with pytest.raises(NotFound):
        await scene.store.run("another", "run-1")


async def test_states_change_by_the_table_only(scene: Scene) -> None:
    """A transition that TRANSITIONS does not have is refused and changes nothing."""
    run = await scene.run()
    scene.clock.time = 2000.0
    assert await scene.store.unfinished() == [(TENANT, "run-1")]

    assert not await scene.store.move_run(run.row, RunState.CANCELLED)
    assert await scene.store.run(TENANT, "run-1") == run
    assert await scene.store.move_run(
        run.row, RunState.FAILED, reason="X", message="why", never_started=ItemState.CANCELLED
    )

    failed = await scene.store.run(TENANT, "run-1")
    assert (failed.state, failed.reason, failed.message, failed.end_time) == (RunState.FAILED, "X", "why", 2000.0)
    assert failed.never_started is ItemState.CANCELLED
    assert failed.revision == run.revision + 1
    assert await scene.store.unfinished() == []


async def test_a_run_says_why_it_is_in_its_state(scene: Scene) -> None:
    """The reason is stored only while the run is still in that state."""
    run = await scene.store.create_run(TENANT, scene.new_run("run-1"))

    explained = await scene.store.explain_run(run.row, RunState.QUEUED, "ENGINE_UNAVAILABLE", "nobody answers")
    queued = await scene.store.run(TENANT, "run-1")
    await scene.store.move_run(run.row, RunState.RUNNING)
    late = await scene.store.explain_run(run.row, RunState.QUEUED, "ENGINE_UNAVAILABLE", "nobody answers")
    running = await scene.store.run(TENANT, "run-1")

    assert (explained, queued.state, queued.reason, queued.message) == (
        True,
        RunState.QUEUED,
        "ENGINE_UNAVAILABLE",
        "nobody answers",
    )
    assert queued.revision == run.revision + 1
    assert (late, running.state, running.reason) == (False, RunState.RUNNING, "")


async def test_a_reopened_run_forgets_presentations_without_a_verdict(scene: Scene) -> None:
    """Resuming keeps verdicts, removes failures and sets the new budget. A running run cannot be reopened."""
    run = await scene.run()
    keys = await scene.keys(2)
    await scene.answer(keys[:1], run)
    await scene.store.commit(TENANT, run.row, [Settled(keys[1], scene.item(1), state=ItemState.TRANSPORT_ERROR)])
    assert not await scene.store.reopen_run(run.row, None)
    await scene.store.move_run(run.row, RunState.DONE, never_started=ItemState.BUDGET_STOPPED)

    assert await scene.store.reopen_run(run.row, Budget(calls=9))

    after = await scene.store.run(TENANT, "run-1")
    assert (after.state, after.end_time, after.never_started) == (RunState.QUEUED, None, None)
    assert (after.counts.by_status, after.spec.budget) == ({"ok": 1}, Budget(calls=9))
    assert await scene.store.done_positions(run.row, 0, 100) == {0}
    assert [v.position for v in await scene.store.verdicts(run.row, ALL, after=-1, limit=10)] == [0]


async def test_reopening_without_a_budget_keeps_the_old_one(scene: Scene) -> None:
    """A waiting run is queued again with its budget."""
    run = await scene.run(budget=Budget(calls=4))
    await scene.store.move_run(run.row, RunState.WAITING, reason="PROVIDER_DOWN")

    assert await scene.store.reopen_run(run.row, None)

    after = await scene.store.run(TENANT, "run-1")
    assert (after.state, after.reason, after.spec.budget) == (RunState.QUEUED, "", Budget(calls=4))


async def test_a_running_run_gets_a_new_budget(scene: Scene) -> None:
    """It counts from the next permit on."""
    run = await scene.run(budget=Budget(calls=4))
    keys = await scene.keys(4)

    assert not await scene.store.reopen_run(run.row, Budget(calls=1))
    granted = (await scene.permit(keys, run)).granted

    assert len(granted) == 1
    after = await scene.store.run(TENANT, "run-1")
    assert (after.state, after.spec.budget) == (RunState.RUNNING, Budget(calls=1))


async def test_the_first_writer_of_a_round_wins(scene: Scene) -> None:
    """Law 5: if several write a round at once, one plan is kept, all get that one, and the run grows only once."""
    run = await scene.run()
    plans = [bytes([1, n]) * 1000 for n in range(6)]

    returned = await asyncio.gather(*(scene.store.add_round(run.row, 0, plan, 200 + n) for n, plan in enumerate(plans)))

    after = await scene.store.run(TENANT, "run-1")
    [kept] = await scene.store.rounds(run.row, 0)
    assert [kept] * 6 == returned
    assert kept in plans
    assert (after.counts.planned, after.round, after.revision) == (200 + plans.index(kept), 1, run.revision + 1)


async def test_rounds_are_read_in_order_and_their_end_is_no_round(scene: Scene) -> None:
    """Rounds are read from any number on. A plan that begins with a zero byte ends them and is not counted."""
    run = await scene.run()
    for number, plan in ((0, b"\1 first"), (1, b"\1 second"), (2, b"\0 no more")):
        await scene.store.add_round(run.row, number, plan, 100)

    [listed] = await scene.store.runs(TENANT, RunQuery("d"), 0, 10)
    assert [b"\1 second", b"\0 no more"] == await scene.store.rounds(run.row, 1)
    assert (listed.round, run.round) == (2, 0)
    with pytest.raises(NotFound):
        await scene.store.add_round(run.row + 1, 0, b"\1", 1)


async def test_a_row_that_cannot_be_read_breaks_no_list(scene: Scene) -> None:
    """A run whose stored settings are no longer valid is listed with its state and counts, between the others."""
    await scene.run("run-1")
    broken = await scene.run("run-2")
    await scene.run("run-3")
    spec = {"dataset": "d", "judges": ["strict"], "pairing": {"repeats": 0}, "budget": {}}
    await scene.store._db.write(lambda c: c.execute(update(s.run).where(s.run.c.id == broken.row).values(spec=spec)))

    listed = await scene.store.runs(TENANT, RunQuery("d"), 0, 10)

    assert [run.run_id for run in listed] == ["run-3", "run-2", "run-1"]
    assert [run.reason for run in listed] == ["", "UNREADABLE", ""]
    assert (listed[1].row, listed[1].state, listed[1].counts.planned) == (broken.row, RunState.RUNNING, 100)
    assert encode.run(listed[1], TENANT).name == "runs/run-2"


async def test_counts_that_the_api_cannot_hold_break_no_list(scene: Scene) -> None:
    """A run from before sizes were checked is listed with the largest counts that the API can hold."""
    await scene.run(planned=2**40)

    (listed,) = await scene.store.runs(TENANT, RunQuery("d"), 0, 10)
    counts = encode.run(listed, TENANT).counts

    assert (listed.counts.planned, counts.planned, counts.pending) == (2**40, 2**31 - 1, 2**31 - 1)


async def test_runs_are_listed_by_state_and_metadata(scene: Scene) -> None:
    """A run must have all of the given values. Runs without metadata have none."""
    plain = scene.new_run("run-1")
    for number, metadata in enumerate(({}, {"commit": "abc"}, {"commit": "abc", "a/b.c-d_E": 'it\'s "1" %'}), 1):
        spec = replace(plain.spec, metadata=metadata)
        await scene.store.create_run(TENANT, replace(plain, run_id=f"run-{number}", request_id="", spec=spec))
    first = await scene.store.run(TENANT, "run-1")
    await scene.store.move_run(first.row, RunState.CANCELLED)

    async def listed(**query: Any) -> list[str]:  # noqa: ANN401  # the query's fields
        return [run.run_id for run in await scene.store.runs(TENANT, RunQuery(**query), 0, 10)]

    assert await listed(metadata={"commit": "abc"}) == ["run-3", "run-2"]
    assert await listed(metadata={"commit": "abc", "a/b.c-d_E": 'it\'s "1" %'}) == ["run-3"]
    assert await listed(metadata={"commit": "ab"}) == await listed(metadata={"none": ""}) == []
    assert await listed(states=[RunState.CANCELLED, RunState.DONE]) == ["run-1"]
    assert await listed(states=[RunState.QUEUED], metadata={"commit": "abc"}) == ["run-3", "run-2"]
    assert (await scene.store.run(TENANT, "run-2")).spec.metadata == {"commit": "abc"}
    assert first.spec.metadata == {}


async def test_a_run_is_deleted_and_its_replies_stay(scene: Scene) -> None:
    """A run that has not ended is refused. Then another run reuses the replies, and the request id is free."""
    run = await scene.run("run-1", request_id="first")
    (key,) = await scene.keys(1)
    await scene.answer([key], run)
    with pytest.raises(Precondition, match="cancel it"):
        await scene.store.delete_run(TENANT, "run-1")
    await scene.store.move_run(run.row, RunState.DONE)

    await scene.store.delete_run(TENANT, "run-1")

    for gone in (scene.store.run(TENANT, "run-1"), scene.store.delete_run(TENANT, "run-1")):
        with pytest.raises(NotFound):
            await gone
    assert await scene.store.runs(TENANT, RunQuery(), 0, 10) == []
    assert await scene.store.done_positions(run.row, 0, 100) == set()
    assert key in await scene.store.answers(TENANT, [key])
    assert (await scene.run("run-2", request_id="first")).run_id == "run-2"


async def test_a_deletion_that_was_interrupted_is_finished(scene: Scene) -> None:
    """A run whose deletion has begun cannot be read, and the next process that executes runs deletes the rest."""
    run = await scene.run()
    change = update(s.run).where(s.run.c.id == run.row).values(state=RunState.DONE.value, reason="DELETED")
    await scene.store._db.write(lambda c: c.execute(change))
    with pytest.raises(NotFound):
        await scene.store.run(TENANT, run.run_id)

    await scene.store.finish_deletions()

    assert await scene.store._db.read(lambda c: c.scalars(select(s.run.c.id)).all()) == []
