"""Houses: the processes that make a whole service, how they are started and killed. One class for each engine."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from support.child_processes import Child

CONFIG = """
log_json = true
listen = "{listen}"
store_url = "{store}"
[accounts.far]
requests_per_minute = {requests_per_minute}
[judges.far]
backend = "openai"
model = "m"
base_url = "{url}"
account = "far"
rubric = "brackets"
concurrency = {concurrency}
deadline_seconds = {deadline}
price = {{ input = {price}, output = {price} }}
"""
Env = Mapping[str, Mapping[str, str]]
NO_ENV: Env = {}


@dataclass(frozen=True)
class JudgeConfig:
    """How the judge `far` asks the provider at *url*."""

    url: str
    concurrency: int = 16
    deadline: float = 5.0
    requests_per_minute: int = 0
    price: float = 0.0
    """USD for a million tokens, of input as of output."""

    def config(self, listen: str, store: str) -> str:
        """What a house over *store* finds in its config."""
        return CONFIG.format(listen=listen, store=store, **asdict(self))


class ServiceProcesses(Protocol):
    """A service of one or more processes."""

    name: str
    judge_config: JudgeConfig
    fronts: Sequence[Child]
    """Answer clients."""
    workers: Sequence[Child]
    """Ask judges. A process may do both."""
    address: str
    """Where clients call; the same as long as the house stands."""
    store_url: str

    @property
    def killable(self) -> Sequence[Child]:
        """What may be killed at any time, and is then started again."""
        ...

    async def start(self) -> None:
        """Start everything."""
        ...

    async def close(self) -> None:
        """End everything."""
        ...


class Kind(Protocol):
    """Makes a house of one kind in *folder*."""

    def __call__(
        self, folder: Path, judge_config: JudgeConfig, *, workers: int = 2, env: Env = NO_ENV
    ) -> ServiceProcesses:
        """A house that does not stand yet; *env* tells each process by its name what it finds in its environment."""
        ...


class LocalService:
    """`judge serve` over a file of SQLite: one process does everything, so *workers* is of no account."""

    name = "local"

    def __init__(
        self, folder: Path, judge_config: JudgeConfig, *, workers: int = 2, env: Env = NO_ENV, store: Path | None = None
    ) -> None:
        self.judge_config = judge_config
        self.address = f"unix:{folder / 'socket'}"
        self.store = store or folder / "judge.db"
        self.store_url = f"sqlite:///{self.store}"
        config = folder / "judge.toml"
        config.write_text(judge_config.config(self.address, self.store_url), "utf-8")
        serve = Child("serve", command("serve", config), environment("serve", folder, env), folder, "server.started")
        self.fronts = self.workers = self.killable = (serve,)

    async def start(self) -> None:
        """Start the server."""
        await self.fronts[0].start()

    async def close(self) -> None:
        """End the server."""
        await self.fronts[0].kill()


def command(what: str, config: Path) -> tuple[str, ...]:
    """What starts a process of a house."""
    return (sys.executable, "-m", "judge.cli", what, "--config", str(config))


def environment(name: str, folder: Path, env: Env) -> dict[str, str]:
    """The environment of the process *name* of a house in *folder*."""
    return {**os.environ, "JUDGE_HOME": str(folder), **env.get(name, {})}


@asynccontextmanager
async def standing(service: ServiceProcesses) -> AsyncIterator[ServiceProcesses]:
    """*service*, started and at the end ended, whatever state its processes are in."""
    try:
        await service.start()
        yield service
    finally:
        await service.close()
