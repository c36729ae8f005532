"""Where runs are executed."""

from __future__ import annotations

from typing import Protocol


class Engine(Protocol):
    """Executes runs; may be told of one more than once."""

    asks_here: bool
    """Whether judges are asked by this process, so that it needs their credentials."""

    async def start(self) -> None:
        """Go on with every unfinished run."""
        ...

    async def submit(self, tenant: str, run_id: str) -> None:
        """Begin or go on with a run; returns at once."""
        ...

    async def cancel(self, tenant: str, run_id: str) -> None:
        """See to it that a run told to cancel ends; returns at once."""
        ...

    async def close(self) -> None:
        """Issue no new call, let calls in flight finish and commit."""
        ...
