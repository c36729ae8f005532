"""A real `judge serve` process, and a fake judge endpoint in the test's process that counts and holds calls."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import run_service_pb2
from judge_client import JudgeClient
from support import loopback

CONFIG = """
log_json = true
[judges.far]
backend = "openai"
model = "m"
base_url = "{url}"
rubric = "brackets"
concurrency = {concurrency}
"""


@dataclass
class Endpoint:
    """Answers the first *held_after* chat completions at once, and the others when `release` is set."""

    held_after: int | None = None
    text: str = "[[A]]"
    status: int = 200
    calls: Counter[str] = field(default_factory=Counter)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    holding: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    answered: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        """Count the call by its body, hold it if necessary, and reply."""
        body = await request.read()
        self.calls[hashlib.sha256(body).hexdigest()] += 1
        if self.held_after is not None and self.answered >= self.held_after:
            await self._count(1)
            try:
                await self.release.wait()
            finally:
                self.holding -= 1
        self.answered += 1
        message = {"role": "assistant", "content": self.text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        reply = {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]}
        return web.json_response(reply, status=self.status)

    async def _count(self, more: int) -> None:
        async with self.changed:
            self.holding += more
            self.changed.notify_all()

    def let_go(self) -> None:
        """Answer the held calls and hold no more."""
        self.held_after = None
        self.release.set()

    async def wait_until_holding(self, n: int) -> None:
        """Wait until *n* calls are held."""
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: self.holding >= n)

    @property
    def repeated(self) -> int:
        """How many calls repeated an earlier one."""
        return sum(count - 1 for count in self.calls.values())


def listening(endpoint: Endpoint) -> AbstractAsyncContextManager[str]:
    """Serve the endpoint on loopback and yield its base URL."""
    return loopback.serving(endpoint.handle)


def configure(home: Path, url: str = "http://127.0.0.1:9/v1", *, concurrency: int = 8) -> Path:
    """Write *home*/judge.toml with one judge called `far` at *url*, and return *home*."""
    (home / "judge.toml").write_text(CONFIG.format(url=url, concurrency=concurrency), "utf-8")
    return home


def environment(home: Path) -> dict[str, str]:
    """Return an environment whose store and configuration are in *home*."""
    return {**os.environ, "JUDGE_HOME": str(home), "JUDGE_CONFIG": str(home / "judge.toml")}


@dataclass
class Process:
    """`judge serve` at *address*."""

    address: str
    child: asyncio.subprocess.Process
    log: list[str]

    async def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.child.kill()
        await self.child.wait()

    async def wait_for_exit(self) -> int:
        """Wait up to 30 seconds for the process to exit and return its exit code."""
        async with asyncio.timeout(30):
            return await self.child.wait()


@asynccontextmanager
async def serving(home: Path) -> AsyncIterator[Process]:
    """Run a server on the store in *home*. It is killed on exit if it still runs."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "judge.cli", "serve", "--listen", "127.0.0.1:0"),
        env=environment(home),
        stderr=asyncio.subprocess.PIPE,
    )
    log: list[str] = []
    assert child.stderr is not None
    try:
        async with asyncio.timeout(30):
            address = await _address(child.stderr, log)
        reader = asyncio.create_task(_drain(child.stderr, log))
        yield Process(address, child, log)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    await reader


async def _address(lines: asyncio.StreamReader, log: list[str]) -> str:
    async for line in lines:
        log.append(line.decode())
        if line.startswith(b"{") and (event := json.loads(line)).get("event") == "server.started":
            return str(event["address"])
    raise AssertionError("the server did not start: " + "".join(log))


async def _drain(lines: asyncio.StreamReader, log: list[str]) -> None:
    while line := await lines.readline():
        log.append(line.decode())


async def start_run(client: JudgeClient, prompts: int, *judges: str) -> str:
    """Upload *prompts* prompts with three contestants to the dataset `d`, start a run of *judges*, return its name."""
    await client.create_dataset("d")
    prompt_rows = [ds.Prompt(prompt_id=f"p{n}", turns=[f"question {n}"]) for n in range(prompts)]
    outputs = [
        ds.Output(prompt_id=p.prompt_id, contestant=who, turns=[f"{who} on {p.prompt_id}"])
        for p in prompt_rows
        for who in "abc"
    ]
    await client.upload_prompts("d", prompt_rows)
    await client.upload_outputs("d", outputs)
    spec = run_service_pb2.RunSpec(dataset="datasets/d", judges=[f"judges/{name}" for name in judges])
    return (await client.create_run(spec)).name
