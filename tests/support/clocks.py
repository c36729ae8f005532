"""Clocks that tests give to what asks for the time."""

from __future__ import annotations

import asyncio

from sqlalchemy import update

from judge.store import schema
from judge.store.clock import JUMP
from judge.store.dialects import alone
from judge.store.sql_store import SqlStore


class StillClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


class QuickClock(StillClock):
    """A clock that stands still, on which others get their turn while somebody sleeps."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def passed(store: SqlStore, clock: StillClock, seconds: float) -> None:
    """Let so many seconds pass on the store's own clock, which takes no more than JUMP at once for real."""
    moved = schema.store_clock.c.source

    while seconds > 0:
        step = min(seconds, JUMP)
        clock.time += step
        await store._db.write(
            lambda c, step=step: None if alone(c) else c.execute(update(schema.store_clock).values(source=moved - step))
        )
        await store._time.now()
        seconds -= step
