"""Shards at which a process was lost go one at a time: whoever was at work beside the one that ends it was lost too.

So only the one at work is blamed for the next loss, and the others have their turn once it is through or left alone.
"""

from __future__ import annotations

import asyncio


class Quarantine:
    """The one place of a process for shards that may end it."""

    def __init__(self) -> None:
        self._place = asyncio.Lock()

    def turn(self) -> Turn:
        """A wait for the place."""
        return Turn(self._place)


class Turn:
    """Waits for the place, until it is had or nobody wants it any more."""

    def __init__(self, place: asyncio.Lock) -> None:
        self._place, self._stopped = place, asyncio.Event()

    def stop(self, *, patient: bool = True) -> None:  # noqa: ARG002  # as the runners that are stopped beside it
        """Wait no longer."""
        self._stopped.set()

    async def comes(self) -> bool:
        """Whether the place was had; False if the wait was stopped first."""
        waits = [asyncio.ensure_future(self._place.acquire()), asyncio.ensure_future(self._stopped.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            had = await asyncio.gather(*waits, return_exceptions=True)
        if had[0] is True and self._stopped.is_set():
            self._place.release()
        return had[0] is True and not self._stopped.is_set()

    def over(self) -> None:
        """Let the next one have the place."""
        self._place.release()
