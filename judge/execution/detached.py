"""Tasks that finish even if the caller that started them is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class DetachedTasks:
    """Runs such tasks and keeps track of those that have not finished."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of *work*, which continues if this call is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def close(self, *, cancel: bool = False) -> None:
        """Wait for the tasks that have not finished, or *cancel* them first."""
        for task in self._tasks if cancel else ():
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
