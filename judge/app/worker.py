"""`judge worker`: execute the shards that Temporal assigns, until a signal stops the process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from pathlib import Path

from judge.app.judges import ConfiguredJudges
from judge.app.temporal import temporal_connection
from judge.config.files import ConfigError
from judge.config.settings import load
from judge.log import events as log
from judge.ports.clock import SystemClock
from judge.store.sql_store import SqlStore


async def work(config_path: Path | None) -> int:
    """Work until SIGTERM or SIGINT. Return 0 when everything in flight is finished and stored."""
    settings = load(config_path)
    log.configure(settings.log_level, json=settings.log_json)
    if settings.engine != "temporal":
        message = 'judge worker needs engine = "temporal" and a store_url on PostgreSQL. Set both'
        raise ConfigError(f"{settings.origin}: {message}")
    try:
        from judge.engines.worker import run_worker  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"judge worker needs the package {missing.name}, which is not installed. Install judge-service[temporal]"
        ) from None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock, logger = SystemClock(), log.logger("app")
    async with contextlib.AsyncExitStack() as stack:
        store = SqlStore.open(settings.store_url, clock=clock)
        stack.push_async_callback(store.close)
        judges = ConfiguredJudges(settings, clock, shared=True)
        stack.push_async_callback(judges.close)
        async with run_worker(store, judges, temporal_connection(settings.temporal), clock):
            # Everything loaded so far is needed until the end, so the garbage collector need not scan it again.
            gc.freeze()
            await stop.wait()
            logger.info("worker.stopping")
    logger.info("worker.stopped")
    return 0
