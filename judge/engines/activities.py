"""What a worker does for a workflow: a step of `Execution` each, told of by heartbeats while it lasts.

A store that is away or full, or whose schema this release does not know, is waited for, for ever. Any other error of a
step ends the run as failed. What a worker did not finish because it stops, because another worker took over or because
it has no credential for the judge is given back, to be tried again by whoever is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from judge.domain.errors import JudgeError, StoreAway, StoreFull
from judge.domain.run import StopReason
from judge.engines.workflow import BEGIN, END, EXECUTE, PARTITIONS, QUARANTINED, PartitionAt, RunAt, ShardAt, Told
from judge.execution.run_executor import OPEN_RUNS, Execution, Shard, Stop
from judge.log.events import logger
from judge.ports.clock import Clock

BEAT = 3.0
"""Seconds between two heartbeats."""
LONGEST_PAUSE = 10.0
"""Seconds between two looks at a store that is away."""
MESSAGE = 150
"""Letters of a message that a history keeps."""
GIVEN_BACK = (StopReason.STOPPED, StopReason.SUPERSEDED)
OTHERS = 10
"""So often a shard is offered to other workers before it is believed that none has the judge's credential."""
AGAIN = timedelta(seconds=1)
T = TypeVar("T")
log = logger("worker")


class Activities:
    """The steps of runs, in this process."""

    def __init__(self, execution: Execution, clock: Clock, *, others: int = OTHERS) -> None:
        self._execution, self._clock, self._others = execution, clock, others
        self._openings: dict[str, str] = {}
        self._stopping = False

    def all(self) -> Sequence[Callable[..., Awaitable[Any]]]:
        """Each of them."""
        return (self.begin, self.partitions, self.execute, self.end)

    def stop(self) -> None:
        """Ask for no new permit and wait for no store; what is in flight finishes and commits."""
        self._stopping = True
        self._execution.stop()

    @activity.defn(name=BEGIN)
    async def begin(self, at: RunAt) -> bool:
        """Whether the run is to be executed."""
        self._look_afresh(at)
        return await self._kept(at, lambda: self._execution.begin(at.tenant, at.run_id))

    @activity.defn(name=PARTITIONS)
    async def partitions(self, at: RunAt) -> list[PartitionAt]:
        """The lanes of the round that the run is at; none when the rounds before were all."""
        self._look_afresh(at)
        partitions = await self._kept(at, lambda: self._execution.partitions(at.tenant, at.run_id, at.round))
        return [
            PartitionAt(partition.judge, partition.first, partition.last, partition.size) for partition in partitions
        ]

    @activity.defn(name=EXECUTE)
    async def execute(self, at: ShardAt) -> Told:
        """Judge what is missing of a shard; why it was not finished, if it was not."""
        self._look_afresh(at)
        stop = await self._kept(at, lambda: self._executed(at))
        if stop.reason in GIVEN_BACK or (
            stop.reason is StopReason.NO_CREDENTIAL and activity.info().attempt < self._others
        ):
            raise _given_back(stop.message or "the worker stops", stop.reason)
        return Told(encode_reason(stop.reason), stop.message[:MESSAGE])

    @activity.defn(name=END)
    async def end(self, at: RunAt) -> None:
        """Say how the run ended."""
        await self._kept(at, lambda: self._execution.end(at.tenant, at.run_id, _stops(at.told)))
        self._openings.pop(at.run_id, None)

    def _look_afresh(self, at: RunAt | ShardAt) -> None:
        """What is known here of an earlier beginning of the run counts no more."""
        if self._openings.get(at.run_id) != at.opening:
            self._execution.forget(at.run_id)
            self._openings.pop(at.run_id, None)
            self._openings[at.run_id] = at.opening
            while len(self._openings) > OPEN_RUNS:
                self._openings.pop(next(iter(self._openings)))

    async def _executed(self, at: ShardAt) -> Stop:
        """Execute the shard. Cancelled from outside, it ends at its next permit, and what is in flight commits."""
        shard = Shard(at.judge, at.first, at.last)
        working = asyncio.ensure_future(self._execution.execute(at.tenant, at.run_id, shard))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self._execution.interrupt(at.run_id, shard)
            await asyncio.gather(working, return_exceptions=True)
            raise

    async def _kept(self, at: RunAt | ShardAt, step: Callable[[], Awaitable[T]]) -> T:
        """The result of *step*, once the store lets it be had."""
        beating = asyncio.create_task(self._beat())
        pause = 1.0
        try:
            while True:
                try:
                    await self._execution.check()
                    # It answers: if it goes away again, that is another time.
                    pause = 1.0
                    return await self._done(at, step)
                except (StoreAway, StoreFull) as error:
                    if self._stopping:
                        raise _given_back(error.message, error.reason) from error
                    log.warning("store.waited_for", run=at.run_id, reason=error.reason)
                await self._clock.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            activity.heartbeat()
            await self._clock.sleep(BEAT)

    async def _done(self, at: RunAt | ShardAt, step: Callable[[], Awaitable[T]]) -> T:
        """The result of *step*; an error of its own is the run's end."""
        try:
            return await step()
        except (StoreAway, StoreFull):
            raise
        except JudgeError as error:
            reason, message = error.reason, error.message
        except Exception:
            log.exception("run.broken", run=at.run_id)
            reason, message = "INTERNAL", "an unexpected error ended the run; the worker's log has it"
        await self._execution.fail(at.tenant, at.run_id, reason, message)
        raise ApplicationError(message[:MESSAGE], type=reason, non_retryable=True)


def _stops(told: Sequence[Told]) -> list[Stop]:
    """What was *told*; of those that were only counted, the shards left alone, and reasons not told of otherwise."""
    stops = [Stop(decode_reason(one.reason), one.message) for one in told if one.message]
    named = {stop.reason for stop in stops}
    for one in told:
        reason = decode_reason(one.reason)
        if not one.message and (reason is StopReason.QUARANTINED or reason not in named):
            stops += [Stop(reason)] * one.shards
    return stops


def encode_reason(reason: StopReason | None) -> str:
    """Spell *reason* as the payloads of Temporal's histories do; "" for a shard that was finished."""
    return "" if reason is None else QUARANTINED if reason is StopReason.QUARANTINED else reason.value


def decode_reason(spelled: str) -> StopReason | None:
    """Return the reason that a payload of Temporal's histories spells so."""
    return StopReason.QUARANTINED if spelled == QUARANTINED else StopReason(spelled) if spelled else None


def _given_back(message: str, reason: str) -> ApplicationError:
    return ApplicationError(
        message[:MESSAGE], type=reason, next_retry_delay=AGAIN, category=ApplicationErrorCategory.BENIGN
    )
