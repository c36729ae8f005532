"""Temporal's development server in a folder, on a free port of loopback."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


class TemporalServer:
    """A server at *address* that can be stopped and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the server and wait until it listens."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("temporal", "server", "start-dev", "--headless", "--ip", "127.0.0.1"),
                    *("--port", str(self._port), "--db-filename", str(self._folder / "temporal.db")),
                    *("--log-level", "error"),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        if not any(line.startswith(b"Temporal Server:") for line in self._process.stdout):
            self.end()
            raise AssertionError("Temporal did not start: " + (self._folder / "log").read_text("utf-8"))

    def end(self) -> None:
        """Kill the server."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


@contextlib.contextmanager
def temporal() -> Iterator[TemporalServer]:
    """Run a server until exit."""
    with tempfile.TemporaryDirectory(prefix="judge-temporal-", ignore_cleanup_errors=True) as folder:
        server = TemporalServer(Path(folder))
        try:
            server.begin()
            yield server
        finally:
            server.end()


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
