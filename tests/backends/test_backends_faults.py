"""Every backend with a provider turns each fault of the provider into the right error or status."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from judge.backends.anthropic import Anthropic
from judge.backends.http import Endpoint
from judge.backends.openai import OpenAI
from judge.backends.vllm import Vllm
from judge.domain.errors import CallFailed, CallRejected, JudgeUnusable, PromptTooLong, TransportFailed
from judge.domain.outcome import VerdictStatus
from judge.ports.backend import Backend
from support.example_prompts import prompt, right_answer
from support.loopback import serving
from support.provider import FAULTS, KEY, Provider
from support.provider_server import anthropic_url, serving_provider

JUDGED = "a judged text that belongs in no error message at all, whatever happens to it on the way"
MAKE: Mapping[str, Callable[..., Backend]] = {
    "anthropic": lambda url, **endpoint: Anthropic("m", Endpoint(anthropic_url(url), **endpoint)),
    "openai": lambda url, **endpoint: OpenAI("m", Endpoint(url, **endpoint)),
    "vllm": lambda url, **endpoint: Vllm("m", Endpoint(url, **endpoint)),
}
RAISED: Mapping[str, type[CallFailed]] = {
    **dict.fromkeys(
        ("throttled", "throttled-ms", "throttled-long", "throttled-bare", "500", "503", "529", "html"), TransportFailed
    ),
    **dict.fromkeys(("cut", "half", "malformed", "schema", "empty", "hang"), TransportFailed),
    "overflow": PromptTooLong,
    "rejected": CallRejected,
    "echo": CallRejected,
    "quota": JudgeUnusable,
    "redirect": JudgeUnusable,
}
MAYBE_PAID = frozenset({"cut", "half", "malformed", "schema", "empty", "hang"})
ENDED = {"refusal": VerdictStatus.REFUSED, "truncated": VerdictStatus.TRUNCATED}


@pytest.fixture(params=MAKE)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def failing(vendor: str, fault: str, **endpoint: object) -> AsyncIterator[tuple[Backend, Provider]]:
    """A backend of *vendor* at a provider that answers every call with *fault*."""
    provider = Provider(right_answer, faults=lambda *_: fault)
    async with serving_provider(provider) as url:
        backend = MAKE[vendor](url, **{"api_key": KEY, "timeout_seconds": 0.3, **endpoint})
        try:
            yield backend, provider
        finally:
            await backend.close()


@pytest.mark.parametrize("fault", RAISED)
async def test_a_fault_raises_the_right_error(vendor: str, fault: str) -> None:
    """The error follows one attempt, has the provider's retry time, and contains neither the key nor judged texts."""
    async with failing(vendor, fault) as (backend, provider):
        with pytest.raises(CallFailed) as caught:
            await backend.reply(prompt(JUDGED))

    printed = repr(caught.value) + caught.value.message
    assert type(caught.value) is RAISED[fault]
    assert sum(provider.calls.values()) == 1
    assert KEY not in printed
    assert JUDGED[:40] not in printed
    if isinstance(caught.value, TransportFailed):
        assert (caught.value.maybe_paid, caught.value.unsent) == (fault in MAYBE_PAID, False)
        assert caught.value.throttled == fault.startswith("throttled")
        expected = {"throttled": 0.0, "throttled-ms": 0.001, "throttled-long": 300.0}.get(fault)
        assert caught.value.retry_after == expected


@pytest.mark.parametrize("ended", ENDED)
async def test_a_refused_or_truncated_reply_has_its_own_status(vendor: str, ended: str) -> None:
    """Refusals and truncated replies keep the text that the provider sent."""
    async with failing(vendor, ended) as (backend, _):
        reply = await backend.reply(prompt())

    assert reply.status is ENDED[ended]
    assert reply.raw


async def test_a_slow_answer_does_not_time_out_while_bytes_arrive(vendor: str) -> None:
    """The timeout limits the silence between two bytes, not the whole call."""
    provider = Provider(right_answer, faults=lambda *_: "slow", drip=0.0001)
    async with serving_provider(provider) as url:
        backend = MAKE[vendor](url, api_key=KEY, timeout_seconds=5.0)
        reply = await backend.reply(prompt())
        await backend.close()

    assert reply.status is VerdictStatus.OK


async def test_law_7_no_redirect_is_followed(vendor: str) -> None:
    """The key is sent only to the configured address."""
    async with failing(vendor, "redirect") as (backend, provider):
        with pytest.raises(JudgeUnusable, match="redirect"):
            await backend.reply(prompt())

    assert "/v1/elsewhere" not in {path for _, path, _ in provider.requests}


async def test_requests_go_through_the_proxy_that_is_named(vendor: str) -> None:
    """The proxy is asked for the endpoint's address, with the body; no connection goes to the endpoint itself."""
    asked: list[str] = []

    async def proxy(request: web.Request) -> web.StreamResponse:
        await request.read()
        asked.append(str(request.url))
        return web.json_response({"error": {"message": "proxied"}}, status=400)

    async with serving(proxy) as url:
        nowhere = "http://endpoint.invalid/v1"
        backend = MAKE[vendor](nowhere, api_key=KEY, proxy=url.removesuffix("/v1"))
        with pytest.raises(CallRejected, match="proxied"):
            await backend.reply(prompt())
        await backend.close()

    path = "/v1/messages" if vendor == "anthropic" else "/v1/chat/completions"
    assert asked == [f"http://endpoint.invalid{path}"]


async def test_a_wrong_key_and_an_unknown_model_make_a_judge_unusable(vendor: str) -> None:
    """The error has the status of the provider's answer, and not the key that the provider quotes."""
    wrong = "another-key-9876543210"  # pragma: allowlist secret
    async with failing(vendor, "", api_key=wrong) as (backend, _):
        with pytest.raises(JudgeUnusable, match="401") as caught:
            await backend.reply(prompt())
    assert wrong not in caught.value.message

    provider = Provider(right_answer, models=("another",))
    async with serving_provider(provider) as url:
        backend = MAKE[vendor](url, api_key=KEY)
        with pytest.raises(JudgeUnusable, match="404"):
            await backend.reply(prompt())
        await backend.close()


async def test_a_cancelled_call_ends_at_once_and_the_next_call_works(vendor: str) -> None:
    """A call that hangs can be canceled without harm to the backend."""
    hung = asyncio.Event()

    def first_hangs(_: object, before: int) -> str:
        hung.set()
        return "" if before else "hang"

    provider = Provider(right_answer, faults=first_hangs)
    async with serving_provider(provider) as url:
        backend = MAKE[vendor](url, api_key=KEY)
        call = asyncio.create_task(backend.reply(prompt()))
        await hung.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        reply = await backend.reply(prompt())
        await backend.close()

    assert reply.status is VerdictStatus.OK


async def test_more_calls_at_once_than_connections_are_all_answered(vendor: str) -> None:
    """Calls wait for a free connection, however long the queue is."""
    provider = Provider(right_answer)
    async with serving_provider(provider) as url:
        backend = MAKE[vendor](url, api_key=KEY, max_connections=8, connect_timeout_seconds=8.0)
        replies = await asyncio.gather(*(backend.reply(prompt(f"{number} 391")) for number in range(300)))
        await backend.close()

    assert len(replies) == 300
    assert provider.most <= 8


TRAPPED = """
import asyncio, sys
sys.path[:0] = {paths!r}
from test_backends_faults import MAKE, KEY, JUDGED, Provider, serving_provider, prompt, right_answer
async def main():
    provider = Provider(right_answer)
    async with serving_provider(provider) as url:
        for make in MAKE.values():
            backend = make(url, api_key=KEY)
            await backend.reply(prompt(JUDGED))
            await backend.close()
    headers = [headers for _, _, headers in provider.requests]
    assert len(headers) == 3, headers
    assert not [name for each in headers for name in each if "trap" in name.lower() or "stainless" in name.lower()]
asyncio.run(main())
"""


def test_law_7_neither_addresses_nor_logs_come_from_the_environment() -> None:
    """With traps in all variables that the SDKs read, all calls still arrive, and nothing about them is printed."""
    trap = "http://127.0.0.1:9"
    names = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "http_proxy")
    environment = {**os.environ, **dict.fromkeys(names, trap), "NO_PROXY": "", "no_proxy": ""}
    environment |= {"OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug", "OPENAI_CUSTOM_HEADERS": "X-Trap: 1"}
    environment |= {"ANTHROPIC_CUSTOM_HEADERS": "X-Trap: 1", "ANTHROPIC_AUTH_TOKEN": "trap"}
    paths = [path for path in sys.path if path]

    process = subprocess.run(
        [sys.executable, "-c", TRAPPED.format(paths=[os.path.dirname(__file__), *paths])],  # noqa: PTH120  # for sys.path
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    output = process.stdout + process.stderr
    assert process.returncode == 0, output
    assert KEY not in output
    assert JUDGED not in output


def test_every_fault_is_tested() -> None:
    """This file lists every fault of the fake provider."""
    assert set(FAULTS) - {"slow", "filtered"} == set(RAISED) | set(ENDED)
    assert logging.getLogger("openai").level == logging.CRITICAL
