"""The contract of budgets in money: what a call reserves, what it leaves, and what a lost call is booked as."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from judge.domain.run import Budget
from judge.domain.spending import EnteredCost, OpenCalls, Overrun
from judge.domain.usage import Usage
from judge.domain.verdict import CallKey, Reply
from judge.ports.records import NewBatch, Permit, PermitRequest
from judge.ports.run_rows import RunQuery
from judge.store.recent_costs import RecentCosts
from support.clocks import pass_time

if TYPE_CHECKING:
    from judge.domain.run import Run
    from judge.ports.records import Settled
    from support.scene import Scene

TENANT = "default"


def called(scene: Scene, key: CallKey, attempt: int, cost: int) -> Settled:
    """Return an answered call that costs *cost* micro-USD."""
    return scene.called(key, attempt, reply=Reply("[[A]]", usage=Usage(cost_micros=cost)))


async def settle(scene: Scene, run: Run, permit: Permit, *, cost: int) -> None:
    """Answer every call of *permit* for *cost* micro-USD."""
    done = [called(scene, key, attempt, cost) for key, attempt in permit.granted.items()]
    await scene.store.commit(TENANT, run.row, done)


async def spend(scene: Scene, run: Run, keys: Sequence[CallKey], *, cost: int, worst: int) -> None:
    """Call *keys* one at a time, each for *cost* micro-USD."""
    for key in keys:
        await settle(scene, run, await scene.permit([key], run, worst=worst), cost=cost)


async def permit_batch(scene: Scene, run: Run, keys: Sequence[CallKey], *, mark: str, first: int) -> Permit:
    """Ask for a permit for a provider's batch of *keys*, each for at most 100 micro-USD."""
    batch = NewBatch(range(first, first + len(keys)), mark)
    return await scene.store.permit(
        TENANT, PermitRequest(keys=keys, run=run.row, worst_micros=100, seconds=60, batch=batch)
    )


async def test_after_ten_answers_a_call_reserves_what_recent_calls_cost(scene: Scene) -> None:
    """The tenth answer frees what the worst cost reserves beyond 1.25 times the dearest; one call keeps its worst."""
    run = await scene.run(budget=Budget(cost_micros=1000))
    keys = await scene.keys(250)
    await spend(scene, run, keys[:9], cost=4, worst=100)

    before = await scene.permit(keys[9:], run, worst=100)
    first = next(iter(before.granted.items()))
    await scene.store.commit(TENANT, run.row, [called(scene, *first, 4)])
    after = await scene.permit(keys[20:], run, worst=100)

    assert (len(before.granted), before.over_budget) == (9, True)
    assert (len(after.granted), after.over_budget) == ((1000 - 40 - 95) // 5 - 8, True)


async def test_under_a_hard_budget_every_call_reserves_its_worst(scene: Scene) -> None:
    """However many calls were answered, so nothing exceeds it; a lost call is booked at its worst, too."""
    run = await scene.run(budget=Budget(cost_micros=1000, hard=True))
    keys = await scene.keys(60)
    await spend(scene, run, keys[:10], cost=4, worst=100)

    permit = await scene.permit(keys[10:], run, worst=100)
    await scene.store.orphan_attempts()

    assert (len(permit.granted), permit.over_budget) == (9, True)
    assert (await scene.store.run(TENANT, run.run_id)).cost_micros == 40 + 9 * 100


async def test_a_bill_above_the_maximum_raises_what_calls_reserve(scene: Scene) -> None:
    """By the largest factor in the run, of this judge alone, for calls in flight too, and after a restart."""
    run = await scene.run(budget=Budget(cost_micros=1000, hard=True))
    keys = await scene.keys(40)
    flying = await scene.permit(keys[:3], run, worst=100)
    first, second, third = flying.granted.items()
    for (key, attempt), cost in ((first, 250), (second, 120)):
        billed = called(scene, key, attempt, cost)._replace(overrun=Overrun(cost, 100, output_tokens=5000))
        await scene.store.commit(TENANT, run.row, [billed])

    after = await scene.permit(keys[3:], run, worst=100)
    await scene.store.commit(TENANT, run.row, [called(scene, *third, 250)])
    other = PermitRequest(keys=keys[20:], run=run.row, worst_micros=60, seconds=60, judge=1)
    of_other_judge = await scene.store.permit(TENANT, other)
    await scene.store.orphan_attempts()

    # 1000 - 370 spent - 250 in flight leave room for one call of at most 250.
    assert (len(after.granted), after.over_budget) == (1, True)
    # 1000 - 620 spent - 250 in flight leave room for two of the other judge's.
    assert len(of_other_judge.granted) == 2
    ended = await scene.store.run(TENANT, run.run_id)
    assert ended.cost_micros == 620 + 250 + 2 * 60
    assert ended.overruns == (Overrun(250, 100, output_tokens=5000), None)


async def test_calls_that_have_not_settled_are_counted_with_their_run(scene: Scene) -> None:
    """At the most that they and their earlier tries cost, raised after a bill above the maximum."""
    run, idle = await scene.run("busy", budget=Budget(cost_micros=10_000)), await scene.run("idle")
    keys = await scene.keys(20)
    attempts = (await scene.permit(keys[:3], run, worst=100)).granted
    await scene.store.reserve_again(attempts[keys[0]], 30)
    await permit_batch(scene, run, keys[10:12], mark="m", first=10)
    before = (await scene.store.run(TENANT, run.run_id)).open
    billed = called(scene, keys[2], attempts[keys[2]], 150)._replace(overrun=Overrun(150, 100))
    await scene.store.commit(TENANT, run.row, [billed])

    listed = await scene.store.runs(TENANT, RunQuery(), 0, 10)

    assert before == OpenCalls(calls=6, cost_micros=30 + 5 * 100, batched=2)
    after = OpenCalls(calls=5, cost_micros=30 + 4 * 150, batched=2)
    assert {row.run_id: row.open for row in listed} == {run.run_id: after, idle.run_id: OpenCalls()}


async def test_a_retry_takes_from_a_budget_of_calls(scene: Scene) -> None:
    """A call that is made again counts as another one, while it is in flight and if it is lost with its process."""
    run = await scene.run(budget=Budget(calls=6))
    keys = await scene.keys(8)
    attempts = (await scene.permit(keys[:3], run)).granted

    again = [await scene.store.reserve_again(attempts[keys[0]], 0) for _ in range(4)]
    more = await scene.permit(keys[3:], run)
    lost = await scene.store.orphan_attempts()

    assert again == [True, True, True, False]
    assert (more.granted, lost) == ({}, 3)
    assert (await scene.store.run(TENANT, run.run_id)).counts.calls == 6
    assert (await scene.permit(keys[3:], run)).refused == "BUDGET_STOPPED"


async def test_nine_tenths_are_spent_however_dear_the_worst_call_is(scene: Scene) -> None:
    """With a worst of 40 times the cost and of four tenths of the budget, a run stops beyond nine tenths."""
    run = await scene.run(budget=Budget(cost_micros=100))
    keys = await scene.keys(100)

    await spend(scene, run, keys[:91], cost=1, worst=40)
    last = await scene.permit(keys[91:], run, worst=40)

    assert (last.granted, last.refused) == ({}, "BUDGET_STOPPED")
    assert (await scene.store.run(TENANT, run.run_id)).cost_micros == 91


async def test_one_dear_call_raises_what_all_calls_reserve(scene: Scene) -> None:
    """Once a dear call settles, the calls in flight reserve more, too."""
    run = await scene.run(budget=Budget(cost_micros=1000))
    keys = await scene.keys(60)
    await spend(scene, run, keys[:10], cost=4, worst=100)
    flying = await scene.permit(keys[10:20], run, worst=100)

    first = next(iter(flying.granted.items()))
    await scene.store.commit(TENANT, run.row, [called(scene, *first, 80)])
    after = await scene.permit(keys[20:], run, worst=100)

    assert len(flying.granted) == 10
    assert (after.granted, after.over_budget) == ({}, True)


def test_a_dear_call_is_forgotten_after_two_windows() -> None:
    """The dearest of the last 200 to 399 answered calls counts."""
    costs = RecentCosts().plus([100])

    assert costs.plus([1] * 8).bound == math.inf
    assert costs.plus([1] * 399).bound == 125
    assert costs.plus([1] * 400).bound == 2
    assert costs.plus([0] * 400).bound == 1


async def test_a_lost_call_is_booked_at_what_it_reserved_and_counted(scene: Scene) -> None:
    """Under a budget in money that is what recent calls cost; without one it is the most that a call can cost."""
    runs = [await scene.run("limited", budget=Budget(cost_micros=1000)), await scene.run("free")]
    keys = await scene.keys(24)
    for run, mine in zip(runs, (keys[:12], keys[12:]), strict=True):
        await spend(scene, run, mine[:10], cost=4, worst=100)
        await scene.permit(mine[10:], run, worst=100)

    assert await scene.store.orphan_attempts() == 4

    after = [await scene.store.run(TENANT, run.run_id) for run in runs]
    assert [run.cost_micros for run in after] == [40 + 2 * 5, 40 + 2 * 100]
    assert [(run.counts.calls, run.spent[0].uncounted) for run in after] == [(12, 2), (12, 2)]


async def test_a_lost_retry_is_booked_with_its_earlier_tries(scene: Scene) -> None:
    """What was reserved again for failed tries is booked besides the try that was lost."""
    run = await scene.run(budget=Budget(cost_micros=1000))
    keys = await scene.keys(11)
    await spend(scene, run, keys[:10], cost=4, worst=100)
    attempt = (await scene.permit(keys[10:], run, worst=100)).granted[keys[10]]

    assert await scene.store.reserve_again(attempt, 100)
    await scene.store.orphan_attempts()

    assert (await scene.store.run(TENANT, run.run_id)).cost_micros == 40 + 100 + 5


async def test_a_batch_reserves_its_worst_whatever_batches_before_it_cost(scene: Scene) -> None:
    """Answers from batches do not count as recent, so the next batch is cut to what fits at its worst."""
    run = await scene.run(budget=Budget(cost_micros=1000))
    keys = await scene.keys(40)
    await settle(scene, run, await permit_batch(scene, run, keys[:10], mark="one", first=0), cost=4)

    second = await permit_batch(scene, run, keys[10:], mark="two", first=10)

    assert (len(second.granted), second.over_budget) == (9, True)


async def test_a_providers_own_total_replaces_what_was_counted(scene: Scene) -> None:
    """The judge's cost becomes the total, nothing is uncounted any more, and the budget allows calls again.

    The run keeps what was entered and when, beside what had been counted: also after more calls and another total.
    """
    run = await scene.run(budget=Budget(cost_micros=100))
    keys = await scene.keys(3)
    await scene.permit(keys[:1], run, worst=90)
    early = await scene.store.set_cost(run.row, 0, 20)
    await scene.store.orphan_attempts()
    lost = await scene.store.run(TENANT, run.run_id)

    assert await scene.store.set_cost(run.row, 0, 20)

    after = await scene.store.run(TENANT, run.run_id)
    assert not early
    assert (lost.cost_micros, lost.spent[0].uncounted) == (90, 1)
    assert (after.cost_micros, after.spent[0].cost_micros, after.spent[0].uncounted) == (20, 20, 0)
    assert after.revision > lost.revision
    assert after.spent[0].entered == EnteredCost(cost_micros=20, counted_micros=90, time=scene.clock.now())
    await spend(scene, run, keys[1:2], cost=7, worst=80)
    later = (await scene.store.run(TENANT, run.run_id)).spent[0]
    assert (later.cost_micros, later.counted_micros, later.entered) == (27, 97, after.spent[0].entered)
    assert await scene.store.set_cost(run.row, 0, 25)
    again = (await scene.store.run(TENANT, run.run_id)).spent[0].entered
    assert again == EnteredCost(cost_micros=25, counted_micros=97, time=scene.clock.now())


async def test_calls_past_their_time_do_not_keep_a_total_from_being_entered(scene: Scene) -> None:
    """They are booked as lost: no process settles them, and a run that has ended asks for no permit that would."""
    run = await scene.run()
    keys = await scene.keys(2)
    await scene.permit(keys, run, worst=90)
    early = await scene.store.set_cost(run.row, 0, 20)

    await pass_time(scene.store, scene.clock, 75)
    late = await scene.store.set_cost(run.row, 0, 20)

    after = await scene.store.run(TENANT, run.run_id)
    assert (early, late) == (False, True)
    assert (after.counts.calls, after.cost_micros, after.spent[0].uncounted, after.open.calls) == (2, 20, 0, 0)
