"""Canaries for secrets: a key and a judged text appear only where they belong, even at debug level."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import judge_service_pb2 as js
from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient, JudgeClientError
from support.example_prompts import right_answer
from support.provider import Provider
from support.provider_server import anthropic_url, serving_provider
from support.service_process import environment, serving

KEY = "canary-key-5f2e81c09b7d"  # pragma: allowlist secret
TEXT = "canary text 8d1f: a judged sentence that no log, no error and no configuration may ever hold"
JUDGE = """
[judges.{name}]
backend = "{vendor}"
model = "m"
base_url = "{url}"
rubric = "brackets"
key_env = "CANARY_KEY"
price = {{ input = 1.0, output = 1.0 }}
{identity}
"""
TEXTS_OF = {"prompt": {"turns", "reference"}, "output": {"turns"}, "answer": {"raw"}, "parsed_verdict": {"reason"}}
"""The columns that may contain judged texts, by table."""


def columns_with(database: Path, word: str) -> set[tuple[str, str]]:
    """Return every table and column that contains *word*."""
    columns = set()
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608  # the schema's own names
            names = [column[0] for column in rows.description]
            for row in rows:
                columns |= {(table, name) for name, value in zip(names, row, strict=True) if word in str(value)}
    return columns


def files_with(folder: Path, word: str) -> list[str]:
    """Return the store's files that contain *word*."""
    return [file.name for file in folder.glob("judge.db*") if word.encode() in file.read_bytes()]


@pytest.fixture(autouse=True)
def _traps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set environment variables that could send a key elsewhere or print it."""
    trap = "http://127.0.0.1:9"
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, trap)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    monkeypatch.setenv("ANTHROPIC_LOG", "debug")
    monkeypatch.setenv("CANARY_KEY", KEY)


async def test_no_key_and_no_judged_text_is_in_a_log_an_error_or_the_configuration(tmp_path: Path) -> None:
    """Keys and texts stay out of logs and errors at debug level, although the provider echoes both in its errors."""
    provider = Provider(right_answer, key=KEY, faults=lambda asked, _: "echo" if asked.drawn < 0.2 else "")
    errors: list[str] = []
    async with serving_provider(provider) as url:
        urls = {"openai": url, "anthropic": anthropic_url(url), "vllm": url}
        text = 'log_json = true\nlog_level = "debug"\n'
        text += "".join(
            JUDGE.format(
                name=f"by-{vendor}",
                vendor=vendor,
                url=urls[vendor],
                # The port, which differs each time, would be part of what is sent, and so of which calls fail.
                identity="" if vendor == "vllm" else f'identity = "{vendor}"',
            )
            for vendor in urls
        )
        (tmp_path / "judge.toml").write_text(text, "utf-8")
        async with serving(tmp_path) as process, JudgeClient(process.address) as client:
            await client.create_dataset("d")
            await client.upload_prompts("d", [ds.Prompt(prompt_id=f"p{n}", turns=[f"{n} {TEXT}"]) for n in range(20)])
            outputs = [
                ds.Output(prompt_id=f"p{n}", contestant=who, turns=[f"{TEXT} {who} {n}"])
                for n in range(20)
                for who in "ab"
            ]
            await client.upload_outputs("d", outputs)
            spec = pb.RunSpec(dataset="datasets/d", judges=[f"judges/by-{vendor}" for vendor in urls])
            run = await client.wait_run((await client.create_run(spec)).name)
            errors.append(str(run))
            for number in range(20):
                texts = js.InlineComparison(prompt=[f"{TEXT} {number}"], left=[TEXT], right=["x"])
                try:
                    await client.judge_comparison("by-openai", js.JudgeInput(texts=texts))
                except JudgeClientError as error:
                    errors += [str(error), repr(error), repr(error.__dict__)]
            errors += [str(judge) async for judge in client.list_judges()]
            process.child.terminate()
            assert await process.wait_for_exit() == 0

    log = "".join(process.log)
    assert run.counts.by_status["ok"] > 60
    assert run.counts.by_status["rejected"] > 5
    assert len(errors) > 10
    assert not [line for line in (*errors, log) if KEY in line or TEXT in line]
    assert columns_with(tmp_path / "judge.db", KEY) == set()
    for table, column in columns_with(tmp_path / "judge.db", TEXT):
        assert column in TEXTS_OF[table], (table, column)
    assert not files_with(tmp_path, KEY)


def test_a_key_in_a_misspelled_field_is_not_printed(tmp_path: Path) -> None:
    """The error about a misspelled setting names the field but not its value."""
    config = tmp_path / "judge.toml"
    config.write_text(f'[judges.far]\nbackend = "openai"\nmodel = "m"\nkey_envv = "{KEY}"\n', "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "judge.cli", "judges"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert "[judges.far] key_envv is not a known setting" in done.stderr
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_law_4_a_server_killed_between_submit_and_store_finds_its_batch_and_pays_once(
    tmp_path: Path, vendor: str
) -> None:
    """A server killed after submitting a batch finds that batch again and makes each call once."""
    provider = Provider(right_answer, key=KEY)
    submitted, hold = asyncio.Event(), asyncio.Event()

    async def hold_submission() -> None:
        submitted.set()
        await hold.wait()

    provider.after_submit = hold_submission
    async with serving_provider(provider) as url:
        address = url if vendor == "openai" else anthropic_url(url)
        text = (
            "log_json = true\n" + JUDGE.format(name="far", vendor=vendor, url=address, identity="") + "batch = true\n"
        )
        (tmp_path / "judge.toml").write_text(text, "utf-8")
        async with serving(tmp_path) as first, JudgeClient(first.address) as client:
            await client.create_dataset("d")
            await client.upload_prompts("d", [ds.Prompt(prompt_id=f"p{n}", turns=[f"{n}"]) for n in range(10)])
            outputs = [ds.Output(prompt_id=f"p{n}", contestant=who, turns=[who]) for n in range(10) for who in "abc"]
            await client.upload_outputs("d", outputs)
            spec = pb.RunSpec(dataset="datasets/d", judges=["judges/far"])
            run = await client.create_run(spec)
            async with asyncio.timeout(30):
                await submitted.wait()
            await first.kill()
        provider.after_submit = None
        hold.set()
        provider.finish_batches()
        async with serving(tmp_path) as second, JudgeClient(second.address) as client:
            async with asyncio.timeout(30):
                done = await client.wait_run(run.name)

    paid = {name: n_calls for name, n_calls in provider.calls.items() if name.startswith("batch ")}
    assert len(provider.batches) == 1
    assert (done.state, dict(done.counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": 60})
    assert (done.counts.calls, done.counts.repeated, len(paid)) == (60, 0, 60)
