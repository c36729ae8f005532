"""Clocks: code that needs the time takes one as an argument."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time that can also wait."""

    def now(self) -> float:
        """Return the seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Return the seconds on a clock that never goes back and counts suspension."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for some *seconds*."""
        ...


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> float:
        """Return the seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds on a clock that never goes back, and counts suspension if the system has such a clock."""
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    async def sleep(self, seconds: float) -> None:
        """Wait for some *seconds*."""
        await asyncio.sleep(seconds)
