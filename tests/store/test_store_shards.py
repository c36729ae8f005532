"""Attempts at shards that were lost with their process are counted as long as they settle nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.domain.run import Run, RunState
from judge.ports.records import Fence, Losses, NewBatch, PermitRequest

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
LAST = 500


async def attempt(scene: Scene, run: Run, *, alive: int = 0, waited: bool = False) -> tuple[Fence, int]:
    """Begin the shard as an engine does. Return its fence, and how many attempts before it were lost."""
    losses = await scene.store.shard_losses(run.row, 0, LAST, alive=alive, waited=waited)
    number = await scene.store.begin_shard(run.row, 0, losses)
    return Fence(0, number or 0), losses.lost


async def test_attempts_that_end_with_their_process_are_counted(scene: Scene) -> None:
    """Each attempt that nobody ended and that settled nothing counts as lost, whatever it was calling."""
    run = await scene.run()
    keys = await scene.keys(1)

    lost = []
    for _ in range(6):
        fence, before = await attempt(scene, run)
        await scene.store.permit(
            TENANT, PermitRequest(keys=keys, run=run.row, worst_micros=10, seconds=60, fence=fence)
        )
        lost.append(before)

    assert lost == [0, 1, 2, 3, 4, 5]


async def test_progress_resets_the_count(scene: Scene) -> None:
    """If an attempt settles something, the shard is not to blame. What another shard settles does not count."""
    run = await scene.run()
    keys = await scene.keys(3)

    lost = []
    for position in (None, LAST, 0, None, 1, None):
        lost.append((await attempt(scene, run))[1])
        if position is not None:
            await scene.store.commit(TENANT, run.row, [scene.called(keys[position % 3], None, position)])

    assert lost == [0, 1, 2, 0, 1, 0]


async def test_an_attempt_that_ended_in_order_is_not_lost(scene: Scene) -> None:
    """It does not reset the losses before it, and an older attempt cannot end the newest one."""
    run = await scene.run()
    old, _ = await attempt(scene, run)
    new, first = await attempt(scene, run)

    await scene.store.leave_shard(run.row, old)
    superseded = await scene.store.shard_losses(run.row, 0, LAST)
    await scene.store.leave_shard(run.row, new)
    _, after = await attempt(scene, run)

    assert (first, superseded, after) == (1, Losses(2), 1)


async def test_an_attempt_of_a_living_process_is_not_lost(scene: Scene) -> None:
    """A process whose full store could not record the end of an attempt knows that it is not lost."""
    run = await scene.run()
    fence, _ = await attempt(scene, run)

    _, lost = await attempt(scene, run, alive=fence.attempt)

    assert lost == 0


async def test_an_attempt_lost_while_the_run_waits_for_something_outside_is_not_counted(scene: Scene) -> None:
    """Servers may restart while a provider is down. Attempts that were lost before that still count."""
    run = await scene.run()
    await attempt(scene, run)

    lost = [(await attempt(scene, run, waited=waited))[1] for waited in (False, True, True, False)]

    assert lost == [1, 1, 1, 2]


async def test_an_attempt_lost_while_a_provider_has_the_batch_is_not_counted(scene: Scene) -> None:
    """A batch may take a day, in which nothing is settled."""
    run = await scene.run()
    keys = await scene.keys(2)
    fence, _ = await attempt(scene, run)
    batch = NewBatch([0, 1], "mark")
    await scene.store.permit(
        TENANT, PermitRequest(keys=keys, run=run.row, worst_micros=10, seconds=1e6, fence=fence, batch=batch)
    )

    lost = [(await attempt(scene, run))[1] for _ in range(3)]

    assert lost == [0, 0, 0]


async def test_reopening_a_run_resets_the_count(scene: Scene) -> None:
    """Whoever resumes a run has fixed the cause, or wants to find it."""
    run = await scene.run()
    keys = await scene.keys(1)
    await scene.store.commit(TENANT, run.row, [scene.called(keys[0], None, 0)])
    lost = [(await attempt(scene, run))[1] for _ in range(3)]
    await scene.store.move_run(run.row, RunState.DONE)

    await scene.store.reopen_run(run.row, None)

    assert [*lost, (await attempt(scene, run))[1]] == [0, 1, 2, 0]
