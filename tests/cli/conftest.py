"""Run `judge` in child processes, with one real server for all commands that need one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

Done = subprocess.CompletedProcess[str]
Judge = Callable[..., Done]


def judge(home: Path, *arguments: str | Path) -> Done:
    """Run `judge` in a child process, with *home* as its JUDGE_HOME and its working directory."""
    argv = [sys.executable, "-m", "judge.cli", *map(str, arguments)]
    environment = {**os.environ, "JUDGE_HOME": str(home)}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=home)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start `judge serve` on a store in a file and yield its address. It must end with 0 when it is terminated."""
    home = tmp_path_factory.mktemp("served")
    (home / "judge.toml").write_text("log_json = true\n", "utf-8")
    environment = {**os.environ, "JUDGE_HOME": str(home), "JUDGE_CONFIG": str(home / "judge.toml")}
    argv = [sys.executable, "-m", "judge.cli", "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        try:
            address = _address(child.stderr)
            # A log that is not read would fill its pipe and block the server.
            reader = threading.Thread(target=child.stderr.read)
            reader.start()
            yield address
            child.terminate()
            assert child.wait(30) == 0
        finally:
            child.kill()
        reader.join()


def _address(log: IO[str]) -> str:
    lines = []
    for line in log:
        lines.append(line)
        if line.startswith("{") and (event := json.loads(line)).get("event") == "server.started":
            return str(event["address"])
    raise AssertionError("the server did not start: " + "".join(lines))


@pytest.fixture
def embedded(tmp_path: Path) -> Judge:
    """Run `judge` without a server, on a store that all commands of a test share."""
    return lambda *arguments: judge(tmp_path, *arguments)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, address: str) -> Judge:
    """Run `judge` with the server that all tests share. Each test uses dataset names of its own."""
    home = tmp_path_factory.mktemp("home")
    return lambda *arguments: judge(home, "--server", address, *arguments)
