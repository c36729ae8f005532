"""Health checks (grpc.health.v1): `liveness` means that the process is alive, the other names that it can work.

The service can work while its store answers and has a schema that this release knows. Both are checked every few
seconds, because a later release may migrate the store in the meantime.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from grpc_health.v1 import health, health_pb2

from judge.domain.errors import StoreFailed
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.store import Store

EVERY = 5.0
"""Seconds between two checks of the store."""
ANSWER = 5.0
"""Seconds after which a store that does not answer counts as unreachable."""
LIVENESS, WHOLE = "liveness", ""
log = logger("health")


class Health:
    """Reports whether *services* can work, by checking the store."""

    def __init__(self, store: Store, clock: Clock, services: Sequence[str], *, every: float = EVERY) -> None:
        self.servicer = health.aio.HealthServicer()
        self._store, self._clock, self._every = store, clock, every
        self._names = (WHOLE, *services)
        self._ready = True
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Report SERVING, because the store was just opened, and start checking it."""
        for name in (LIVENESS, *self._names):
            await self.servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._watching = asyncio.create_task(self._watch_store())

    async def drain(self) -> None:
        """Report NOT_SERVING from now on, whatever the store's state."""
        await self.servicer.enter_graceful_shutdown()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch_store(self) -> None:
        while True:
            await self._clock.sleep(self._every)
            await self._set_ready(await self._find_problem())

    async def _find_problem(self) -> str:
        """Return why the store cannot be used; "" if it can."""
        with contextlib.suppress(TimeoutError):
            try:
                async with asyncio.timeout(ANSWER):
                    await self._store.check()
            except StoreFailed as error:
                return error.message
            return ""
        return f"the store has not answered for {ANSWER:g} s"

    async def _set_ready(self, problem: str) -> None:
        ready = not problem
        if ready == self._ready:
            return
        self._ready = ready
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self.servicer.set(name, status)
        if ready:
            log.info("service.ready")
        else:
            log.warning("service.not_ready", message=problem)
