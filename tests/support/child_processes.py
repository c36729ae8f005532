"""Child processes that tests start, kill, suspend, resume and terminate. Their output goes to files."""

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
    """One process of a service. *command* logs the event *started*, as a line of JSON, when it is ready."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    started: str
    starts: int = 0
    process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> asyncio.subprocess.Process:
        """The process. Raises AssertionError if it was never started."""
        assert self.process is not None, f"{self.name} was not started"
        return self.process

    @property
    def log(self) -> Path:
        """The output file of the current process."""
        return self.folder / f"{self.name}-{self.starts}.log"

    async def start(self) -> dict[str, Any]:
        """Start the process, wait until it is ready, and return its event *started*."""
        self.starts += 1
        with self.log.open("wb") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, env=dict(self.env), stdout=out, stderr=asyncio.subprocess.STDOUT
            )
        return await self.wait_for_event(self.started)

    async def wait_for_event(self, event: str, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Wait for the first log line with *event* and return it.

        Raises AssertionError with the end of the log if the process ends first, TimeoutError after *seconds*.
        """
        async with asyncio.timeout(seconds):
            while not (lines := self.lines(event)):
                assert self.alive.returncode is None, f"{self.name} ended: {self.log.read_text('utf-8')[-2000:]}"
                await asyncio.sleep(LOOK_SECONDS)
        return lines[0]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of the current process with *event*."""
        whole = self.log.read_text("utf-8").splitlines(keepends=True)
        events = [json.loads(line) for line in whole if line.startswith("{") and line.endswith("\n")]
        return [line for line in events if line.get("event") == event]

    async def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def stop(self) -> None:
        """Suspend the process with SIGSTOP."""
        self.alive.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume the process with SIGCONT."""
        self.alive.send_signal(signal.SIGCONT)

    def ask_to_end(self) -> None:
        """Send SIGTERM, which asks the process to finish its work and exit."""
        self.alive.send_signal(signal.SIGTERM)

    async def wait_for_exit(self, seconds: float) -> int:
        """Wait up to *seconds* for the process to exit and return its exit code."""
        async with asyncio.timeout(seconds):
            return await self.alive.wait()
