"""Shards that wait for a run's budget are woken when a call of the run settles in their process."""

from __future__ import annotations

import asyncio

from judge.execution.progress import Settlements


async def test_all_that_wait_are_woken_by_the_next_settlement() -> None:
    """Nobody waits for a clock: the settlement itself ends the wait."""
    settlements = Settlements()
    waiting = [asyncio.create_task(settlements.after(0)) for _ in range(2)]
    await asyncio.sleep(0)
    early = [task.done() for task in waiting]

    settlements.note()
    await asyncio.gather(*waiting)

    assert early == [False, False]


async def test_a_settlement_before_the_wait_is_not_missed() -> None:
    """A shard notes the number before it requests a permit, so what settles while it is refused counts."""
    settlements = Settlements()
    number = settlements.number

    settlements.note()

    async with asyncio.timeout(10):
        await settlements.after(number)
    assert settlements.number == 1
