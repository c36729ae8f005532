"""Engines, which execute runs."""

from __future__ import annotations

from typing import Protocol


class Engine(Protocol):
    """Executes runs. A run may be submitted more than once."""

    asks_here: bool
    """Whether this process calls the judges, so that it needs their credentials."""

    async def start(self) -> None:
        """Continue every unfinished run."""
        ...

    async def submit(self, tenant: str, run_id: str) -> None:
        """Start or continue a run. Returns at once."""
        ...

    async def cancel(self, tenant: str, run_id: str) -> None:
        """Make sure that a run in the state CANCELLING ends. Returns at once."""
        ...

    async def book_lost_calls(self) -> bool:
        """Book calls that were lost with their process, if it is certain that no process makes them.

        Returns whether that is certain, so that no process executes runs.
        """
        ...

    async def close(self) -> None:
        """Start no new call, and let calls in flight finish and commit."""
        ...
