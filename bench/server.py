"""A real `judge serve` process on loopback with a store of its own, for benchmarks of the service."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import psutil

LOOK = 0.05
"""Seconds between two looks at a server's log while it starts."""


@dataclass(frozen=True)
class Served:
    """The address of a server and its process."""

    address: str
    process: psutil.Process

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of the server so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def rss(self) -> int:
        """Resident memory of the server now, in bytes."""
        return int(self.process.memory_info().rss)


@contextlib.contextmanager
def served() -> Iterator[Served]:
    """Run a server with an empty store until exit."""
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as home, served_in(Path(home)) as server:
        yield server


@contextlib.contextmanager
def served_in(home: Path) -> Iterator[Served]:
    """Run a server on the store in *home* until exit."""
    with server_with_settings(home, "log_json = true\n") as server:
        yield server


@contextlib.contextmanager
def server_with_settings(home: Path, settings: str) -> Iterator[Served]:
    """Run a server with *settings* on the store in *home* until exit."""
    config, log = home / "judge.toml", home / "server.log"
    config.write_text(settings, "utf-8")
    environment = {**os.environ, "JUDGE_HOME": str(home), "JUDGE_CONFIG": str(config)}
    command = [sys.executable, "-m", "judge.cli", "serve", "--listen", "127.0.0.1:0"]
    # The log goes to a file, because a pipe that nobody reads would block the server.
    with log.open("w") as out, subprocess.Popen(command, env=environment, stderr=out) as child:
        try:
            yield Served(_address(child, log), psutil.Process(child.pid))
        finally:
            child.terminate()


def _address(child: subprocess.Popen[bytes], log: Path) -> str:
    while child.poll() is None:
        for line in log.read_text("utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                event = json.loads(line)
                if event.get("event") == "server.started":
                    return str(event["address"])
        sleep(LOOK)
    message = "the server ended before it listened"
    raise RuntimeError(message)
