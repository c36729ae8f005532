"""A provider for tests: a real HTTP server that speaks OpenAI's and Anthropic's wire, with faults by script.

What it does depends on what it is asked and how often that was asked before, never on time or on the order of arrival.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "provider-key-0123456789"  # pragma: allowlist secret
HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
LOGPROBS = {"A": -0.1, "B": -2.4, "C": -6.0}


@dataclass(frozen=True)
class ProviderCall:
    """One call: which wire it came on, what it asks, and its whole body."""

    wire: str
    model: str
    system: str
    user: str
    body: Mapping[str, Any]
    hash: str

    @property
    def drawn(self) -> float:
        """A number in [0, 1) that depends on the body alone."""
        return int(self.hash[:12], 16) / 16**12


@dataclass
class Batch:
    """A batch that was submitted: its items, and when it is through with them."""

    id: str
    wire: str
    items: list[dict[str, Any]]
    metadata: dict[str, str] = field(default_factory=dict)
    input_file_id: str = ""
    ended: bool = False
    cancelled: bool = False
    polls: int = 0
    cancelled_at: int = 0


@dataclass
class Provider:
    """Answers calls by *answer*, or by the fault that *faults* names for a call and how often it was made before."""

    answer: Callable[[ProviderCall], str]
    faults: Callable[[ProviderCall, int], str] = lambda _, __: ""
    key: str = KEY
    models: Sequence[str] = ("m",)
    drip: float = 1.0
    """Seconds between two bytes of a slow answer."""
    auto_finish: bool = False
    """Whether a batch ends by itself at its second poll."""
    broken_results: int = 0
    """So many times the results of a batch are answered with 500."""
    spoiled: Callable[[str], str] = lambda _: ""
    """What goes wrong with an item of a batch, by custom id: "errored", "expired" or nothing."""
    before_submit: Callable[[], Awaitable[None]] | None = None
    after_submit: Callable[[], Awaitable[None]] | None = None
    calls: Counter[str] = field(default_factory=Counter)
    faulted: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    in_flight: int = 0
    most: int = 0
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def reply(self, asked: ProviderCall, **said: Any) -> dict[str, Any]:  # noqa: ANN401  # what a fault changes
        """A whole answer on the wire of *asked*."""
        text = said.pop("text", None) or self.answer(asked)
        make = chat_completion if asked.wire == "openai" else message
        return make(asked, text, **said)

    def finish_batches(self) -> None:
        """Let every batch be through."""
        for batch in self.batches:
            batch.ended = True


def asked_of(wire: str, body: Mapping[str, Any], digest: str) -> ProviderCall:
    """What a body asks."""
    system = body.get("system", "")
    system = system if isinstance(system, str) else "".join(block["text"] for block in system)
    texts = {one["role"]: one["content"] for one in body["messages"]}
    return ProviderCall(wire, body["model"], texts.get("system", system), texts["user"], body, digest)


def problem(
    wire: str, status: int, code: str, kind: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error in the vendor's own shape."""
    if wire == "openai":
        body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    else:
        body = {"type": "error", "error": {"type": kind, "message": message}}
    return web.json_response(body, status=status, headers=headers)


def chat_completion(
    asked: ProviderCall, text: str | None, *, stop: str = "stop", refusal: str | None = None
) -> dict[str, Any]:
    """OpenAI's shape of a reply."""
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": stop,
        "message": {"role": "assistant", "content": text, "refusal": refusal},
        "logprobs": None,
    }
    if asked.body.get("logprobs"):
        top = [{"token": token, "logprob": log, "bytes": None} for token, log in LOGPROBS.items()]
        choice["logprobs"] = {"content": [{**top[0], "token": text, "top_logprobs": top}], "refusal": None}
    many = len(asked.system) + len(asked.user)
    usage = {
        "prompt_tokens": many,
        "completion_tokens": 10,
        "total_tokens": many + 10,
        "prompt_tokens_details": {"cached_tokens": len(asked.system)},
    }
    return {
        "id": f"chatcmpl-{asked.hash[:12]}",
        "object": "chat.completion",
        "created": 0,
        "model": asked.model,
        "choices": [choice],
        "usage": usage,
    }


def message(
    asked: ProviderCall, text: str | None, *, stop: str = "end_turn", refusal: str | None = None
) -> dict[str, Any]:
    """Anthropic's shape of a reply."""
    said = refusal or text
    return {
        "id": f"msg_{asked.hash[:12]}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [{"type": "text", "text": said}] if said is not None else [],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(asked.user),
            "cache_read_input_tokens": len(asked.system),
            "cache_creation_input_tokens": 0,
            "output_tokens": 10,
        },
    }


FaultAnswer = Callable[[Provider, web.Request, ProviderCall], Awaitable[web.StreamResponse]]


def _error(
    status: int, code: str, kind: str, message: str = "no", headers: Mapping[str, str] | None = None
) -> FaultAnswer:
    async def answer(_: Provider, __: web.Request, asked: ProviderCall) -> web.StreamResponse:
        return problem(asked.wire, status, code, kind, message, headers)

    return answer


def _text(text: str, status: int = 200, kind: str = "application/json") -> FaultAnswer:
    async def answer(_: Provider, __: web.Request, ___: ProviderCall) -> web.StreamResponse:
        return web.Response(text=text, status=status, content_type=kind)

    return answer


def _ending(openai: Mapping[str, Any], anthropic: Mapping[str, Any]) -> FaultAnswer:
    async def answer(provider: Provider, _: web.Request, asked: ProviderCall) -> web.StreamResponse:
        return web.json_response(provider.reply(asked, **(openai if asked.wire == "openai" else anthropic)))

    return answer


async def _hang(provider: Provider, _: web.Request, __: ProviderCall) -> web.StreamResponse:
    await provider.closing.wait()
    return web.Response()


async def _cut(_: Provider, request: web.Request, __: ProviderCall) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _half(provider: Provider, request: web.Request, asked: ProviderCall) -> web.StreamResponse:
    whole = json.dumps(provider.reply(asked)).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(whole)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def _slow(provider: Provider, request: web.Request, asked: ProviderCall) -> web.StreamResponse:
    whole = json.dumps(provider.reply(asked)).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(whole)), "Content-Type": "application/json"})
    await response.prepare(request)
    for at in range(len(whole)):
        await response.write(whole[at : at + 1])
        try:
            await asyncio.wait_for(provider.closing.wait(), provider.drip)
        except TimeoutError:
            continue
        break
    return response


async def _empty(_: Provider, __: web.Request, asked: ProviderCall) -> web.StreamResponse:
    body = chat_completion(asked, "") | {"choices": []} if asked.wire == "openai" else message(asked, None)
    return web.json_response(body)


async def _echo(provider: Provider, _: web.Request, asked: ProviderCall) -> web.StreamResponse:
    told = f"Invalid input for key {provider.key}: {asked.user} {asked.system}"
    return problem(asked.wire, 400, "invalid_request", "invalid_request_error", told)


async def _redirect(_: Provider, __: web.Request, ___: ProviderCall) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/v1/elsewhere"})


TOO_LONG = "prompt is too long: 999999 tokens > 200000 maximum"
FAULTS: dict[str, FaultAnswer] = {
    "throttled": _error(429, "rate_limit_exceeded", "rate_limit_error", headers={"Retry-After": "0"}),
    "throttled-ms": _error(429, "rate_limit_exceeded", "rate_limit_error", headers={"retry-after-ms": "1"}),
    "throttled-long": _error(429, "rate_limit_exceeded", "rate_limit_error", headers={"Retry-After": "300"}),
    "throttled-bare": _error(429, "rate_limit_exceeded", "rate_limit_error"),
    "500": _error(500, "server_error", "api_error"),
    "503": _error(503, "unavailable", "api_error"),
    "529": _error(529, "overloaded", "overloaded_error"),
    "html": _text(HTML, 502, "text/html"),
    "cut": _cut,
    "half": _half,
    "malformed": _text('{"choices": [{"mess'),
    "schema": _text('{"hello": ["world"]}'),
    "empty": _empty,
    "hang": _hang,
    "slow": _slow,
    "refusal": _ending({"refusal": "I will not."}, {"stop": "refusal", "refusal": "I will not."}),
    "filtered": _ending({"stop": "content_filter"}, {"stop": "refusal", "refusal": "Filtered."}),
    "truncated": _ending({"stop": "length"}, {"stop": "max_tokens"}),
    "overflow": _error(400, "context_length_exceeded", "invalid_request_error", TOO_LONG),
    "rejected": _error(400, "invalid_request", "invalid_request_error"),
    "quota": _error(429, "insufficient_quota", "billing_error", "You exceeded your current quota."),
    "redirect": _redirect,
    "echo": _echo,
}
"""Every fault by name; a reply that is in order but for one thing, or none at all."""
PASSING = (
    *("throttled", "throttled-ms", "500", "503", "529", "html"),
    *("cut", "half", "malformed", "schema", "empty", "hang", "slow"),
)
"""Faults that pass: the same call, made again, may well succeed."""


def rotating(share: float, faults: Sequence[str] = PASSING) -> Callable[[ProviderCall, int], str]:
    """About *share* of the calls fail once or twice, each with one of *faults*, and then succeed."""

    def fault(asked: ProviderCall, before: int) -> str:
        drawn = asked.drawn / share
        if drawn >= 1 or before > (asked.hash[-1] in "01234567"):
            return ""
        return faults[int(drawn * len(faults))]

    return fault
