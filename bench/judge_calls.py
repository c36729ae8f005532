"""What a judge's call costs our process, beside the default SDK client and the SDK's own raw path, in one run.

The endpoint is a process of its own; CPU is this process's. A call is a whole one: a rendered prompt in, a reply out.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time

import openai
import psutil
from figures import Figure, told

from judge.backends.anthropic import Anthropic
from judge.backends.http import Endpoint
from judge.backends.openai import OpenAI
from judge.backends.vllm import Vllm
from judge.domain.judge import RenderedPrompt, Sampling
from judge.domain.verdict import Shown
from judge.ports.backend import Backend
from judge.prompts.render import render
from judge.prompts.rubrics import RUBRICS

AT_ONCE = (1, 64, 512, 2000)
LATENCIES = (50, 500)
ROUNDS = 3
OURS_TIMES = {"vllm": 8.0, "openai": 2.5, "anthropic": 2.5}
CPU_MS = 1.3
RAW_SHARE = 0.8
ANSWER = "A sentence of an answer that goes on for a while, as answers do. " * 12
Asking = Callable[[RenderedPrompt], Awaitable[object]]


def prompts(many: int) -> list[RenderedPrompt]:
    """Prompts of about 600 tokens."""
    return [
        render(RUBRICS["brackets"], Shown((f"Question {n}?",), (ANSWER,), (ANSWER,)), "print", Sampling())
        for n in range(many)
    ]


@contextmanager
def endpoint(milliseconds: int) -> Iterator[str]:
    """The base URL of an endpoint in a process of its own."""
    file = Path(__file__).with_name("endpoint.py")
    process = subprocess.Popen([sys.executable, str(file), str(milliseconds)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


def default_client(url: str) -> tuple[Asking, Callable[[], Awaitable[None]]]:
    """OpenAI's SDK as its documentation uses it."""
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)

    async def ask(prompt: RenderedPrompt) -> object:
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        return await client.chat.completions.create(model="m", messages=messages, max_completion_tokens=1024)  # type: ignore[arg-type]  # plain dicts, as everyone writes

    return ask, client.close


def raw_path(url: str) -> tuple[Asking, Callable[[], Awaitable[None]]]:
    """The SDK's own way below its typed layer, on aiohttp."""
    import httpx2  # noqa: PLC0415  # where it is used

    http = openai.DefaultAioHttpClient(limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=1000))
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http)

    async def ask(prompt: RenderedPrompt) -> object:
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        body = {"model": "m", "messages": messages, "max_completion_tokens": 1024}
        return await client.post("/chat/completions", body=body, cast_to=httpx2.Response)

    return ask, client.close


def ours(make: Callable[[str], Backend]) -> Callable[[str], tuple[Asking, Callable[[], Awaitable[None]]]]:
    """One of our backends."""

    def made(url: str) -> tuple[Asking, Callable[[], Awaitable[None]]]:
        backend = make(url)
        return backend.reply, backend.close

    return made


CLIENTS: dict[str, Callable[[str], tuple[Asking, Callable[[], Awaitable[None]]]]] = {
    "default": default_client,
    "raw": raw_path,
    "openai": ours(lambda url: OpenAI("m", Endpoint(url))),
    "anthropic": ours(lambda url: Anthropic("m", Endpoint(url.removesuffix("/v1")))),
    "vllm": ours(lambda url: Vllm("m", Endpoint(url))),
}


async def cost(name: str, url: str, at_once: int, asked: list[RenderedPrompt]) -> tuple[float, int]:
    """CPU milliseconds a call of client *name*, *at_once* calls at a time on warm connections; calls that failed."""
    ask, close = CLIENTS[name](url)
    left = iter(asked)
    failed = 0

    async def worker() -> None:
        nonlocal failed
        for prompt in left:
            try:
                await ask(prompt)
            except Exception:  # noqa: BLE001  # counted
                failed += 1

    await asyncio.gather(*(ask(prompt) for prompt in asked[: min(at_once, 16)]))
    gc.collect()
    begun = process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    spent = process_time() - begun
    await close()
    return spent * 1000 / len(asked), failed


async def held(name: str, url: str, many: int) -> float:
    """KiB of memory a call in flight."""
    ask, close = CLIENTS[name](url)
    asked = prompts(many)
    await ask(asked[0])
    gc.collect()
    before = psutil.Process().memory_info().rss
    calls = [asyncio.ensure_future(ask(prompt)) for prompt in asked]
    await asyncio.sleep(0.4)
    most = psutil.Process().memory_info().rss
    await asyncio.gather(*calls, return_exceptions=True)
    await close()
    return (most - before) / many / 1024


def held_elsewhere(name: str, url: str) -> float:
    """The same in a fresh process, whose memory nothing else has grown."""
    script = f"import asyncio, judge_calls; print(asyncio.run(judge_calls.held({name!r}, {url!r}, 1000)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def figures() -> Iterator[Figure]:
    """Calls per CPU second beside the default client's and the raw path's; time-outs; memory in flight."""
    for milliseconds in LATENCIES:
        with endpoint(milliseconds) as url:
            for at_once in AT_ONCE:
                told(f"judge calls: {at_once} at once, {milliseconds} ms")
                yield from _compared(url, at_once, milliseconds)
            if milliseconds == max(LATENCIES):
                for name in OURS_TIMES:
                    kib = held_elsewhere(name, url)
                    yield Figure("judge calls", f"{name}: memory a call in flight", kib, "KiB")


def _compared(url: str, at_once: int, milliseconds: int) -> Iterator[Figure]:
    many = max(at_once, 10 if milliseconds > min(LATENCIES) else 40) if at_once == 1 else max(at_once, 256)
    rounds = ROUNDS if at_once <= 64 else 1  # the default client takes minutes for more
    asked = prompts(many)
    taken: dict[str, list[float]] = {name: [] for name in CLIENTS}
    failed = dict.fromkeys(CLIENTS, 0)
    for _ in range(rounds):
        for name in CLIENTS:
            spent, lost = asyncio.run(cost(name, url, at_once, asked))
            taken[name].append(spent)
            failed[name] += lost
    middle = {name: sorted(values)[len(values) // 2] for name, values in taken.items()}
    where = f"{at_once} at once, {milliseconds} ms"
    for name, goal in OURS_TIMES.items():
        times, share = middle["default"] / middle[name], middle["raw"] / middle[name]
        limit = f">= {goal:g} x, <= {CPU_MS} ms, >= {RAW_SHARE} x the raw path, none failed"
        met = times >= goal and middle[name] <= CPU_MS and share >= RAW_SHARE and not failed[name]
        peer = f"default openai client {middle['default']:.2f} ms, {failed['default']} failed; raw {share:.2f} x"
        yield Figure("judge calls", f"{name}: CPU a call, {where}", middle[name], "ms", peer, times, limit, met)
