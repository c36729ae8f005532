"""`judge doctor` as a process, over a real socket: what it prints, and the code that it exits with."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from support.provider import KEY, Provider
from support.provider_server import serving_provider

Done = subprocess.CompletedProcess[str]
Judge = Callable[..., Done]
TOML = """
[judges.j]
backend = "openai"
model = "m"
base_url = "{url}"
key_env = "DOCTOR_KEY"
rubric = "brackets"
price = {{ input = 1.0, output = 2.0 }}
"""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setenv("DOCTOR_KEY", KEY)
    return Provider(lambda _: "[[A]]")


@pytest.fixture
async def url(provider: Provider) -> AsyncIterator[str]:
    async with serving_provider(provider) as address:
        yield address


async def examined(judge: Judge, home: Path, toml: str, *options: str) -> tuple[Done, str]:
    """Run `judge doctor` with a configuration. Returns the process, and what it printed as one line."""
    (home / "judge.toml").write_text(toml, "utf-8")
    done = await asyncio.to_thread(judge, "--config", home / "judge.toml", "doctor", *options)
    assert "Traceback" not in done.stderr
    return done, " ".join(done.stdout.split())


async def test_a_judge_that_works_is_0_and_no_call_is_made(
    embedded: Judge, tmp_path: Path, url: str, provider: Provider
) -> None:
    done, printed = await examined(embedded, tmp_path, TOML.format(url=url))

    assert done.returncode == 0, done.stderr
    assert f"ok j, endpoint: {url} answers, and lists m" in printed
    assert printed.endswith("Everything works.")
    assert max(len(line) for line in done.stdout.splitlines() if str(tmp_path) not in line) <= 80
    assert not provider.calls


async def test_a_call_is_made_on_request_and_its_verdict_printed(
    embedded: Judge, tmp_path: Path, url: str, provider: Provider
) -> None:
    done, printed = await examined(embedded, tmp_path, TOML.format(url=url), "j", "--call")

    assert done.returncode == 0, done.stderr
    assert "ok j, call: " in printed
    assert sum(provider.calls.values()) == 1


async def test_a_refused_connection_is_1_and_named(embedded: Judge, tmp_path: Path, provider: Provider) -> None:
    """The port was free a moment ago, so that nothing listens there."""
    assert provider.key
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    done, printed = await examined(embedded, tmp_path, TOML.format(url=f"http://127.0.0.1:{port}/v1"), "--call")

    assert done.returncode == 1
    assert "error j, endpoint: " in printed
    assert "connection refused" in printed
    assert "j, call" not in printed
    assert printed.endswith("1 error.")


async def test_a_wrong_key_is_1_and_not_repeated(
    embedded: Judge, tmp_path: Path, url: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCTOR_KEY", "wrong-key-9876543210")  # pragma: allowlist secret

    done, printed = await examined(embedded, tmp_path, TOML.format(url=url), "--call")

    assert done.returncode == 1
    assert "401" in printed
    assert "9876543210" not in done.stdout + done.stderr
    assert not provider.calls


async def test_a_retired_model_is_a_warning_and_a_missing_key_is_1(embedded: Judge, tmp_path: Path) -> None:
    """With --json, each result is a line."""
    toml = '[judges.old]\nbackend = "openai"\nmodel = "gpt-4-0613"\nkey_env = "NOT_SET"\n'

    done, _ = await examined(embedded, tmp_path, toml, "--json")

    results = {(row["subject"], row["check"]): row for row in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert results["old", "key"]["level"] == "error"
    assert results["old", "model"]["level"] == "warning"
    assert "2026-10-23" in results["old", "model"]["message"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("nobody",), 1, "there is no such judge; there are "),
        (("--json", "--call", "longest"), 0, '"subject": "longest"'),
    ],
)
async def test_judges_are_examined_by_name(
    embedded: Judge, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    """An unknown name is an error that lists the known ones; a baseline judge needs no key."""
    done, printed = await examined(embedded, tmp_path, "", *options)

    assert (done.returncode, words in printed) == (code, True)


def test_doctor_examines_this_machine_and_no_server(embedded: Judge) -> None:
    done = embedded("--server", "127.0.0.1:1", "doctor")

    assert done.returncode == 2
    assert "--server does not apply" in done.stderr
