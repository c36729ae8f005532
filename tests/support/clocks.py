"""Fake clocks for code that takes a clock as an argument."""

from __future__ import annotations

import asyncio
from functools import partial

from sqlalchemy import Connection, update

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


class PassingClock(StillClock):
    """A clock on which time passes only while something waits, *haste* times as fast."""

    def __init__(self, haste: float = 1.0) -> None:
        super().__init__()
        self._haste = haste

    async def sleep(self, seconds: float) -> None:
        self.time += seconds * self._haste
        await asyncio.sleep(0)


def _move_shared_clock(seconds: float, c: Connection) -> None:
    """Move the clock that the processes of one store share. A database with one process has none."""
    if not alone(c):
        c.execute(update(schema.store_clock).values(source=schema.store_clock.c.source - seconds))


async def pass_time(store: SqlStore, clock: StillClock, seconds: float) -> None:
    """Let *seconds* pass on the store's clock, in steps of JUMP, because the store ignores larger jumps."""
    while seconds > 0:
        step = min(seconds, JUMP)
        clock.time += step
        await store._db.write(partial(_move_shared_clock, step))
        await store._time.now()
        seconds -= step
