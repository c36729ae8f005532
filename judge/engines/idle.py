"""The engine of a process that only reads and writes the store: it executes no run, and makes no call.

So it needs no lock on the store, and works next to a process that executes runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from judge.domain.errors import Precondition, StoreHeld
from judge.domain.outcome import ItemState
from judge.domain.run import RunState
from judge.ports.store import Store


class IdleEngine:
    """Executes nothing.

    *alone* returns a context in which no other process executes runs of the store. Entering it raises StoreHeld if one
    does.
    """

    asks_here = True

    def __init__(self, store: Store, alone: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._store, self._alone = store, alone

    async def start(self) -> None:
        """Do nothing."""

    async def submit(self, tenant: str, run_id: str) -> None:  # noqa: ARG002  # the port's own signature
        """Refuse to execute a run. Raises Precondition."""
        raise Precondition(f"this process does not execute runs; continue with `judge resume runs/{run_id}`")

    async def cancel(self, tenant: str, run_id: str) -> None:
        """End a run that is CANCELLING, unless another process executes it and ends it itself."""
        with contextlib.suppress(StoreHeld), self._alone():
            await self._store.orphan_attempts()
            run = await self._store.run(tenant, run_id)
            await self._store.move_run(run.row, RunState.CANCELLED, never_started=ItemState.CANCELLED)

    async def book_lost_calls(self) -> bool:
        """Book the live calls, unless another process executes runs. Returns whether none does."""
        with contextlib.suppress(StoreHeld), self._alone():
            await self._store.orphan_attempts()
            return True
        return False

    async def close(self) -> None:
        """Do nothing."""
