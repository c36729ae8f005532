"""Temporal's activities: each is one step of `Execution`, with heartbeats while it runs.

If the store is away or full, or has a schema that this release does not know, a step waits for it without limit. Any
other error of a step ends the run as FAILED. A step that a worker did not finish because it stops, because another
worker took over, or because it has no credential for the judge is handed back, and any worker may try it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from judge.domain.errors import JudgeError, StoreAway, StoreFull
from judge.domain.run import MISSING_HERE, StopReason
from judge.engines.workflow import BEGIN, END, EXECUTE, PARTITIONS, QUARANTINED, PartitionAt, RunAt, ShardAt, StopReport
from judge.execution.run_executor import OPEN_RUNS, Execution, Shard
from judge.execution.stops import Stop
from judge.log.events import logger
from judge.ports.clock import Clock

BEAT = 3.0
"""Seconds between two heartbeats."""
LONGEST_PAUSE = 10.0
"""Most seconds between two checks of a store that is away."""
MESSAGE = 150
"""Characters of a message that a history keeps."""
HAND_BACK = (StopReason.STOPPED, StopReason.SUPERSEDED)
"""Reasons for which a shard is always handed back to Temporal."""
OTHERS = 10
"""Attempts at a shard, by any worker, after which no worker is assumed to have the judge's credential."""
RETRY_DELAY = timedelta(seconds=1)
"""How long Temporal waits before it hands out again what a worker handed back."""
T = TypeVar("T")
log = logger("worker")


class Activities:
    """The activities of this process."""

    def __init__(self, execution: Execution, clock: Clock, *, others: int = OTHERS) -> None:
        self._execution, self._clock, self._others = execution, clock, others
        self._openings: dict[str, str] = {}
        self._stopping = False

    def all(self) -> Sequence[Callable[..., Awaitable[Any]]]:
        """Return all activities, to register them with Temporal."""
        return (self.begin, self.partitions, self.execute, self.end)

    def stop(self) -> None:
        """Request no more permits and stop waiting for the store. Calls in flight finish and commit."""
        self._stopping = True
        self._execution.stop()

    @activity.defn(name=BEGIN)
    async def begin(self, at: RunAt) -> bool:
        """Begin the run. Returns whether to execute it."""
        self._note_opening(at)
        return await self._run_step(at, lambda: self._execution.begin(at.tenant, at.run_id))

    @activity.defn(name=PARTITIONS)
    async def partitions(self, at: RunAt) -> list[PartitionAt]:
        """The judge partitions of the current round; none after the last round."""
        self._note_opening(at)
        partitions = await self._run_step(at, lambda: self._execution.partitions(at.tenant, at.run_id, at.round))
        return [
            PartitionAt(judge=partition.judge, first=partition.first, last=partition.last, size=partition.size)
            for partition in partitions
        ]

    @activity.defn(name=EXECUTE)
    async def execute(self, at: ShardAt) -> StopReport:
        """Judge what is missing in a shard. The report says why it was not finished; it is empty if it was."""
        self._note_opening(at)
        stop = await self._run_step(at, lambda: self._execute_shard(at))
        missing = stop.reason in MISSING_HERE and activity.info().attempt < self._others
        if stop.reason is not None and (stop.reason in HAND_BACK or missing):
            raise _hand_back(stop.message or "the worker is stopping", stop.reason)
        return StopReport(encode_reason(stop.reason), stop.message[:MESSAGE])

    @activity.defn(name=END)
    async def end(self, at: RunAt) -> None:
        """Store how the run ended."""
        await self._run_step(at, lambda: self._execution.end(at.tenant, at.run_id, _stops(at.told)))
        self._openings.pop(at.run_id, None)

    def _note_opening(self, at: RunAt | ShardAt) -> None:
        """Drop what this process knows about the run, if it was begun again since."""
        if self._openings.get(at.run_id) != at.opening:
            self._execution.forget(at.run_id)
            self._openings.pop(at.run_id, None)
            self._openings[at.run_id] = at.opening
            while len(self._openings) > OPEN_RUNS:
                self._openings.pop(next(iter(self._openings)))

    async def _execute_shard(self, at: ShardAt) -> Stop:
        """Execute the shard. If Temporal cancels it, it stops at its next permit, and calls in flight commit."""
        shard = Shard(at.judge, at.first, at.last)
        execution = asyncio.ensure_future(self._execution.execute(at.tenant, at.run_id, shard))
        try:
            return await asyncio.shield(execution)
        except asyncio.CancelledError:
            self._execution.interrupt(at.run_id, shard)
            await asyncio.gather(execution, return_exceptions=True)
            raise

    async def _run_step(self, at: RunAt | ShardAt, step: Callable[[], Awaitable[T]]) -> T:
        """Return the result of *step*. Sends heartbeats, and waits while the store is full or away."""
        heartbeats = asyncio.create_task(self._send_heartbeats())
        pause = 1.0
        try:
            while True:
                try:
                    await self._execution.check()
                    # The store answers: if it goes away again, start with short pauses.
                    pause = 1.0
                    return await self._fail_on_error(at, step)
                except (StoreAway, StoreFull) as error:
                    if self._stopping:
                        raise _hand_back(error.message, error.reason) from error
                    log.warning("store.waited_for", run=at.run_id, reason=error.reason)
                await self._clock.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            heartbeats.cancel()

    async def _send_heartbeats(self) -> None:
        while True:
            activity.heartbeat()
            await self._clock.sleep(BEAT)

    async def _fail_on_error(self, at: RunAt | ShardAt, step: Callable[[], Awaitable[T]]) -> T:
        """Return the result of *step*. Any error that is not the store's absence ends the run as FAILED."""
        try:
            return await step()
        except (StoreAway, StoreFull):
            raise
        except JudgeError as error:
            reason, message = error.reason, error.message
        except Exception:
            log.exception("run.broken", run=at.run_id)
            reason, message = "INTERNAL", "an unexpected error ended the run; see the worker's log"
        await self._execution.fail(at.tenant, at.run_id, reason, message)
        raise ApplicationError(message[:MESSAGE], type=reason, non_retryable=True)


def _stops(reports: Sequence[StopReport]) -> list[Stop]:
    """Turn *reports* back into stops.

    Reports without a message only count shards. Of these, all quarantined shards become stops, and others only if no
    report with a message has the same reason.
    """
    stops = [Stop(decode_reason(report.reason), report.message) for report in reports if report.message]
    named = {stop.reason for stop in stops}
    for report in reports:
        reason = decode_reason(report.reason)
        if not report.message and (reason is StopReason.QUARANTINED or reason not in named):
            stops += [Stop(reason)] * report.shards
    return stops


def encode_reason(reason: StopReason | None) -> str:
    """Return the spelling of *reason* in Temporal's histories; empty for a shard that was finished."""
    return "" if reason is None else QUARANTINED if reason is StopReason.QUARANTINED else reason.value


def decode_reason(spelled: str) -> StopReason | None:
    """Return the reason with this spelling in Temporal's histories.

    A reason that only a later release knows counts as STOPPED: the run stays unfinished, and can be resumed.
    """
    if not spelled:
        return None
    if spelled == QUARANTINED:
        return StopReason.QUARANTINED
    if spelled not in StopReason.__members__:
        log.warning("stop_reason.unknown", reason=spelled)
        return StopReason.STOPPED
    return StopReason(spelled)


def _hand_back(message: str, reason: str) -> ApplicationError:
    return ApplicationError(
        message[:MESSAGE], type=reason, next_retry_delay=RETRY_DELAY, category=ApplicationErrorCategory.BENIGN
    )
