"""A real llama.cpp server and an independent mock of the APIs, whose programs `make test-providers` names."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

LLAMA, MOCK = os.environ.get("JUDGE_TEST_LLAMA", ""), os.environ.get("JUDGE_TEST_MOCK", "")
collect_ignore_glob = [
    *([] if LLAMA else ["test_real_llama*.py"]),
    *([] if MOCK else ["test_real_mock*.py"]),
]
SERVER = Path(__file__).parents[2] / "bench" / "small_server.py"
READY_SECONDS = 60.0
RULES = """
version: 1
rules:
  - {name: throttled, when: {messages_contain: "answer-throttled"}, respond: {status: 429, error: "Rate limit"}}
  - {name: down, when: {messages_contain: "answer-down"}, respond: {status: 503, error: "Overloaded"}}
  - {name: key, when: {messages_contain: "answer-key"}, respond: {status: 401, error: "Incorrect API key provided"}}
  - {name: long, when: {messages_contain: "answer-long"}, respond: {status: 400, error: "prompt is too long: 9 > 8"}}
  - {name: bad, when: {messages_contain: "answer-bad"}, respond: {status: 400, error: "bad request"}}
  - {name: verdict, when: {messages_contain: "answer"}, respond: {content: "The first one is right. [[A]]"}}
"""
"""What the mock answers, by a word in the judged answers."""


@pytest.fixture(scope="session")
def llama() -> Iterator[str]:
    """The base URL of a llama.cpp server with a small real model whose replies are one letter."""
    pipe = subprocess.PIPE
    command = [LLAMA, str(SERVER)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        address = process.stdout.readline().strip() if process.stdout else ""
        assert address, "the server did not start"
        yield f"{address}/v1"
        process.kill()


@pytest.fixture(scope="session")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the mock, without the version of the API."""
    rules = tmp_path_factory.mktemp("mock") / "rules.yaml"
    rules.write_text(RULES, "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [MOCK, "serve", "--port", str(port), "--config", str(rules)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _wait_for(f"http://127.0.0.1:{port}/_fakellm/stats")
        yield f"http://127.0.0.1:{port}"
        process.kill()


def _wait_for(url: str) -> None:
    """Return when something answers at *url*."""
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  # on loopback
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < until, "the mock did not start"
            time.sleep(0.1)  # another process starts
        else:
            return
