"""Attempts at shards that were lost with their process: counted as long as nothing comes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.domain.run import Run, RunState
from judge.ports.records import Fence, Losses, NewBatch, PermitRequest

if TYPE_CHECKING:
    from support.scene import Scene

TENANT = "default"
LAST = 500


async def attempt(scene: Scene, run: Run, *, alive: int = 0, waited: bool = False) -> tuple[Fence, int]:
    """Begin the shard as an engine does; its fence, and how many attempts before it were lost."""
    losses = await scene.store.shard_losses(run.row, 0, LAST, alive=alive, waited=waited)
    number = await scene.store.begin_shard(run.row, 0, losses)
    return Fence(0, number or 0), losses.lost


async def test_attempts_that_end_with_their_process_are_counted(scene: Scene) -> None:
    """Each that nobody ended and in which nothing was settled, whatever it was calling."""
    run = await scene.run()
    keys = await scene.keys(1)

    lost = []
    for _ in range(6):
        fence, before = await attempt(scene, run)
        await scene.store.permit(TENANT, PermitRequest(keys, run.row, 10, 60, fence=fence))
        lost.append(before)

    assert lost == [0, 1, 2, 3, 4, 5]


async def test_progress_begins_the_count_anew(scene: Scene) -> None:
    """An attempt in which something was settled failed for no reason of the shard's own; another shard's is none."""
    run = await scene.run()
    keys = await scene.keys(3)

    lost = []
    for position in (None, LAST, 0, None, 1, None):
        lost.append((await attempt(scene, run))[1])
        if position is not None:
            await scene.store.commit(TENANT, run.row, [scene.called(keys[position % 3], None, position)])

    assert lost == [0, 1, 2, 0, 1, 0]


async def test_an_attempt_that_ended_in_order_is_not_lost(scene: Scene) -> None:
    """Nor does it take back what was lost before it; an older attempt's word counts for nothing."""
    run = await scene.run()
    old, _ = await attempt(scene, run)
    new, first = await attempt(scene, run)

    await scene.store.leave_shard(run.row, old)
    superseded = await scene.store.shard_losses(run.row, 0, LAST)
    await scene.store.leave_shard(run.row, new)
    _, after = await attempt(scene, run)

    assert (first, superseded, after) == (1, Losses(2), 1)


async def test_an_attempt_of_a_living_process_is_not_lost(scene: Scene) -> None:
    """Its store had no room for a word of its end: it knows better itself."""
    run = await scene.run()
    fence, _ = await attempt(scene, run)

    _, lost = await attempt(scene, run, alive=fence.attempt)

    assert lost == 0


async def test_who_dies_while_the_run_waits_for_something_outside_is_not_counted(scene: Scene) -> None:
    """A provider may be down for an hour, in which servers are restarted; what was lost before stays lost."""
    run = await scene.run()
    await attempt(scene, run)

    lost = [(await attempt(scene, run, waited=waited))[1] for waited in (False, True, True, False)]

    assert lost == [1, 1, 1, 2]


async def test_who_dies_while_a_provider_has_the_batch_is_not_counted(scene: Scene) -> None:
    """A batch takes a day, and nothing is settled in it."""
    run = await scene.run()
    keys = await scene.keys(2)
    fence, _ = await attempt(scene, run)
    batch = NewBatch([0, 1], "mark")
    await scene.store.permit(TENANT, PermitRequest(keys, run.row, 10, 1e6, fence=fence, batch=batch))

    lost = [(await attempt(scene, run))[1] for _ in range(3)]

    assert lost == [0, 0, 0]


async def test_a_reopened_run_begins_the_count_anew(scene: Scene) -> None:
    """Whoever resumes it has mended something, or wants to know."""
    run = await scene.run()
    keys = await scene.keys(1)
    await scene.store.commit(TENANT, run.row, [scene.called(keys[0], None, 0)])
    lost = [(await attempt(scene, run))[1] for _ in range(3)]
    await scene.store.move_run(run.row, RunState.DONE)

    await scene.store.reopen_run(run.row, None)

    assert ([*lost, (await attempt(scene, run))[1]]) == [0, 1, 2, 0]
