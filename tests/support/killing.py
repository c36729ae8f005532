"""Processes that are killed while they have calls in flight."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from support.call_journal import Faked
from support.child_processes import Child

PATIENT = 60.0
"""Seconds that a call may take: longer than a process takes to start while nothing is answered."""


async def killing(fake: Faked, moments: Sequence[int], victims: Sequence[Child], rng: random.Random) -> None:
    """Kill one of *victims* each time that so many calls were begun, with calls in flight, and start it again.

    The run goes on while it starts, but not beyond the next moment.
    """
    async with asyncio.TaskGroup() as starting:
        last: asyncio.Task[Any] | None = None
        for moment in moments:
            await fake.reached(moment)
            with fake.held():
                if last is not None:
                    await last
                victim = rng.choice(victims)
                await victim.kill()
            last = starting.create_task(victim.start())


def drawn(rng: random.Random, calls: int, many: int) -> list[int]:
    """So many moments in a run of so many calls, neither at its very beginning nor at its end."""
    return sorted(rng.sample(range(calls // 50, calls - calls // 20), many))
