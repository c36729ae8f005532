"""The part of a worker that Temporal knows: it is handed workflows and shards until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from judge.engines.activities import OTHERS, Activities
from judge.engines.temporal_connection import TemporalConnection
from judge.engines.workflow import RunWorkflow
from judge.execution.judges import Judges
from judge.execution.run_executor import SHARD, Execution
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.store import Store

AT_ONCE = 100
"""Shards in a process; how many calls they make at once is up to their judges."""
REMEMBERED = 200
"""Workflows whose histories need not be read again."""
LAST_CALLS = timedelta(minutes=10)
"""For so long shards may take to come to their end when the process stops."""
BEATS = timedelta(seconds=3)
PASSED_ON = timedelta(seconds=3)
"""After so long what was meant for this process goes to any."""
CONNECTING = timedelta(seconds=5)
PAUSE = 3.0
"""Seconds between two attempts to reach Temporal."""
log = logger("worker")


@asynccontextmanager
async def working(
    store: Store,
    judges: Judges,
    settings: TemporalConnection,
    clock: Clock,
    *,
    others: int = OTHERS,
    size: int = SHARD,
) -> AsyncIterator[None]:
    """Execute shards; at the end none is begun, and calls in flight finish and commit."""
    stop = asyncio.Event()
    activities = Activities(Execution(store, judges, clock, size=size), clock, others=others)
    task = asyncio.create_task(_work(activities, settings, clock, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _work(activities: Activities, settings: TemporalConnection, clock: Clock, stop: asyncio.Event) -> None:
    stopped = asyncio.create_task(stop.wait())
    told = False
    while not stop.is_set():
        try:
            await _worked(activities, settings, stopped)
            told = False
        except (RPCError, RuntimeError) as error:
            if not told:
                log.warning("temporal.unavailable", address=settings.address, error=str(error)[:200])
            told = True
            pause = asyncio.ensure_future(clock.sleep(PAUSE))
            await asyncio.wait({pause, stopped}, return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()


async def _worked(activities: Activities, settings: TemporalConnection, stopped: asyncio.Task[bool]) -> None:
    """Work until *stopped*, or until Temporal says that it cannot be."""
    client = await Client.connect(settings.address, namespace=settings.namespace, connect_timeout=CONNECTING)
    worker = Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[RunWorkflow],
        activities=activities.all(),
        max_concurrent_activities=AT_ONCE,
        # With one poll each, shards that come together go to workers in turn.
        max_concurrent_activity_task_polls=1,
        max_cached_workflows=REMEMBERED,
        max_heartbeat_throttle_interval=BEATS,
        default_heartbeat_throttle_interval=BEATS,
        sticky_queue_schedule_to_start_timeout=PASSED_ON,
        graceful_shutdown_timeout=LAST_CALLS,
        # Whoever does the workflow's task would else keep its shards to himself.
        disable_eager_activity_execution=True,
    )
    running = asyncio.create_task(worker.run())
    log.info("worker.started", address=settings.address, task_queue=settings.task_queue)
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        activities.stop()
        await worker.shutdown()
    await running
