"""`judge serve`: serve until a signal stops the process, then finish the calls in flight."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path

from judge.app.listening import listen_options
from judge.app.local import running
from judge.config.settings import load
from judge.log import events as log


async def serve(config_path: Path | None, listen: str | None) -> int:
    """Serve until SIGTERM or SIGINT. Return 0 when everything in flight is finished and stored."""
    settings = load(config_path)
    log.configure(settings.log_level, json=settings.log_json)
    address = listen or settings.listen
    options = listen_options(settings, address)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    logger = log.logger("app")
    async with running(settings, store_url=None, listen=address, options=options) as bound:
        logger.info("server.started", address=bound)
        # Everything loaded so far is needed until the end, so the garbage collector need not scan it again.
        gc.freeze()
        await stop.wait()
        logger.info("server.stopping")
    logger.info("server.stopped")
    return 0
