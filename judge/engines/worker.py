"""A worker: the process that executes the workflows and shards that Temporal hands out, until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from judge.domain.temporal_connection import TemporalConnection
from judge.engines.activities import OTHERS, Activities
from judge.engines.workflow import RunWorkflow
from judge.execution.judges import Judges
from judge.execution.run_executor import SHARD, Execution
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.store import Store

AT_ONCE = 100
"""Shards that a process executes at the same time; their judges limit the calls."""
REMEMBERED = 200
"""Workflows that stay in memory, so that their histories need not be read again."""
LAST_CALLS = timedelta(minutes=10)
"""How long shards may take to finish when the process stops."""
BEATS = timedelta(seconds=3)
"""Time between two heartbeats that are sent to Temporal."""
PASSED_ON = timedelta(seconds=3)
"""Time after which a task that was meant for this process goes to any other."""
CONNECTING = timedelta(seconds=5)
"""How long an attempt to connect may take."""
PAUSE = 3.0
"""Seconds between two attempts to reach Temporal."""
log = logger("worker")


@asynccontextmanager
async def run_worker(
    store: Store,
    judges: Judges,
    settings: TemporalConnection,
    clock: Clock,
    *,
    others: int = OTHERS,
    size: int = SHARD,
) -> AsyncIterator[None]:
    """Execute shards while the context is open. At its end, calls in flight finish and commit.

    *others* is the number of attempts after which no worker is assumed to have a judge's credential; *size* is the
    number of positions in a shard.
    """
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
    warned = False
    while not stop.is_set():
        try:
            await _work_once(activities, settings, stopped)
            warned = False
        except (RPCError, RuntimeError) as error:
            if not warned:
                log.warning("temporal.unavailable", address=settings.address, error=str(error)[:200])
            warned = True
            pause = asyncio.ensure_future(clock.sleep(PAUSE))
            await asyncio.wait({pause, stopped}, return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()


async def _work_once(activities: Activities, settings: TemporalConnection, stopped: asyncio.Task[bool]) -> None:
    """Work until *stopped*. Raises RPCError or RuntimeError if Temporal cannot be reached."""
    client = await Client.connect(settings.address, namespace=settings.namespace, connect_timeout=CONNECTING)
    worker = Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[RunWorkflow],
        activities=activities.all(),
        max_concurrent_activities=AT_ONCE,
        # With one poll each, shards that are scheduled together are spread over the workers.
        max_concurrent_activity_task_polls=1,
        max_cached_workflows=REMEMBERED,
        max_heartbeat_throttle_interval=BEATS,
        default_heartbeat_throttle_interval=BEATS,
        sticky_queue_schedule_to_start_timeout=PASSED_ON,
        graceful_shutdown_timeout=LAST_CALLS,
        # Otherwise the worker that executes the workflow's task keeps its shards to itself.
        disable_eager_activity_execution=True,
    )
    running = asyncio.create_task(worker.run())
    log.info("worker.started", address=settings.address, task_queue=settings.task_queue)
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        activities.stop()
        await worker.shutdown()
    await running
