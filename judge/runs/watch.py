"""Watching runs: one poll in half a second for all that are watched, whole snapshots to each watcher.

At most 4 snapshots a second, at least one in 15 s, never an older revision, the terminal one always.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from judge.domain.run import Run
from judge.ports.clock import Clock
from judge.ports.store import Store

POLL = 0.5
"""Seconds between two looks."""
SOON = 0.25
"""Seconds until the first look after nothing was watched: many runs are through by then."""
QUIET = 15.0
"""Seconds after which a snapshot is sent though nothing changed."""


class Watcher:
    """Polls the revisions of all watched runs together, while any is watched."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._watched: dict[int, int] = {}
        self._revisions: dict[int, int] = {}
        self._looked = asyncio.Event()
        self._poll: asyncio.Task[None] | None = None
        self._last = -math.inf

    async def watch(self, tenant: str, run_id: str, after: int) -> AsyncIterator[tuple[Run, float]]:
        """Snapshots of a run, each with verdicts a second since the one before, until it has ended."""
        run = await self._store.run(tenant, run_id)
        row = run.row
        self._watched[row] = self._watched.get(row, 0) + 1
        try:
            sent_at, settled = self._clock.monotonic(), run.counts.settled
            if run.revision > after or run.state.ended:
                after = run.revision
                yield run, 0.0
            while not run.state.ended:
                await self._next_look()
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

    async def _next_look(self) -> None:
        if self._poll is None or self._poll.done():
            self._poll = asyncio.create_task(self._look())
        looked = self._looked
        await looked.wait()

    async def _look(self) -> None:
        pause = max(SOON, self._last + POLL - self._clock.monotonic())
        while self._watched:
            await self._clock.sleep(pause)
            self._last, pause = self._clock.monotonic(), POLL
            try:
                self._revisions = await self._store.changes(list(self._watched))
            finally:
                looked, self._looked = self._looked, asyncio.Event()
                looked.set()

    async def close(self) -> None:
        """Stop looking."""
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)
