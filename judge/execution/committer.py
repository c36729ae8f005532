"""Committing settled work in groups, and waiting while the store is full or away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from judge.domain.errors import StoreAway, StoreFull
from judge.ports.clock import Clock
from judge.ports.records import Settled
from judge.ports.store import RunStore

FULL_WAIT = 1.0
"""Seconds between two attempts to write to a store that is full or away."""


class Committer:
    """Commits what is settled in groups: everything that comes while a group is being written forms the next one."""

    def __init__(self, store: RunStore, tenant: str, run: int | None, clock: Clock) -> None:
        self._store, self._tenant, self._run, self._clock = store, tenant, run, clock
        self.patient = True
        """Whether to wait while the store is full or does not answer."""
        self._waiting: list[tuple[Sequence[Settled], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def commit(self, *settled: Settled) -> None:
        """Return once *settled* are stored."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((settled, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                await self._commit([item for settled, _ in group for item in settled])
            except Exception as error:  # noqa: BLE001  # raised in each call that waits for this group
                for _, done in group:
                    if not done.cancelled():
                        done.set_exception(error)
            else:
                for _, done in group:
                    if not done.cancelled():
                        done.set_result(None)

    async def _commit(self, group: Sequence[Settled]) -> None:
        while True:
            try:
                return await self._store.commit(self._tenant, self._run, group)
            except (StoreFull, StoreAway):
                if not self.patient:
                    raise
            await self._clock.sleep(FULL_WAIT)
