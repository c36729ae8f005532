"""The workflow of a run: which shards are executed when, and nothing else. Temporal repeats it from its history.

So it decides by what it was given and told alone, and what it is given stays small: names and numbers, under 2 KB. It
begins the run, executes the lanes of a round side by side, each with a window of shards at work, and says how it ended.
After so many shards it goes on in a new history, with nothing at work: what is would be cancelled.

A history outlives the release that began it. Fields are added with defaults and none is renamed; `tests/engines`
replays a history of each release.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

NAME, BEGIN, PARTITIONS, EXECUTE, END = "run", "begin", "lanes", "execute", "end"
"""What the workflow and the activities are called at Temporal."""
SHARDS = 1000
"""Shards in a history."""
BEATS = timedelta(seconds=10)
"""A worker that was not heard of for so long is dead, and its shard is given to another."""
LONGEST = timedelta(days=30)
"""No shard takes longer: so long do providers keep batches."""
PATIENTLY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
"""What a worker did not finish, whatever befell it, is tried again, for ever."""
QUARANTINED = "POISONED"
"""The one reason for which a lane goes on behind an unfinished shard."""
NAMED, KEPT = 5, 8
"""So many messages of one reason are kept, and of all; the others are counted."""
T = TypeVar("T")


@dataclass(frozen=True)
class Told:
    """Why shards were not finished, and how many; without a reason they were."""

    reason: str = ""
    message: str = ""
    shards: int = 1


@dataclass(frozen=True)
class RunAt:
    """A run, and how far it is: the workflow's argument."""

    tenant: str = ""
    run_id: str = ""
    opening: str = ""
    """Tells this beginning of the run from earlier ones; "" before it has begun."""
    round: int = 0
    cursors: tuple[int, ...] = ()
    """Where each lane of the round goes on."""
    told: tuple[Told, ...] = ()
    window: int = 4
    shards: int = SHARDS


@dataclass(frozen=True)
class PartitionAt:
    """One judge's positions [first, last) in a round, to be executed *size* at a time."""

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


def noted(told: tuple[Told, ...], one: Told) -> tuple[Told, ...]:
    """*told* and *one* more: each reason is kept, of its messages the first few; the others are counted."""
    alike = [old for old in told if old.reason == one.reason]
    same = next((old for old in alike if old.message == one.message), None)
    if same is None and alike and (len(alike) >= NAMED or len(told) >= KEPT):
        same = next((old for old in alike if not old.message), None)
        one = replace(one, message="")
    if same is None:
        return (*told, one)
    return tuple(replace(old, shards=old.shards + one.shards) if old is same else old for old in told)


@dataclass
class _Partition:
    at: PartitionAt
    cursor: int

    @property
    def rest(self) -> bool:
        return self.cursor < self.at.last

    def next(self) -> tuple[int, int]:
        first, self.cursor = self.cursor, min(self.cursor + self.at.size, self.at.last)
        return first, self.cursor

    def halt(self) -> None:
        self.cursor = self.at.last


@dataclass
class _Progress:
    """What the lanes of a history share."""

    left: int
    told: tuple[Told, ...]
    broken: list[BaseException] = field(default_factory=list)


@workflow.defn(name=NAME)
class RunWorkflow:
    """Executes a run."""

    @workflow.run
    async def run(self, at: RunAt) -> None:
        """Go on from *at* to the end of the run, or of this history."""
        if not at.opening:
            at = replace(at, opening=workflow.info().run_id)
            if not await _done(BEGIN, at, bool):
                return
        progress = _Progress(at.shards, at.told)
        while partitions := await _done(PARTITIONS, at, list[PartitionAt]):
            cursors = at.cursors or tuple(partition.first for partition in partitions)
            mine = [_Partition(partition, cursor) for partition, cursor in zip(partitions, cursors, strict=True)]
            await asyncio.gather(*(_worker(at, partition, progress) for partition in mine for _ in range(at.window)))
            if progress.broken:
                raise progress.broken[0]
            if any(partition.rest for partition in mine):
                cursors = tuple(partition.cursor for partition in mine)
                workflow.continue_as_new(replace(at, cursors=cursors, told=progress.told))
            if progress.told:
                break
            at = replace(at, round=at.round + 1, cursors=())
        await _done(END, replace(at, cursors=(), told=progress.told), type(None))


async def _worker(at: RunAt, partition: _Partition, progress: _Progress) -> None:
    """Execute shards of a lane while there are any, none is stopped, and the history has room."""
    while partition.rest and progress.left and not progress.broken:
        progress.left -= 1
        first, last = partition.next()
        try:
            told = await _done(
                EXECUTE, ShardAt(at.tenant, at.run_id, at.opening, partition.at.judge, first, last), Told
            )
        except Exception as error:  # noqa: BLE001  # raised when the other shards have ended
            progress.broken.append(error)
            return
        if told.reason:
            progress.told = noted(progress.told, told)
        if told.reason not in ("", QUARANTINED):
            partition.halt()


async def _done(activity: str, at: RunAt | ShardAt, result: type[T]) -> T:
    done: T = await workflow.execute_activity(
        activity,
        at,
        result_type=result,
        start_to_close_timeout=LONGEST,
        heartbeat_timeout=BEATS,
        retry_policy=PATIENTLY,
    )
    return done
