"""Fixtures with a real `vllm serve` on the CPU and a small random model. No tests are collected without vLLM."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("vllm") else ["test_*.py"]

KEY = "vllm-key-0123456789"  # pragma: allowlist secret
QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
CACHE = Path(__file__).parents[2] / ".cache"
READY_SECONDS = 300.0


@dataclass(frozen=True)
class Served:
    """A server's address, the folder of the weights that it serves under the name `judge`, and its log."""

    url: str
    weights: str
    log: Path

    @property
    def root(self) -> str:
        """The address without the version of the API."""
        return self.url.removesuffix("/v1")


@pytest.fixture(scope="session")
def model() -> Path:
    """The folder of the random model."""
    folder = CACHE / "vllm-model"
    if not (folder / "tokenizer.json").exists():
        make = Path(__file__).parent / "make_model.py"
        subprocess.run([sys.executable, str(make), str(folder)], check=True, env={**os.environ, **QUIET})
    return folder


@contextmanager
def serving(model: Path, log: Path, *flags: str) -> Iterator[Served]:
    """Start a server for *model*, and end it and all its processes at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(Path(sys.executable).parent / "vllm"), "serve", str(model), "--served-model-name", "judge"),
        *("--host", "127.0.0.1", "--port", str(port), "--api-key", KEY, "--enforce-eager", "--dtype", "float32"),
        *("--max-model-len", "4096", "--enable-prefix-caching", "--enable-prompt-tokens-details"),
        *("--max-logprobs", "20", "--generation-config", "vllm"),
        *("--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}', *flags),
    ]
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **QUIET}, start_new_session=True)
    try:
        _until_ready(process, f"http://127.0.0.1:{port}/health", log)
        yield Served(f"http://127.0.0.1:{port}/v1", str(model), log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def _until_ready(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    """Wait until the server answers. Raises AssertionError if it ends first or takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError("vllm serve ended: " + log.read_text("utf-8")[-3000:])
        try:
            with urllib.request.urlopen(health, timeout=5):  # noqa: S310  # loopback
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"vllm serve was not ready after {READY_SECONDS:.0f} s: " + log.read_text("utf-8")[-3000:])


@pytest.fixture(scope="session")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server that all tests share."""
    with serving(model, tmp_path_factory.mktemp("vllm") / "serve.log", "--max-num-seqs", "64") as shared:
        yield shared
