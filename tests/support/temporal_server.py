"""Temporal's real development server in a folder, on a free port of loopback."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


class TemporalServer:
    """A server at *address*, which may be ended and begun again on what it keeps."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it, and wait until it listens."""
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
        """End it at once, without a chance to do anything about it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


@contextlib.contextmanager
def temporal() -> Iterator[TemporalServer]:
    """A server that is there for as long as it is used."""
    with tempfile.TemporaryDirectory(prefix="judge-temporal-", ignore_cleanup_errors=True) as folder:
        server = TemporalServer(Path(folder))
        try:
            server.begin()
            yield server
        finally:
            server.end()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
