"""The workflow of a run: it only decides which shards are executed when, because Temporal replays it from its history.

So its decisions depend only on its arguments and on the results of activities. These stay small: names and numbers,
under 2 KB. The workflow begins the run, executes the judge partitions of each round concurrently, each with a window of
open shards, and ends the run. After SHARDS shards it waits for the open ones and continues in a new history; shards
that were open then would be cancelled.

A history outlives the release that began it. So fields are only added, with defaults, and never renamed.
`tests/engines` replays a history of each release.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

NAME, BEGIN, PARTITIONS, EXECUTE, END = "run", "begin", "lanes", "execute", "end"
"""The names of the workflow and of the activities in Temporal."""
SHARDS = 1000
"""Shards that are executed in one history."""
BEATS = timedelta(seconds=10)
"""Time without a heartbeat after which a worker counts as dead, and its shard is given to another."""
LONGEST = timedelta(days=30)
"""Longest time that a shard may take: as long as providers keep batches."""
RETRY_FOREVER = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
"""An activity that a worker did not finish is retried without limit, whatever the reason."""
QUARANTINED = "POISONED"
"""The only reason for which a partition continues after an unfinished shard."""
NAMED, KEPT = 5, 8
"""Messages that are kept: per reason, and in total. The others are only counted."""
T = TypeVar("T")


@dataclass(frozen=True)
class StopReport:
    """Why shards were not finished, and how many of them. An empty reason means that they were."""

    reason: str = ""
    message: str = ""
    shards: int = 1


@dataclass(frozen=True)
class RunAt:
    """A run and its progress: the argument of the workflow."""

    tenant: str = ""
    run_id: str = ""
    opening: str = ""
    """Identifies this execution of the run, among earlier ones; empty before it has begun."""
    round: int = 0
    cursors: tuple[int, ...] = ()
    """The position at which each judge partition of the round continues."""
    told: tuple[StopReport, ...] = ()
    window: int = 4
    shards: int = SHARDS


@dataclass(frozen=True)
class PartitionAt:
    """One judge's positions [first, last) in a round, in shards of *size* positions."""

    judge: int = 0
    first: int = 0
    last: int = 0
    size: int = 1


@dataclass(frozen=True)
class ShardAt:
    """The positions [first, last) of one judge of a run."""

    tenant: str = ""
    run_id: str = ""
    opening: str = ""
    judge: int = 0
    first: int = 0
    last: int = 0


def add_report(reports: tuple[StopReport, ...], new: StopReport) -> tuple[StopReport, ...]:
    """Add *new* to *reports*. Every reason is kept, but only its first few messages; the others are counted."""
    alike = [report for report in reports if report.reason == new.reason]
    same = next((report for report in alike if report.message == new.message), None)
    if same is None and alike and (len(alike) >= NAMED or len(reports) >= KEPT):
        same = next((report for report in alike if not report.message), None)
        new = replace(new, message="")
    if same is None:
        return (*reports, new)
    return tuple(replace(report, shards=report.shards + new.shards) if report is same else report for report in reports)


@dataclass
class _Partition:
    at: PartitionAt
    cursor: int

    @property
    def unfinished(self) -> bool:
        return self.cursor < self.at.last

    def next(self) -> tuple[int, int]:
        first, self.cursor = self.cursor, min(self.cursor + self.at.size, self.at.last)
        return first, self.cursor

    def halt(self) -> None:
        self.cursor = self.at.last


@dataclass
class _Progress:
    """What the judge partitions of one history share."""

    shards_left: int
    reports: tuple[StopReport, ...]
    errors: list[BaseException] = field(default_factory=list)


@workflow.defn(name=NAME)
class RunWorkflow:
    """Executes a run from its current progress to its end."""

    @workflow.run
    async def run(self, at: RunAt) -> None:
        """Continue from *at* to the end of the run, or of this history."""
        if not at.opening:
            at = replace(at, opening=workflow.info().run_id)
            if not await _run_activity(BEGIN, at, bool):
                return
        progress = _Progress(at.shards, at.told)
        while partitions := await _run_activity(PARTITIONS, at, list[PartitionAt]):
            cursors = at.cursors or tuple(partition.first for partition in partitions)
            opened = [_Partition(partition, cursor) for partition, cursor in zip(partitions, cursors, strict=True)]
            await asyncio.gather(*(_worker(at, partition, progress) for partition in opened for _ in range(at.window)))
            if progress.errors:
                raise progress.errors[0]
            if any(partition.unfinished for partition in opened):
                cursors = tuple(partition.cursor for partition in opened)
                workflow.continue_as_new(replace(at, cursors=cursors, told=progress.reports))
            if progress.reports:
                break
            at = replace(at, round=at.round + 1, cursors=())
        await _run_activity(END, replace(at, cursors=(), told=progress.reports), type(None))


async def _worker(at: RunAt, partition: _Partition, progress: _Progress) -> None:
    """Execute shards of a partition until none is left, one stopped the judge, or the history is full."""
    while partition.unfinished and progress.shards_left and not progress.errors:
        progress.shards_left -= 1
        first, last = partition.next()
        try:
            shard = ShardAt(
                tenant=at.tenant,
                run_id=at.run_id,
                opening=at.opening,
                judge=partition.at.judge,
                first=first,
                last=last,
            )
            report = await _run_activity(EXECUTE, shard, StopReport)
        except Exception as error:  # noqa: BLE001  # raised when the other shards have ended
            progress.errors.append(error)
            return
        if report.reason:
            progress.reports = add_report(progress.reports, report)
        if report.reason not in ("", QUARANTINED):
            partition.halt()


async def _run_activity(name: str, argument: RunAt | ShardAt, result: type[T]) -> T:
    output: T = await workflow.execute_activity(
        name,
        argument,
        result_type=result,
        start_to_close_timeout=LONGEST,
        heartbeat_timeout=BEATS,
        retry_policy=RETRY_FOREVER,
    )
    return output
