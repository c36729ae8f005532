"""The one thread for long computations. A fit that nobody waits for any more ends at its next batch of resamples."""

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
"""How many fits may wait for the thread; further ones are refused."""


class Fits:
    """Run long computations in one thread with a bounded queue, so that they never block the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fit")
        self._waiting = 0

    async def run(self, compute: Callable[[], T]) -> T:
        """Return the result of *compute*. If the caller is cancelled, the thread goes on to the next computation.

        Raises Busy if the queue is full.
        """
        if self._waiting > QUEUE:
            raise Busy(f"{QUEUE} fits are already waiting; try again in a moment")
        abandoned = threading.Event()

        def wanted() -> T:
            with while_wanted(lambda: not abandoned.is_set()):
                return compute()

        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, wanted)
        finally:
            abandoned.set()
            self._waiting -= 1

    def close(self) -> None:
        """Cancel what waits, and let the thread end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
