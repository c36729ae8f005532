"""The processes that make up a whole service, and how to start and kill them. One class for each engine."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from support.child_processes import Child

CONFIG = """
log_json = true
listen = "{listen}"
store_url = "{store}"
[accounts.far]
requests_per_minute = {requests_per_minute}
"""
JUDGE = """
[judges.{name}]
backend = "openai"
model = "m"
base_url = "{url}"
account = "far"
rubric = "brackets"
concurrency = {concurrency}
deadline_seconds = {deadline}
price = {{ input = {input_price}, output = {price} }}
max_output_tokens = {max_output_tokens}
"""
Env = Mapping[str, Mapping[str, str]]
NO_ENV: Env = {}


@dataclass(frozen=True)
class JudgeConfig:
    """The settings of the judge `far`, which calls the provider at *url*, and of judges that differ in one setting.

    For each number of tokens in *also* there is a judge `far-TOKENS` with that many output tokens at most.
    """

    url: str
    concurrency: int = 16
    deadline: float = 5.0
    requests_per_minute: int = 0
    price: float = 0.0
    """USD per million tokens of output."""
    free_input: bool = False
    """Whether input costs nothing. Otherwise it costs as much as output."""
    also: tuple[int, ...] = ()

    def config(self, listen: str, store: str) -> str:
        """Return the configuration file of a service that listens at *listen* and uses *store*."""
        settings = {**asdict(self), "input_price": 0.0 if self.free_input else self.price}
        judges = {"far": 1024} | {f"far-{tokens}": tokens for tokens in self.also}
        return CONFIG.format(listen=listen, store=store, **settings) + "".join(
            JUDGE.format(name=name, max_output_tokens=tokens, **settings) for name, tokens in judges.items()
        )


class ServiceProcesses(Protocol):
    """A service of one or more processes."""

    name: str
    judge_config: JudgeConfig
    address: str
    """Where clients connect. It stays the same while the service runs."""
    store_url: str

    @property
    def fronts(self) -> Sequence[Child]:
        """The processes that answer clients."""
        ...

    @property
    def workers(self) -> Sequence[Child]:
        """The processes that call judges. A process may do both."""
        ...

    @property
    def killable(self) -> Sequence[Child]:
        """The processes that may be killed at any time and are started again."""
        ...

    async def start(self) -> None:
        """Start everything."""
        ...

    async def close(self) -> None:
        """End everything."""
        ...


S = TypeVar("S", bound=ServiceProcesses)


class Kind(Protocol):
    """Makes a service of one kind in *folder*."""

    def __call__(
        self, folder: Path, judge_config: JudgeConfig, *, workers: int = 2, env: Env = NO_ENV
    ) -> ServiceProcesses:
        """Return a service that is not started yet. *env* holds environment variables by the name of a process."""
        ...


class LocalService:
    """`judge serve` over an SQLite file. One process does everything, so *workers* is ignored."""

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
        serve = Child(
            name="serve",
            command=command("serve", config),
            env=environment("serve", folder, env),
            folder=folder,
            started="server.started",
        )
        self.fronts = self.workers = self.killable = (serve,)

    async def start(self) -> None:
        """Start the server."""
        await self.fronts[0].start()

    async def close(self) -> None:
        """End the server."""
        await self.fronts[0].kill()


def command(what: str, config: Path) -> tuple[str, ...]:
    """Return the command line of a process that runs `judge` with subcommand *what*."""
    return (sys.executable, "-m", "judge.cli", what, "--config", str(config))


def environment(name: str, folder: Path, env: Env) -> dict[str, str]:
    """Return the environment of the process *name* of a service in *folder*."""
    return {**os.environ, "JUDGE_HOME": str(folder), **env.get(name, {})}


@asynccontextmanager
async def running_service(service: S) -> AsyncIterator[S]:
    """Start *service*, and end it on exit, whatever state its processes are in."""
    try:
        await service.start()
        yield service
    finally:
        await service.close()
