"""The house on Temporal: `judge serve` and some `judge worker`, over a PostgreSQL and a Temporal of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from children import Child
from houses import CONFIG, Judged
from postgres import Postgres, postgres
from temporal_server import TemporalServer, temporal

ENGINE = """
engine = "temporal"
{config}
[temporal]
address = "{address}"
"""


class TemporalHouse:
    """One process that answers clients, and *workers* that ask judges."""

    name = "temporal"

    def __init__(self, folder: Path, judged: Judged, *, workers: int = 2, **env: str) -> None:
        self.judged, self._folder = judged, folder
        self.address = f"unix:{folder / 'socket'}"
        self.store_url = ""
        self._stack = contextlib.ExitStack()
        self._config = folder / "judge.toml"
        told: Mapping[str, str] = {**os.environ, "JUDGE_HOME": str(folder), **env}
        serve = Child("serve", self._command("serve"), told, folder, "server.started")
        self.fronts = (serve,)
        self.workers = tuple(
            Child(f"worker-{n}", self._command("worker"), told, folder, "worker.started") for n in range(workers)
        )
        self.killable = (*self.fronts, *self.workers)
        self._postgres: Postgres | None = None
        self._temporal: TemporalServer | None = None

    def _command(self, what: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "judge.cli", what, "--config", str(self._config))

    @property
    def temporal(self) -> TemporalServer:
        """The Temporal that hands out the shards."""
        assert self._temporal is not None, "the house does not stand"
        return self._temporal

    async def start(self) -> None:
        """Start everything."""
        self._postgres = self._stack.enter_context(postgres())
        self._temporal = self._stack.enter_context(temporal())
        self.store_url = self._postgres.create("judge_house")
        judged = self.judged
        said = {name: getattr(judged, name) for name in ("url", "concurrency", "deadline", "requests_per_minute")}
        text = CONFIG.format(listen=self.address, store=self.store_url, price=judged.price, **said)
        self._config.write_text(ENGINE.format(config=text, address=self._temporal.address), "utf-8")
        for child in self.killable:
            await child.start()

    async def close(self) -> None:
        """End everything."""
        try:
            for child in self.killable:
                await child.kill()
        finally:
            await asyncio.to_thread(self._stack.close)

    def end_store(self) -> None:
        """Let PostgreSQL go away in the middle of everything."""
        assert self._postgres is not None, "the house does not stand"
        os.kill(self._postgres.server.get_pid(), signal.SIGQUIT)

    def begin_store(self) -> None:
        """Start PostgreSQL again on what it keeps."""
        assert self._postgres is not None, "the house does not stand"
        self._postgres.server.start()
