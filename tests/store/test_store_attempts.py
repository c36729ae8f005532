"""The contract of permits: what may be called, under which budget, and what happens to calls nobody settles."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from judge.domain.run import Budget, RunState
from judge.ports.records import Settled
from support.clocks import pass_time

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"


async def test_a_key_twice_in_a_request_is_granted_once(scene: Scene) -> None:
    """Two equal presentations share one call."""
    run = await scene.run()
    [key] = await scene.keys(1)

    permit = await scene.permit([key, key], run)

    assert list(permit.granted) == [key]
    assert permit.refused is None


async def test_no_permit_after_cancel(scene: Scene) -> None:
    """A run that is being cancelled gets no more permits, and a call in flight still commits."""
    run = await scene.run()
    keys = await scene.keys(2)
    attempt = (await scene.permit(keys[:1], run)).granted[keys[0]]
    assert await scene.store.move_run(run.row, RunState.CANCELLING)

    permit = await scene.permit(keys, run)
    await scene.store.commit(TENANT, run.row, [scene.called(keys[0], attempt, 0)])

    assert (dict(permit.granted), permit.refused) == ({}, "CANCELLED")
    assert (await scene.store.run(TENANT, "run-1")).counts.by_status == {"ok": 1}


async def test_no_permit_for_a_run_that_rests(scene: Scene) -> None:
    """A run that is done, failed or paused gets no permit, and neither does a run that does not exist."""
    run = await scene.run()
    [key] = await scene.keys(1)
    refused = []
    for state in (RunState.PAUSED, RunState.QUEUED, RunState.RUNNING, RunState.FAILED, RunState.QUEUED):
        assert await scene.store.move_run(run.row, state)
        refused.append((await scene.permit([key], run)).refused)
    await scene.store.move_run(run.row, RunState.RUNNING)
    await scene.store.move_run(run.row, RunState.DONE)
    refused += [(await scene.permit([key], ended)).refused for ended in (run, replace(run, row=run.row + 1))]

    assert refused == ["NOT_RUNNING", None, None, "NOT_RUNNING", None, "NOT_RUNNING", "CANCELLED"]


async def test_a_lost_attempt_is_booked_as_spent(scene: Scene) -> None:
    """An attempt past its time is booked at its worst cost, and its key may be called again."""
    run = await scene.run()
    [key] = await scene.keys(1)
    lost = (await scene.permit([key], run, worst=50)).granted[key]
    assert (await scene.permit([key], run)).busy == {key}
    await pass_time(scene.store, scene.clock, 75)

    again = (await scene.permit([key], run)).granted[key]

    after = await scene.store.run(TENANT, "run-1")
    assert again != lost
    assert (after.cost_micros, after.counts.repeated) == (50, 1)
    assert after.revision > run.revision
    await scene.store.commit(TENANT, run.row, [scene.called(key, lost, 0)])
    late = await scene.store.run(TENANT, "run-1")
    assert (late.cost_micros, late.counts.by_status) == (50, {"ok": 1})


async def test_a_starting_process_books_all_live_attempts(scene: Scene) -> None:
    """Calls in flight of a dead process are booked as spent when the next process starts."""
    run = await scene.run()
    keys = await scene.keys(3)
    await scene.permit(keys[:2], run, worst=50)
    await scene.permit(keys[2:], None, worst=50)

    assert await scene.store.orphan_attempts() == 3

    assert await scene.store.orphan_attempts() == 0
    assert (await scene.store.run(TENANT, "run-1")).cost_micros == 100
    assert len((await scene.permit(keys, run)).granted) == 3


async def test_two_overlapping_runs_pay_each_key_once(scene: Scene) -> None:
    """Two runs at the same time over the same keys call each key once between them."""
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
            settled = {presentation.key for presentation in done}
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
    """No more calls are granted than the budget allows, including those in flight."""
    run = await scene.run(budget=Budget(calls=3))
    keys = await scene.keys(5)
    first = await scene.permit(keys[:2], run)

    second = await scene.permit(keys[2:], run)

    assert (len(first.granted), first.refused) == (2, None)
    assert (list(second.granted), second.refused, second.over_budget) == ([keys[2]], None, True)
    await scene.store.commit(TENANT, run.row, [scene.called(k, a, n) for n, (k, a) in enumerate(first.granted.items())])
    assert (await scene.permit(keys[3:], run)).over_budget
    await scene.store.commit(TENANT, run.row, [scene.called(keys[2], second.granted[keys[2]], 2)])
    assert (await scene.permit(keys[3:], run)).refused == "BUDGET_STOPPED"
    assert (await scene.permit(keys[:2], run)).refused is None


async def test_a_budget_in_money_is_kept_at_the_worst_cost(scene: Scene) -> None:
    """A call is granted only if the budget covers its worst cost. When it is settled, only its real cost counts."""
    run = await scene.run(budget=Budget(cost_micros=100))
    keys = await scene.keys(5)

    first = await scene.permit(keys[:3], run, worst=40)

    assert (len(first.granted), first.refused, first.over_budget) == (2, None, True)
    await scene.store.commit(TENANT, run.row, [scene.called(k, a, n) for n, (k, a) in enumerate(first.granted.items())])
    assert len((await scene.permit(keys[2:], run, worst=40)).granted) == 2


async def test_a_lost_attempt_counts_against_the_budget_of_calls(scene: Scene) -> None:
    """An attempt that nobody settled may have been a call, so it counts against the budget."""
    run = await scene.run(budget=Budget(calls=1))
    keys = await scene.keys(1)
    await scene.permit(keys, run)
    await pass_time(scene.store, scene.clock, 75)

    assert (await scene.permit(keys, run)).refused == "BUDGET_STOPPED"


async def test_a_budget_stops_a_run_only_when_nothing_is_in_flight(scene: Scene) -> None:
    """A call that does not fit waits for calls in flight to settle at their real cost, whichever worker makes them."""
    run = await scene.run(budget=Budget(cost_micros=100))
    keys = await scene.keys(4)
    first = await scene.permit(keys[:1], run, worst=60)

    during = await scene.permit(keys[1:], run, worst=60)
    await scene.store.commit(TENANT, run.row, [scene.called(keys[0], first.granted[keys[0]], 0)])
    after = await scene.permit(keys[1:2], run, worst=60)
    await scene.store.commit(TENANT, run.row, [scene.called(keys[1], after.granted[keys[1]], 1)])
    last = await scene.permit(keys[2:], run, worst=90)

    assert (during.granted, during.refused, during.over_budget) == ({}, None, True)
    assert (list(after.granted), after.over_budget) == ([keys[1]], False)
    assert (last.granted, last.refused, last.over_budget) == ({}, "BUDGET_STOPPED", False)


async def test_a_budget_does_not_wait_for_calls_that_nobody_settles(scene: Scene) -> None:
    """What a dead worker had in flight is booked at its worst once its time is over, even if nobody asks for it."""
    run = await scene.run(budget=Budget(cost_micros=100))
    keys = await scene.keys(3)
    await scene.permit(keys[:1], run, worst=60)
    assert (await scene.permit(keys[1:2], run, worst=60)).over_budget

    await pass_time(scene.store, scene.clock, 75)
    dear = await scene.permit(keys[1:2], run, worst=60)
    cheap = await scene.permit(keys[1:2], run, worst=40)

    assert (dear.refused, list(cheap.granted)) == ("BUDGET_STOPPED", [keys[1]])
    assert (await scene.store.run(TENANT, "run-1")).cost_micros == 60


async def test_a_retry_reserves_again_within_the_budget(scene: Scene) -> None:
    """More is reserved only while the attempt is live, and as far as the budget allows."""
    run = await scene.run(budget=Budget(cost_micros=100))
    keys = await scene.keys(2)
    attempt = (await scene.permit(keys[:1], run, worst=40)).granted[keys[0]]

    answers = [await scene.store.reserve_again(attempt, micros) for micros in (50, 11, 10)]
    full = await scene.permit(keys[1:], run, worst=1)
    await scene.store.commit(TENANT, run.row, [scene.called(keys[0], attempt, 0)])
    late = await scene.store.reserve_again(attempt, 1)

    assert (answers, full.over_budget, late) == ([True, False, True], True, False)
