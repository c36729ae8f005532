"""One shard at a time for shards whose process was lost before.

When a process dies, every shard that it was executing loses its attempt, also those that did not cause it. So these
shards are executed one at a time: only the shard that is executing is blamed for the next loss, and the others get
their turn when it has finished or has failed for good.
"""

from __future__ import annotations

import asyncio


class Quarantine:
    """A process's single place for shards that may end it."""

    def __init__(self) -> None:
        self._place = asyncio.Lock()

    def turn(self) -> Turn:
        """Return a wait for the place."""
        return Turn(self._place)


class Turn:
    """A wait for the place, which ends when the place is free or when the wait is stopped."""

    def __init__(self, place: asyncio.Lock) -> None:
        self._place, self._stopped = place, asyncio.Event()

    def stop(self, *, patient: bool = True) -> None:  # noqa: ARG002  # the signature of the runners, which are stopped too
        """Stop waiting."""
        self._stopped.set()

    async def acquire(self) -> bool:
        """Wait for the place. Returns whether it was taken; False if the wait was stopped first."""
        waits = [asyncio.ensure_future(self._place.acquire()), asyncio.ensure_future(self._stopped.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            acquired, _ = await asyncio.gather(*waits, return_exceptions=True)
        if acquired is True and self._stopped.is_set():
            self._place.release()
        return acquired is True and not self._stopped.is_set()

    def release(self) -> None:
        """Release the place for the next shard."""
        self._place.release()
