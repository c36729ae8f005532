"""Clocks that tests give to what asks for the time."""

from __future__ import annotations

import asyncio


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
