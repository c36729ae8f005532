"""Kill processes while they have calls in flight."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from support.call_journal import FakeProvider
from support.child_processes import Child

PATIENT = 60.0
"""The deadline of a call in seconds: longer than a process takes to start."""


async def kill_processes(
    fake: FakeProvider, moments: Sequence[int], victims: Sequence[Child], rng: random.Random
) -> None:
    """Kill one of *victims*, with calls in flight, whenever one of *moments* calls have begun, and start it again.

    The run goes on while the process starts, but not beyond the next moment.
    """
    async with asyncio.TaskGroup() as starting:
        last: asyncio.Task[Any] | None = None
        for moment in moments:
            await fake.wait_for_calls(moment)
            with fake.hold_calls():
                if last is not None:
                    await last
                victim = rng.choice(victims)
                await victim.kill()
            last = starting.create_task(victim.start())


def draw_moments(rng: random.Random, calls: int, n: int) -> list[int]:
    """Draw *n* moments, as numbers of calls, in a run of *calls* calls; none is near its beginning or its end."""
    return sorted(rng.sample(range(calls // 50, calls - calls // 20), n))
