"""The service on Temporal: `judge serve` and several `judge worker`, with a database and a task queue of its own.

PostgreSQL and Temporal are shared between services, because starting them takes longer than many scenarios.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sqlalchemy import make_url

from support.child_processes import Child
from support.fault_services import NO_ENV, Env, JudgeConfig, command, environment
from support.postgres import Postgres
from support.temporal_server import TemporalServer

ENGINE = """
engine = "temporal"
{config}
[temporal]
address = "{address}"
task_queue = "{queue}"
"""
SOCKET = ".s.PGSQL.5432"
"""The name of PostgreSQL's socket."""
_numbers = count(1)


@dataclass(frozen=True)
class Servers:
    """The servers that services share. A test that stops one must start it again."""

    postgres: Postgres
    temporal: TemporalServer

    @property
    def socket(self) -> Path:
        """The socket where PostgreSQL listens."""
        return Path(str(make_url(self.postgres.uri).query["host"])) / SOCKET

    def end_store(self) -> None:
        """Stop PostgreSQL at once, as its shutdown mode `immediate` does."""
        os.kill(self.postgres.server.get_pid(), signal.SIGQUIT)

    def begin_store(self) -> None:
        """Start PostgreSQL again on the same data."""
        self.postgres.server.start()


@dataclass(frozen=True)
class Detour:
    """Where one process finds its servers, if not where the others do."""

    temporal: str = ""
    """The address of Temporal, or "" for the usual one."""
    store: str = ""
    """The folder of PostgreSQL's socket, or "" for the usual one."""


class TemporalService:
    """One process that answers clients, and *workers* that call judges. *detours* is keyed by a process's name."""

    name = "temporal"

    def __init__(
        self,
        folder: Path,
        judge_config: JudgeConfig,
        *,
        servers: Servers,
        workers: int = 2,
        env: Env = NO_ENV,
        detours: Mapping[str, Detour] | None = None,
    ) -> None:
        self.judge_config, self.servers, self._folder, self._detours = judge_config, servers, folder, detours or {}
        self.address = f"unix:{folder / 'socket'}"
        self.store_url = ""
        self._queue = f"service-{next(_numbers)}"
        self.fronts = (self._child("serve", "server.started", env),)
        self.workers = tuple(self._child(f"worker-{n}", "worker.started", env) for n in range(workers))
        self.killable = (*self.fronts, *self.workers)

    def _child(self, name: str, started: str, env: Env) -> Child:
        variables = environment(name, self._folder, env)
        return Child(
            name=name,
            command=command(name.partition("-")[0], self._config(name)),
            env=variables,
            folder=self._folder,
            started=started,
        )

    def _config(self, name: str) -> Path:
        return self._folder / f"{name}.toml"

    async def start(self) -> None:
        """Start every process."""
        self.store_url = self.servers.postgres.create(self._queue)
        for child in self.killable:
            detour = self._detours.get(child.name, Detour())
            store = make_url(self.store_url)
            store = store.update_query_dict({"host": detour.store}) if detour.store else store
            config = self.judge_config.config(self.address, store.render_as_string(hide_password=False))
            address = detour.temporal or self.servers.temporal.address
            self._config(child.name).write_text(
                ENGINE.format(config=config, address=address, queue=self._queue), "utf-8"
            )
        await asyncio.gather(*(child.start() for child in self.killable))

    async def close(self) -> None:
        """End every process."""
        await asyncio.gather(*(child.kill() for child in self.killable))
