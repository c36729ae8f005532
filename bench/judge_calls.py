"""CPU and memory of a judge's call in our process, compared with the default SDK client and the SDK's raw path.

The endpoint is a process of its own; CPU time is this process's. A call takes a rendered prompt and returns a reply.
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
from figures import Figure, progress

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


def prompts(n: int) -> list[RenderedPrompt]:
    """Return *n* prompts of about 600 tokens each."""
    return [
        render(RUBRICS["brackets"], Shown((f"Question {n}?",), (ANSWER,), (ANSWER,)), "print", Sampling())
        for n in range(n)
    ]


@contextmanager
def endpoint(milliseconds: int) -> Iterator[str]:
    """Run an endpoint in a process of its own and yield its base URL."""
    file = Path(__file__).with_name("endpoint.py")
    process = subprocess.Popen([sys.executable, str(file), str(milliseconds)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


def default_client(url: str) -> tuple[Asking, Callable[[], Awaitable[None]]]:
    """Return the call and close functions of OpenAI's SDK, used as its documentation shows."""
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)

    async def ask(prompt: RenderedPrompt) -> object:
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        return await client.chat.completions.create(model="m", messages=messages, max_completion_tokens=1024)  # type: ignore[arg-type]  # plain dicts, as everyone writes

    return ask, client.close


def raw_path(url: str) -> tuple[Asking, Callable[[], Awaitable[None]]]:
    """Return the call and close functions of the SDK below its typed layer, on aiohttp."""
    import httpx2  # noqa: PLC0415  # where it is used

    http = openai.DefaultAioHttpClient(limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=1000))
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http)

    async def ask(prompt: RenderedPrompt) -> object:
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        body = {"model": "m", "messages": messages, "max_completion_tokens": 1024}
        return await client.post("/chat/completions", body=body, cast_to=httpx2.Response)

    return ask, client.close


def ours(make: Callable[[str], Backend]) -> Callable[[str], tuple[Asking, Callable[[], Awaitable[None]]]]:
    """Return a function that makes the call and close functions of one of our backends for a URL."""

    def make_client(url: str) -> tuple[Asking, Callable[[], Awaitable[None]]]:
        backend = make(url)
        return backend.reply, backend.close

    return make_client


CLIENTS: dict[str, Callable[[str], tuple[Asking, Callable[[], Awaitable[None]]]]] = {
    "default": default_client,
    "raw": raw_path,
    "openai": ours(lambda url: OpenAI("m", Endpoint(url))),
    "anthropic": ours(lambda url: Anthropic("m", Endpoint(url.removesuffix("/v1")))),
    "vllm": ours(lambda url: Vllm("m", Endpoint(url))),
}


async def cost(name: str, url: str, at_once: int, asked: list[RenderedPrompt]) -> tuple[float, int]:
    """Measure CPU milliseconds per call of client *name*, and failed calls.

    There are *at_once* calls in flight on warm connections.
    """
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


async def measure_memory(name: str, url: str, n_calls: int) -> float:
    """Return the memory of one call in flight in KiB."""
    ask, close = CLIENTS[name](url)
    asked = prompts(n_calls)
    await ask(asked[0])
    gc.collect()
    before = psutil.Process().memory_info().rss
    calls = [asyncio.ensure_future(ask(prompt)) for prompt in asked]
    await asyncio.sleep(0.4)
    most = psutil.Process().memory_info().rss
    await asyncio.gather(*calls, return_exceptions=True)
    await close()
    return (most - before) / n_calls / 1024


def measure_memory_in_new_process(name: str, url: str) -> float:
    """Return the memory of one call in flight in KiB, measured in a new process."""
    script = f"import asyncio, judge_calls; print(asyncio.run(judge_calls.measure_memory({name!r}, {url!r}, 1000)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def figures() -> Iterator[Figure]:
    """Measure CPU per call next to the default client and the raw path, failures, and memory in flight."""
    for milliseconds in LATENCIES:
        with endpoint(milliseconds) as url:
            for at_once in AT_ONCE:
                progress(f"judge calls: {at_once} at once, {milliseconds} ms")
                yield from _compare(url, at_once, milliseconds)
            if milliseconds == max(LATENCIES):
                for name in OURS_TIMES:
                    kib = measure_memory_in_new_process(name, url)
                    yield Figure(bench="judge calls", figure=f"{name}: memory a call in flight", value=kib, unit="KiB")


def _compare(url: str, at_once: int, milliseconds: int) -> Iterator[Figure]:
    n_calls = max(at_once, 10 if milliseconds > min(LATENCIES) else 40) if at_once == 1 else max(at_once, 256)
    rounds = ROUNDS if at_once <= 64 else 1  # the default client takes minutes for more
    asked = prompts(n_calls)
    cpu_by_client: dict[str, list[float]] = {name: [] for name in CLIENTS}
    failed = dict.fromkeys(CLIENTS, 0)
    for _ in range(rounds):
        for name in CLIENTS:
            spent, lost = asyncio.run(cost(name, url, at_once, asked))
            cpu_by_client[name].append(spent)
            failed[name] += lost
    median_cpu = {name: sorted(values)[len(values) // 2] for name, values in cpu_by_client.items()}
    conditions = f"{at_once} at once, {milliseconds} ms"
    for name, goal in OURS_TIMES.items():
        times, share = median_cpu["default"] / median_cpu[name], median_cpu["raw"] / median_cpu[name]
        limit = f">= {goal:g} x, <= {CPU_MS} ms, >= {RAW_SHARE} x the raw path, none failed"
        met = times >= goal and median_cpu[name] <= CPU_MS and share >= RAW_SHARE and not failed[name]
        peer = f"default openai client {median_cpu['default']:.2f} ms, {failed['default']} failed; raw {share:.2f} x"
        yield Figure(
            bench="judge calls",
            figure=f"{name}: CPU a call, {conditions}",
            value=median_cpu[name],
            unit="ms",
            peer=peer,
            ratio=times,
            goal=limit,
            met=met,
        )
