"""Watching runs: one poll every half second for all watched runs, and complete snapshots for each watcher.

A watcher gets at most 4 snapshots a second and at least one every 15 seconds. Revisions never go back, and the snapshot
of the run's end is always sent.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from judge.domain.run import Run
from judge.ports.clock import Clock
from judge.ports.store import Store

POLL = 0.5
"""Seconds between two polls."""
SOON = 0.25
"""Seconds until the first poll after a time in which nothing was watched: many runs have ended by then."""
QUIET = 15.0
"""Seconds after which a snapshot is sent even if nothing changed."""


class Watcher:
    """Polls the revisions of all watched runs together, as long as there are any."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._watched: dict[int, int] = {}
        self._revisions: dict[int, int] = {}
        self._polled = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None
        self._last = -math.inf

    async def watch(self, tenant: str, run_id: str, after: int) -> AsyncIterator[tuple[Run, float]]:
        """Yield snapshots of a run with a revision later than *after*, until it has ended.

        Each comes with the number of verdicts a second since the snapshot before.
        """
        run = await self._store.run(tenant, run_id)
        row = run.row
        self._watched[row] = self._watched.get(row, 0) + 1
        try:
            sent_at, settled = self._clock.monotonic(), run.counts.settled
            if run.revision > after or run.state.ended:
                after = run.revision
                yield run, 0.0
            while not run.state.ended:
                await self._next_poll()
                now = self._clock.monotonic()
                if self._revisions.get(row, after) <= after and now - sent_at < QUIET:
                    continue
                run = await self._store.run(tenant, run_id)
                rate = (run.counts.settled - settled) / max(now - sent_at, SOON)
                after, sent_at, settled = run.revision, now, run.counts.settled
                yield run, rate
        finally:
            self._watched[row] -= 1
            if not self._watched[row]:
                del self._watched[row]

    async def _next_poll(self) -> None:
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._run_polls())
        polled = self._polled
        await polled.wait()

    async def _run_polls(self) -> None:
        pause = max(SOON, self._last + POLL - self._clock.monotonic())
        while self._watched:
            await self._clock.sleep(pause)
            self._last, pause = self._clock.monotonic(), POLL
            try:
                self._revisions = await self._store.changes(list(self._watched))
            finally:
                polled, self._polled = self._polled, asyncio.Event()
                polled.set()

    async def close(self) -> None:
        """Stop polling."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
