"""Houses: the processes that make a whole service, how they are started and killed. One class for each engine."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from children import Child

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


@dataclass(frozen=True)
class Judged:
    """How the judge `far` asks the provider at *url*."""

    url: str
    concurrency: int = 16
    deadline: float = 5.0
    requests_per_minute: int = 0
    price: float = 0.0
    """USD for a million tokens, of input as of output."""


class House(Protocol):
    """A service of one or more processes."""

    name: str
    judged: Judged
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


class LocalHouse:
    """`judge serve` over a file of SQLite: one process does everything."""

    name = "local"

    def __init__(self, folder: Path, judged: Judged, *, store: Path | None = None, **env: str) -> None:
        self.judged = judged
        self.address = f"unix:{folder / 'socket'}"
        self.store = store or folder / "judge.db"
        self.store_url = f"sqlite:///{self.store}"
        config = folder / "judge.toml"
        said = {name: getattr(judged, name) for name in ("url", "concurrency", "deadline", "requests_per_minute")}
        text = CONFIG.format(listen=self.address, store=self.store_url, price=judged.price, **said)
        config.write_text(text, "utf-8")
        command = (sys.executable, "-m", "judge.cli", "serve", "--config", str(config))
        told: Mapping[str, str] = {**os.environ, "JUDGE_HOME": str(folder), **env}
        serve = Child("serve", command, told, folder, "server.started")
        self.fronts = self.workers = self.killable = (serve,)

    async def start(self) -> None:
        """Start the server."""
        await self.fronts[0].start()

    async def close(self) -> None:
        """End the server."""
        await self.fronts[0].kill()


KINDS: Mapping[str, type[LocalHouse]] = {"local": LocalHouse}
"""Every kind of house by its name. A scenario takes them all unless it says otherwise."""


@asynccontextmanager
async def standing(house: House) -> AsyncIterator[House]:
    """*house*, started and at the end ended, whatever state its processes are in."""
    try:
        await house.start()
        yield house
    finally:
        await house.close()
