"""The local engine: asyncio tasks in the server's process. The stored answers are the checkpoint.

Each run is one task. It executes the judge partitions of a round concurrently, each with WINDOW shards at a time, in
order. Submitting a run that is being executed does not disturb it. A run that was interrupted makes only the calls that
are missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from judge.domain.errors import JudgeError, StoreAway, StoreFull
from judge.domain.run import StopReason
from judge.execution.committer import FULL_WAIT
from judge.execution.judges import Judges
from judge.execution.run_executor import Execution, JudgePartition, Shard
from judge.execution.stops import Stop
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.store import Store

WINDOW = 2
"""Shards of a partition that are open at the same time, so that one starts while another waits for its last calls."""
log = logger("engine")


class LocalEngine:
    """Executes runs in this process."""

    asks_here = True

    def __init__(self, store: Store, judges: Judges, clock: Clock, *, continues: bool = True) -> None:
        """*continues* says whether unfinished runs go on by themselves when an engine starts, as on a server.

        Otherwise the engine executes only the runs that are submitted, and pauses them when it closes.
        """
        self._store, self._clock, self._continues = store, clock, continues
        self._execution = Execution(store, judges, clock)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._submitted: dict[tuple[str, str], None] = {}
        """The tenant and id of every run that was submitted."""
        self._closing = False

    async def start(self) -> None:
        """Continue what a dead process left: deletions, calls that may have to be paid, and unfinished runs."""
        await self._store.finish_deletions()
        orphaned = await self._store.orphan_attempts()
        unfinished = await self._store.unfinished()
        log.info("engine.started", orphaned=orphaned, unfinished=len(unfinished))
        if self._continues:
            for tenant, run_id in unfinished:
                await self.submit(tenant, run_id)

    async def submit(self, tenant: str, run_id: str) -> None:
        """Begin a run, or continue it."""
        if self._closing:
            return
        self._submitted[tenant, run_id] = None
        if run_id in self._tasks:
            # Its task may be about to end, so execute the run once more after that.
            self._again.add(run_id)
        else:
            self._tasks[run_id] = asyncio.create_task(self._execute(tenant, run_id))

    async def cancel(self, tenant: str, run_id: str) -> None:
        """End a run that is CANCELLING, if no task executes it. A task that does notices at its next permit."""
        await self.submit(tenant, run_id)

    async def book_lost_calls(self) -> bool:
        """Return False: they were booked when the engine started, and this process makes all others."""
        return False

    async def close(self) -> None:
        """Request no more permits, and wait until calls in flight have finished and committed."""
        self._closing = True
        self._execution.stop()
        # Before the wait, in case that somebody ends the process during it; after it, in case that a run just began.
        await self._pause()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._pause()

    async def _pause(self) -> None:
        """Set the runs that were submitted to PAUSED, unless they continue by themselves when an engine starts."""
        for tenant, run_id in () if self._continues else self._submitted:
            await self._execution.pause_interrupted(tenant, run_id)

    async def _execute(self, tenant: str, run_id: str) -> None:
        self._again.add(run_id)
        try:
            while run_id in self._again and not self._closing:
                self._again.discard(run_id)
                await self._execute_once(tenant, run_id)
        finally:
            self._again.discard(run_id)
            del self._tasks[run_id]

    async def _execute_once(self, tenant: str, run_id: str) -> None:
        try:
            while not await self._judge_missing(tenant, run_id):
                await self._clock.sleep(FULL_WAIT)
        except JudgeError as error:
            await self._execution.fail(tenant, run_id, error.reason, error.message)
        except Exception:
            log.exception("run.broken", run=run_id)
            message = "an unexpected error ended the run; see the server's log"
            await self._execution.fail(tenant, run_id, "INTERNAL", message)

    async def _judge_missing(self, tenant: str, run_id: str) -> bool:
        """Judge what is missing. Returns False if the store was full or away, so that the run must begin again."""
        try:
            await self._judge(tenant, run_id)
        except (StoreFull, StoreAway) as error:
            if self._closing:
                raise
            log.warning("run.paused", run=run_id, reason=error.reason)
            return False
        return True

    async def _judge(self, tenant: str, run_id: str) -> None:
        if not await self._execution.begin(tenant, run_id):
            return
        number, stops = 0, [Stop()]
        while not any(stop.reason for stop in stops):
            partitions = await self._execution.partitions(tenant, run_id, number)
            if not partitions:
                break
            stops = await self._round(tenant, run_id, partitions)
            number += 1
        await self._execution.end(tenant, run_id, stops)

    async def _round(self, tenant: str, run_id: str, partitions: tuple[JudgePartition, ...]) -> list[Stop]:
        """Execute the partitions concurrently. What stops one judge does not stop the others; an error stops all."""
        halt = asyncio.Event()
        tasks = [
            asyncio.create_task(self._worker(tenant, run_id, shards, halt))
            for shards in map(JudgePartition.shards, partitions)
            for _ in range(WINDOW)
        ]
        try:
            return [stop for stops in await asyncio.gather(*tasks) for stop in stops]
        except BaseException:
            halt.set()
            self._execution.interrupt(run_id)
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _worker(self, tenant: str, run_id: str, shards: Iterator[Shard], halt: asyncio.Event) -> list[Stop]:
        """Execute shards of a partition until none is left or one stopped the judge."""
        stops: list[Stop] = []
        for shard in shards:
            if self._closing or halt.is_set():
                return [*stops, Stop(StopReason.STOPPED)]
            stop = await self._execution.execute(tenant, run_id, shard)
            stops.append(stop)
            if stop.reason not in (None, StopReason.QUARANTINED):
                break
        return stops
