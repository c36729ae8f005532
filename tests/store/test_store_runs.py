"""The contract of runs, permits and commits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, select

from clocks import passed
from judge.domain.errors import AlreadyExists, NotFound, RequestIdReused
from judge.domain.outcome import ItemState, Preference, VerdictStatus
from judge.domain.run import Budget, RunState
from judge.domain.verdict import SOURCE_PARSER, CallKey, Reading, Reply, Usage
from judge.ports.store import Settled, VerdictQuery
from judge.store import schema
from judge.store.dialects import among
from judge.store.revisions import live
from judge.store.rows import matching

if TYPE_CHECKING:
    from conftest import Scene

TENANT = "default"
ALL = VerdictQuery()


async def test_an_answer_commits_once_with_its_counts(scene: Scene) -> None:
    """An answer, its showing, the calls, the cost and the revision come in one commit."""
    run = await scene.run()
    [key] = await scene.keys(1)

    await scene.answer([key], run)

    after = await scene.store.run(TENANT, "run-1")
    [verdict] = await scene.store.verdicts(run.row, ALL, after=-1, limit=10)
    assert after.counts.by_status == {"ok": 1}
    assert (after.counts.calls, after.cost_micros, after.counts.reused, after.counts.repeated) == (1, 7, 0, 0)
    assert after.revision == run.revision + 1 == verdict.revision
    assert (verdict.judge, verdict.status, verdict.comparison_id) == ("strict", VerdictStatus.OK, "c0")
    assert (verdict.showing.prompt_id, verdict.showing.left, verdict.showing.right) == ("p0", "a", "b")


async def test_the_first_of_two_answers_to_a_key_stays(scene: Scene) -> None:
    """Where two call one key, the first answer stays, and the second's cost is booked as repeated."""
    first, second = await scene.run("run-1"), await scene.run("run-2")
    [key] = await scene.keys(1)
    early = (await scene.permit([key], first)).granted[key]
    await passed(scene.store, scene.clock, 100)
    late = (await scene.permit([key], second)).granted[key]
    other = Reply("[[B]]", usage=Usage(cost_micros=9))

    await scene.store.commit(TENANT, first.row, [scene.called(key, early, 0)])
    reading = Reading("brackets", Preference.SECOND)
    await scene.store.commit(TENANT, second.row, [scene.called(key, late, 0, reply=other, reading=reading)])

    [kept] = await scene.store.verdicts(second.row, ALL, after=-1, limit=10)
    run = await scene.store.run(TENANT, "run-2")
    assert kept.reply is not None
    assert (kept.reply.raw, kept.readings) == ("[[A]]", (Reading("brackets", Preference.FIRST),))
    assert (run.counts.repeated, run.counts.calls, run.cost_micros) == (1, 1, 9)


async def test_a_losing_reply_leaves_no_reading_on_the_answer_that_stays(scene: Scene) -> None:
    """What was read from a reply that came second is never said of the answer that came first."""
    run = await scene.run()
    [key] = await scene.keys(1)
    await scene.store.commit(TENANT, None, [scene.called(key, None)])
    other, reading = Reply("nonsense"), Reading("brackets/2", None, "no verdict")

    await scene.store.commit(TENANT, run.row, [scene.called(key, None, 0, reply=other, reading=reading)])

    [kept] = await scene.store.verdicts(run.row, ALL, after=-1, limit=10)
    assert kept.readings == (Reading("brackets", Preference.FIRST),)
    assert (await scene.store.run(TENANT, "run-1")).counts.by_status == {"ok": 1}


async def test_a_commit_is_safe_to_repeat(scene: Scene) -> None:
    """A commit that succeeded but was reported failed changes nothing when it is made again."""
    run = await scene.run()
    keys = await scene.keys(3)
    granted = (await scene.permit(keys, run)).granted
    done = [scene.called(key, granted[key], n) for n, key in enumerate(keys)]
    done[2] = Settled(keys[2], scene.item(2), granted[keys[2]], state=ItemState.REJECTED, calls=1)
    await scene.store.commit(TENANT, run.row, done)
    before = await scene.store.run(TENANT, "run-1")
    seen = await scene.store.verdicts(run.row, ALL, after=-1, limit=10)

    await scene.store.commit(TENANT, run.row, done)

    assert await scene.store.run(TENANT, "run-1") == before
    assert await scene.store.verdicts(run.row, ALL, after=-1, limit=10) == seen
    assert before.counts.by_status == {"ok": 2, "rejected": 1}
    assert before.counts.calls == 3


async def test_a_commit_needs_no_run(scene: Scene) -> None:
    """A single comparison is stored without a run, and found by the next who asks."""
    [key] = await scene.keys(1)
    attempt = (await scene.permit([key])).granted[key]

    await scene.store.commit(TENANT, None, [scene.called(key, attempt)])

    permit = await scene.permit([key])
    assert permit.answered[key].reply == scene.called(key, None).reply
    assert permit.answered[key].readings == (Reading("brackets", Preference.FIRST),)
    assert not permit.granted


async def test_a_reused_answer_is_counted_and_not_called(scene: Scene) -> None:
    """A run that finds an answer takes it, with its status, without a call."""
    keys = await scene.keys(2)
    refusal = Reply("I will not", VerdictStatus.REFUSED)
    done = [scene.called(keys[0], None), scene.called(keys[1], None, reply=refusal, reading=None)]
    await scene.store.commit(TENANT, None, done)
    run = await scene.run()
    answered = (await scene.permit(keys, run)).answered

    found = [Settled(key, scene.item(n), answer=answered[key].answer) for n, key in enumerate(keys)]
    await scene.store.commit(TENANT, run.row, found)

    after = await scene.store.run(TENANT, "run-1")
    assert after.counts.by_status == {"ok": 1, "refused": 1}
    assert (after.counts.reused, after.counts.calls, after.cost_micros) == (2, 0, 0)
    assert [v.reused for v in await scene.store.verdicts(run.row, ALL, after=-1, limit=10)] == [True, True]


async def test_a_run_counts_what_its_own_parser_reads(scene: Scene) -> None:
    """Of several readings of an answer, that of the run's own parser counts, and the source's before any."""
    keys = await scene.keys(2)
    unreadable = Reading("newer", None, "two verdicts")
    await scene.store.commit(TENANT, None, [scene.called(key, None) for key in keys])
    await scene.store.commit(TENANT, None, [scene.called(key, None, reading=unreadable) for key in keys])
    source = Reading(SOURCE_PARSER, Preference.TIE)
    await scene.store.commit(TENANT, None, [scene.called(keys[1], None, reading=source)])
    run = await scene.run()
    answered = (await scene.permit(keys, run)).answered

    found = [Settled(key, scene.item(n), answer=answered[key].answer) for n, key in enumerate(keys)]
    await scene.store.commit(TENANT, run.row, found)

    seen = await scene.store.verdicts(run.row, ALL, after=-1, limit=10)
    assert (await scene.store.run(TENANT, "run-1")).counts.by_status == {"ok": 2}
    assert [v.reading for v in seen] == [Reading("brackets", Preference.FIRST), source]
    assert {len(stored.readings) for stored in answered.values()} == {2, 3}


async def test_a_key_twice_in_a_request_is_granted_once(scene: Scene) -> None:
    """Two equal showings share one call."""
    run = await scene.run()
    [key] = await scene.keys(1)

    permit = await scene.permit([key, key], run)

    assert list(permit.granted) == [key]
    assert permit.refused == ""


async def test_no_permit_after_cancel(scene: Scene) -> None:
    """A run that is told to cancel calls nobody any more; a call in flight still commits."""
    run = await scene.run()
    keys = await scene.keys(2)
    attempt = (await scene.permit(keys[:1], run)).granted[keys[0]]
    assert await scene.store.move_run(run.row, RunState.CANCELLING)

    permit = await scene.permit(keys, run)
    await scene.store.commit(TENANT, run.row, [scene.called(keys[0], attempt, 0)])

    assert (dict(permit.granted), permit.refused) == ({}, "CANCELLED")
    assert (await scene.store.run(TENANT, "run-1")).counts.by_status == {"ok": 1}


async def test_no_permit_for_a_run_that_rests(scene: Scene) -> None:
    """A run that is done, failed or paused gets no permit, and neither does one that is not there."""
    run = await scene.run()
    [key] = await scene.keys(1)
    await scene.store.move_run(run.row, RunState.PAUSED, reason="NO_CREDENTIAL")

    assert (await scene.permit([key], run)).refused == "NOT_RUNNING"


async def test_a_lost_attempt_is_booked_as_spent(scene: Scene) -> None:
    """An attempt past its time counts at its worst cost, and its key may be called again."""
    run = await scene.run()
    [key] = await scene.keys(1)
    lost = (await scene.permit([key], run, worst=50)).granted[key]
    assert (await scene.permit([key], run)).busy == {key}
    await passed(scene.store, scene.clock, 75)

    again = (await scene.permit([key], run)).granted[key]

    after = await scene.store.run(TENANT, "run-1")
    assert again != lost
    assert (after.cost_micros, after.counts.repeated) == (50, 1)
    assert after.revision > run.revision
    await scene.store.commit(TENANT, run.row, [scene.called(key, lost, 0)])
    late = await scene.store.run(TENANT, "run-1")
    assert (late.cost_micros, late.counts.by_status) == (50, {"ok": 1})


async def test_a_starting_process_books_all_live_attempts(scene: Scene) -> None:
    """What a dead process was calling is booked as spent when the next one starts."""
    run = await scene.run()
    keys = await scene.keys(3)
    await scene.permit(keys[:2], run, worst=50)
    await scene.permit(keys[2:], None, worst=50)

    assert await scene.store.orphan_attempts() == 3

    assert await scene.store.orphan_attempts() == 0
    assert (await scene.store.run(TENANT, "run-1")).cost_micros == 100
    assert len((await scene.permit(keys, run)).granted) == 3


async def test_two_overlapping_runs_pay_each_key_once(scene: Scene) -> None:
    """Two runs at once over the same keys call each of them once between them."""
    runs = [await scene.run(f"run-{n}") for n in range(2)]
    keys = await scene.keys(40)

    async def work(which: int) -> int:
        todo, calls = list(keys), 0
        while todo:
            permit = await scene.permit(todo[:8], runs[which])
            done = [scene.called(k, attempt, keys.index(k)) for k, attempt in permit.granted.items()]
            done += [
                Settled(k, scene.item(keys.index(k)), answer=stored.answer) for k, stored in permit.answered.items()
            ]
            await asyncio.sleep(0)
            await scene.store.commit(TENANT, runs[which].row, done)
            calls += len(permit.granted)
            settled = {one.key for one in done}
            todo = [k for k in todo if k not in settled]
            todo = todo[1:] + todo[:1]
        return calls

    calls = await asyncio.gather(work(0), work(1))

    after = [await scene.store.run(TENANT, f"run-{n}") for n in range(2)]
    assert sum(calls) == 40 == sum(run.counts.calls for run in after)
    assert [run.counts.by_status for run in after] == [{"ok": 40}, {"ok": 40}]
    assert sum(run.counts.reused for run in after) == 40
    assert sum(run.counts.repeated for run in after) == 0


async def test_a_budget_of_calls_is_kept(scene: Scene) -> None:
    """No more calls are granted than the budget allows, those in flight included."""
    run = await scene.run(budget=Budget(calls=3))
    keys = await scene.keys(5)
    first = await scene.permit(keys[:2], run)

    second = await scene.permit(keys[2:], run)

    assert (len(first.granted), first.refused) == (2, "")
    assert (list(second.granted), second.refused) == ([keys[2]], "BUDGET_STOPPED")
    await scene.store.commit(TENANT, run.row, [scene.called(k, a, n) for n, (k, a) in enumerate(first.granted.items())])
    assert (await scene.permit(keys[3:], run)).refused == "BUDGET_STOPPED"
    assert (await scene.permit(keys[:2], run)).refused == ""


async def test_a_budget_in_money_is_kept_at_the_worst_cost(scene: Scene) -> None:
    """A call is granted only if it fits the budget at its worst cost; what it really cost is free again."""
    run = await scene.run(budget=Budget(cost_micros=100))
    keys = await scene.keys(5)

    first = await scene.permit(keys[:3], run, worst=40)

    assert (len(first.granted), first.refused) == (2, "BUDGET_STOPPED")
    await scene.store.commit(TENANT, run.row, [scene.called(k, a, n) for n, (k, a) in enumerate(first.granted.items())])
    assert len((await scene.permit(keys[2:], run, worst=40)).granted) == 2


async def test_a_lost_attempt_counts_against_the_budget_of_calls(scene: Scene) -> None:
    """An attempt nobody settled may have been a call, so it uses up the budget."""
    run = await scene.run(budget=Budget(calls=1))
    keys = await scene.keys(1)
    await scene.permit(keys, run)
    await passed(scene.store, scene.clock, 75)

    assert (await scene.permit(keys, run)).refused == "BUDGET_STOPPED"


async def test_a_request_id_makes_one_run(scene: Scene) -> None:
    """The same request again gives the run as it is now; with another body it is refused."""
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
    """A run comes back with its spec and judges as they were stored, and the list is newest first."""
    new = scene.new_run("run-1", budget=Budget(5, 6))
    made = await scene.store.create_run(TENANT, new)
    await scene.run("run-2")

    assert (made.spec, made.judges, made.plan_hash) == (new.spec, new.judges, "plan")
    assert (made.state, made.counts.planned, made.create_time) == (RunState.QUEUED, 100, 1000.0)
    assert [run.run_id for run in await scene.store.runs(TENANT, "d", 0, 10)] == ["run-2", "run-1"]
    newest = (await scene.store.runs(TENANT, "", 0, 1))[0]
    assert [run.run_id for run in await scene.store.runs(TENANT, "", newest.row, 10)] == ["run-1"]
    assert await scene.store.runs(TENANT, "other", 0, 10) == []
    assert await scene.store.changes([made.row, newest.row]) == {made.row: 1, newest.row: newest.revision}
    with pytest.raises(NotFound):
        await scene.store.run(TENANT, "run-3")
    with pytest.raises(NotFound):
        await scene.store.run("another", "run-1")


async def test_states_change_by_the_table_only(scene: Scene) -> None:
    """A change the table of states doesn't have is refused and changes nothing."""
    run = await scene.run()
    scene.clock.time = 2000.0
    assert await scene.store.unfinished() == [(TENANT, "run-1")]

    assert not await scene.store.move_run(run.row, RunState.CANCELLED)
    assert await scene.store.run(TENANT, "run-1") == run
    assert await scene.store.move_run(run.row, RunState.FAILED, reason="X", message="why", rest=ItemState.CANCELLED)

    failed = await scene.store.run(TENANT, "run-1")
    assert (failed.state, failed.reason, failed.message, failed.end_time) == (RunState.FAILED, "X", "why", 2000.0)
    assert failed.rest is ItemState.CANCELLED
    assert failed.revision == run.revision + 1
    assert await scene.store.unfinished() == []


async def test_a_run_says_why_it_is_where_it_is(scene: Scene) -> None:
    """Told only while it is there still: a run that went on meanwhile is not called back."""
    run = await scene.store.create_run(TENANT, scene.new_run("run-1"))

    told = await scene.store.explain_run(run.row, RunState.QUEUED, "ENGINE_UNAVAILABLE", "nobody answers")
    queued = await scene.store.run(TENANT, "run-1")
    await scene.store.move_run(run.row, RunState.RUNNING)
    late = await scene.store.explain_run(run.row, RunState.QUEUED, "ENGINE_UNAVAILABLE", "nobody answers")
    running = await scene.store.run(TENANT, "run-1")

    assert (told, queued.state, queued.reason, queued.message) == (
        True,
        RunState.QUEUED,
        "ENGINE_UNAVAILABLE",
        "nobody answers",
    )
    assert queued.revision == run.revision + 1
    assert (late, running.state, running.reason) == (False, RunState.RUNNING, "")


async def test_a_reopened_run_forgets_what_has_no_verdict(scene: Scene) -> None:
    """Resuming keeps verdicts, forgets failures, and takes the new budget; a run at work can't be reopened."""
    run = await scene.run()
    keys = await scene.keys(2)
    await scene.answer(keys[:1], run)
    await scene.store.commit(TENANT, run.row, [Settled(keys[1], scene.item(1), state=ItemState.TRANSPORT_ERROR)])
    assert not await scene.store.reopen_run(run.row, None)
    await scene.store.move_run(run.row, RunState.DONE, rest=ItemState.BUDGET_STOPPED)

    assert await scene.store.reopen_run(run.row, Budget(calls=9))

    after = await scene.store.run(TENANT, "run-1")
    assert (after.state, after.end_time, after.rest) == (RunState.QUEUED, None, None)
    assert (after.counts.by_status, after.spec.budget) == ({"ok": 1}, Budget(calls=9))
    assert await scene.store.done_positions(run.row, 0, 100) == {0}
    assert [v.position for v in await scene.store.verdicts(run.row, ALL, after=-1, limit=10)] == [0]


async def test_reopening_without_a_budget_keeps_the_old_one(scene: Scene) -> None:
    """A paused or waiting run is queued again as it was."""
    run = await scene.run(budget=Budget(calls=4))
    await scene.store.move_run(run.row, RunState.WAITING, reason="PROVIDER_DOWN")

    assert await scene.store.reopen_run(run.row, None)

    after = await scene.store.run(TENANT, "run-1")
    assert (after.state, after.reason, after.spec.budget) == (RunState.QUEUED, "", Budget(calls=4))


async def test_what_may_have_been_paid_counts_as_spent(scene: Scene) -> None:
    """A call that broke off is booked at what it may have cost, beside what a reply cost; once, also if repeated."""
    run = await scene.run()
    one, two = await scene.keys(2)
    granted = (await scene.permit([one, two], run)).granted
    failed = Settled(one, scene.item(0), granted[one], state=ItemState.TRANSPORT_ERROR, calls=2, lost_micros=30)
    done = [failed, scene.called(two, granted[two], 1, lost_micros=15)]

    for _ in range(2):
        await scene.store.commit(TENANT, run.row, done)

    after = await scene.store.run(TENANT, "run-1")
    assert (after.cost_micros, after.counts.calls) == (30 + 15 + 7, 3)


async def test_a_failed_call_may_be_called_again(scene: Scene) -> None:
    """A call that failed settles its attempt and leaves a state, and its key is free."""
    run = await scene.run()
    [key] = await scene.keys(1)
    attempt = (await scene.permit([key], run)).granted[key]

    failed = Settled(key, scene.item(4), attempt, state=ItemState.TRANSPORT_ERROR, calls=5)
    await scene.store.commit(TENANT, run.row, [failed])

    after = await scene.store.run(TENANT, "run-1")
    assert (after.counts.by_status, after.counts.calls, after.cost_micros) == ({"transport_error": 1}, 5, 0)
    assert await scene.store.done_positions(run.row, 0, 4) == set()
    assert await scene.store.done_positions(run.row, 4, 5) == {4}
    assert list((await scene.permit([key], run)).granted) == [key]


async def test_interning_is_stable(scene: Scene) -> None:
    """The same digest has the same id in a tenant, and its own in another."""
    digests = [bytes([n % 7]) * 32 for n in range(20)]

    ids = await scene.store.intern(TENANT, digests)

    assert ids == await scene.store.intern(TENANT, digests)
    assert len(set(ids)) == 7
    assert not set(ids) & set(await scene.store.intern("another", digests))


async def test_tenants_share_no_answers(scene: Scene) -> None:
    """An answer of one tenant is not another's."""
    [key] = await scene.keys(1)

    await scene.store.commit("another", None, [scene.called(key, None)])

    assert list((await scene.permit([key])).granted) == [key]


async def test_a_reply_with_broken_unicode_is_kept(scene: Scene) -> None:
    """Half a surrogate pair in a reply doesn't lose the group it came with."""
    keys = await scene.keys(2)

    broken = scene.called(keys[0], None, reply=Reply("[[A]] \ud83d"))
    await scene.store.commit(TENANT, None, [broken, scene.called(keys[1], None)])

    assert set((await scene.permit(keys)).answered) == set(keys)


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


async def test_the_first_writer_of_a_round_wins(scene: Scene) -> None:
    """Law 5: of several who write a round at once one is kept, all read that one, and the run grows by it once."""
    run = await scene.run()
    plans = [bytes([1, n]) * 1000 for n in range(6)]

    stand = await asyncio.gather(*(scene.store.add_round(run.row, 0, plan, 200 + n) for n, plan in enumerate(plans)))

    after = await scene.store.run(TENANT, "run-1")
    [kept] = await scene.store.rounds(run.row, 0)
    assert [kept] * 6 == stand
    assert kept in plans
    assert (after.counts.planned, after.round, after.revision) == (200 + plans.index(kept), 1, run.revision + 1)


async def test_rounds_stand_in_their_order_and_the_end_is_none(scene: Scene) -> None:
    """Rounds are read from any on; a plan that begins with zero ends them, and counts as no round."""
    run = await scene.run()
    for number, plan in ((0, b"\1 first"), (1, b"\1 second"), (2, b"\0 no more")):
        await scene.store.add_round(run.row, number, plan, 100)

    [listed] = await scene.store.runs(TENANT, "d", 0, 10)
    assert [b"\1 second", b"\0 no more"] == await scene.store.rounds(run.row, 1)
    assert (listed.round, run.round) == (2, 0)
    with pytest.raises(NotFound):
        await scene.store.add_round(run.row + 1, 0, b"\1", 1)
