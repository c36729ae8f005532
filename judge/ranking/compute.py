"""The one thread that computes for long. What nobody waits for any more ends at its next batch of resamples."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from judge.domain.errors import Busy
from judge.stats.cancellation import while_wanted

T = TypeVar("T")
QUEUE = 8
"""Fits that may wait for the one thread; more are refused."""


class Fits:
    """Runs what computes for long in one thread, with a bounded queue, so that no call waits on the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fit")
        self._waiting = 0

    async def run(self, compute: Callable[[], T]) -> T:
        """The result of *compute*; Busy if the queue is full. Cancelled, it leaves the thread to the next one."""
        if self._waiting > QUEUE:
            raise Busy(f"{QUEUE} fits are waiting already; try again in a moment")
        left = threading.Event()

        def wanted() -> T:
            with while_wanted(lambda: not left.is_set()):
                return compute()

        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, wanted)
        finally:
            left.set()
            self._waiting -= 1

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
