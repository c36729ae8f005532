"""Fake clocks for code that takes a clock as an argument."""

from __future__ import annotations

import asyncio

from sqlalchemy import update

from judge.store import schema
from judge.store.clock import JUMP
from judge.store.dialects import alone
from judge.store.sql_store import SqlStore


class StillClock:
    """A clock that moves only when a test moves it or somebody sleeps on it."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


class QuickClock(StillClock):
    """A clock that stands still. A sleep only lets other tasks run."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def pass_time(store: SqlStore, clock: StillClock, seconds: float) -> None:
    """Let *seconds* pass on the store's clock, in steps of JUMP, because the store ignores larger jumps."""
    moved = schema.store_clock.c.source

    while seconds > 0:
        step = min(seconds, JUMP)
        clock.time += step
        await store._db.write(
            lambda c, step=step: None if alone(c) else c.execute(update(schema.store_clock).values(source=moved - step))
        )
        await store._time.now()
        seconds -= step
