"""Runs: their rows, states and rounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import ItemState
from judge.domain.run import Budget, NewRun, Run, RunState


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to list. Empty fields do not filter."""

    dataset: str = ""
    states: Collection[RunState] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusCount:
    """How many presentations of one judge of a run, by its place, have a status or state, in lower case."""

    judge: int
    status: str
    n: int
    first: int
    """The position of the first one."""


class RunRows(Protocol):
    """Runs and their states."""

    async def create_run(self, tenant: str, run: NewRun) -> Run:
        """Store a run as QUEUED. If a run with its request id and body hash exists, return that run as it is now.

        Raises RequestIdReused if the request id belongs to a run with a different body hash.
        """
        ...

    async def requested_run(self, tenant: str, request_id: str, body_hash: str) -> Run | None:
        """Return the run that was created with *request_id*, or None.

        Raises RequestIdReused if the run has a different body hash.
        """
        ...

    async def run(self, tenant: str, run_id: str) -> Run:
        """Return the run as it is now. While the store is full, a running run is PAUSED with the reason STORE_FULL.

        Raises NotFound.
        """
        ...

    async def runs(self, tenant: str, query: RunQuery, before: int, limit: int) -> list[Run]:
        """Return at most *limit* runs, newest first, with rows before *before* (0: from the newest)."""
        ...

    async def delete_run(self, tenant: str, run_id: str) -> None:
        """Delete a run with its plan and its positions. Replies and costs stay.

        Raises NotFound, or Precondition unless the run has ended.
        """
        ...

    async def unfinished(self) -> list[tuple[str, str]]:
        """Return the tenant and run id of every run that has not ended, oldest first."""
        ...

    async def move_run(
        self, row: int, state: RunState, *, reason: str = "", message: str = "", never_started: ItemState | None = None
    ) -> bool:
        """Change a run's state. Return False and change nothing if TRANSITIONS does not allow it."""
        ...

    async def explain_run(self, row: int, state: RunState, reason: str, message: str) -> bool:
        """Store why a run is in *state*. Return False and change nothing if it is in another state."""
        ...

    async def reopen_run(self, row: int, budget: Budget | None) -> bool:
        """Queue a run again that has ended, is paused or waits. Return False for other runs.

        Its presentations without a verdict are removed. *budget* replaces its budget, unless it is None; nothing else
        changes for other runs, whose calls in flight keep what they reserved.
        """
        ...

    async def done_positions(self, row: int, first: int, last: int) -> set[int]:
        """Return the positions in [first, last) that have a verdict or a final state."""
        ...

    async def status_counts(self, row: int) -> list[StatusCount]:
        """Count the settled presentations of a run by judge and status, in the order of judges and statuses."""
        ...

    async def add_round(self, row: int, number: int, plan: bytes, planned: int) -> bytes:
        """Store round *number* of a run, which then has *planned* positions, and return the stored plan.

        If the round is already stored, it stays and is returned instead. A plan that begins with a zero byte is not a
        round; it means that there are no more rounds. Raises NotFound.
        """
        ...

    async def rounds(self, row: int, first: int) -> list[bytes]:
        """Return the plans of round *first* and the rounds after it, in order."""
        ...

    async def changes(self, rows: Collection[int]) -> dict[int, int]:
        """Return the present revision of each run, by row."""
        ...

    async def judge_definitions(self, tenant: str) -> list[JudgeDefinition]:
        """Return the recorded judges of the tenant, newest first."""
        ...
