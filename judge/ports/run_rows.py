"""Runs: their rows, states and rounds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import ItemState
from judge.domain.run import Budget, NewRun, Run, RunState


class RunRows(Protocol):
    """Runs and their states."""

    async def create_run(self, tenant: str, run: NewRun) -> Run:
        """Store it as QUEUED; with the request id and body hash of a run that exists, that run as it is now.

        Raises RequestIdReused if the request id belongs to a run with another body hash.
        """
        ...

    async def requested_run(self, tenant: str, request_id: str, body_hash: str) -> Run | None:
        """The run that was created with *request_id*, or None; RequestIdReused if its body hash was another."""
        ...

    async def run(self, tenant: str, run_id: str) -> Run:
        """The run as it is now; NotFound otherwise. While the store has no room, one at work is PAUSED, STORE_FULL."""
        ...

    async def runs(self, tenant: str, dataset: str, before: int, limit: int) -> list[Run]:
        """At most *limit* runs, newest first, with rows before *before* (0: from the newest); *dataset* "" is any."""
        ...

    async def unfinished(self) -> list[tuple[str, str]]:
        """Tenant and run id of every run that has not ended, oldest first."""
        ...

    async def move_run(
        self, row: int, state: RunState, *, reason: str = "", message: str = "", never_started: ItemState | None = None
    ) -> bool:
        """Change a run's state; False, changing nothing, if TRANSITIONS doesn't allow it from where it is."""
        ...

    async def explain_run(self, row: int, state: RunState, reason: str, message: str) -> bool:
        """Say why a run is in *state*; False, changing nothing, if it no longer is."""
        ...

    async def reopen_run(self, row: int, budget: Budget | None) -> bool:
        """Queue an ended, paused or waiting run again, forget its showings without a verdict, replace its budget."""
        ...

    async def done_positions(self, row: int, first: int, last: int) -> set[int]:
        """The positions in [first, last) that have a verdict or a final state."""
        ...

    async def add_round(self, row: int, number: int, plan: bytes, planned: int) -> bytes:
        """Write round *number* of a run, which then has *planned* positions; what stands there, if another was first.

        A plan that begins with a zero byte is no round, but says that there are no more. Raises NotFound.
        """
        ...

    async def rounds(self, row: int, first: int) -> list[bytes]:
        """What stands as round *first* and the rounds after it, in their order."""
        ...

    async def changes(self, rows: Collection[int]) -> dict[int, int]:
        """The present revision of each run, by row."""
        ...

    async def judge_definitions(self, tenant: str) -> list[JudgeDefinition]:
        """The newest version of every recorded judge."""
        ...
