"""Processes that are started, killed, stopped, gone on with, and asked to end. What they say goes to files."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 180.0
LOOK_SECONDS = 0.02


@dataclass
class Child:
    """One process of a house: *command* says the event *started*, as a line of JSON, once it is at work."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    started: str
    starts: int = 0
    process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> asyncio.subprocess.Process:
        """The process; AssertionError if none was started."""
        assert self.process is not None, f"{self.name} was not started"
        return self.process

    @property
    def log(self) -> Path:
        """What the present process says."""
        return self.folder / f"{self.name}-{self.starts}.log"

    async def start(self) -> dict[str, Any]:
        """Start it; what it said when it was at work."""
        self.starts += 1
        with self.log.open("wb") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, env=dict(self.env), stdout=out, stderr=asyncio.subprocess.STDOUT
            )
        return await self.told(self.started)

    async def told(self, event: str, seconds: float = START_SECONDS) -> dict[str, Any]:
        """The first line that tells of *event*, once it is there; AssertionError with the log if the process ended."""
        async with asyncio.timeout(seconds):
            while not (lines := self.lines(event)):
                assert self.alive.returncode is None, f"{self.name} ended: {self.log.read_text('utf-8')[-2000:]}"
                await asyncio.sleep(LOOK_SECONDS)
        return lines[0]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What the present process has told of *event* so far."""
        whole = self.log.read_text("utf-8").splitlines(keepends=True)
        told = [json.loads(line) for line in whole if line.startswith("{") and line.endswith("\n")]
        return [line for line in told if line.get("event") == event]

    async def kill(self) -> None:
        """End it without a chance to do anything about it."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def stop(self) -> None:
        """Let it do nothing at all until it goes on."""
        self.alive.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on as if nothing had been."""
        self.alive.send_signal(signal.SIGCONT)

    def ask_to_end(self) -> None:
        """Tell it to finish what it is at."""
        self.alive.send_signal(signal.SIGTERM)

    async def ended(self, seconds: float) -> int:
        """Its exit code, once it has ended by itself."""
        async with asyncio.timeout(seconds):
            return await self.alive.wait()
