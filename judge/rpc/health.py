"""grpc.health.v1: `liveness` says that the process is there; the empty name and each service, that they can work.

They can while the store is reachable and has a schema that this release works with, which is looked at every few
seconds: another release may migrate it meanwhile.
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
"""Seconds between two looks at the store."""
ANSWER = 5.0
"""Seconds in which the store answers, or is away."""
LIVENESS, WHOLE = "liveness", ""
log = logger("health")


class Health:
    """Says whether *services* can work, from what the store says."""

    def __init__(self, store: Store, clock: Clock, services: Sequence[str], *, every: float = EVERY) -> None:
        self.servicer = health.aio.HealthServicer()
        self._store, self._clock, self._every = store, clock, every
        self._names = (WHOLE, *services)
        self._ready = True
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Say that all is well, as the store was when it was opened, and go on looking."""
        for name in (LIVENESS, *self._names):
            await self.servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._looking = asyncio.create_task(self._look())

    async def drain(self) -> None:
        """Say NOT_SERVING from now on, whatever the store says."""
        await self.servicer.enter_graceful_shutdown()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(self._every)
            await self._say(await self._wrong())

    async def _wrong(self) -> str:
        """Why the store cannot be worked with; "" if it can."""
        with contextlib.suppress(TimeoutError):
            try:
                async with asyncio.timeout(ANSWER):
                    await self._store.check()
            except StoreFailed as error:
                return error.message
            return ""
        return f"the store has not answered for {ANSWER:g} s"

    async def _say(self, wrong: str) -> None:
        ready = not wrong
        if ready == self._ready:
            return
        self._ready = ready
        said = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self.servicer.set(name, said)
        if ready:
            log.info("service.ready")
        else:
            log.warning("service.not_ready", message=wrong)
