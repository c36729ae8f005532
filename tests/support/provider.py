"""A fake provider: a real HTTP server that speaks OpenAI's and Anthropic's API, with scripted faults.

Its behavior depends on the request and on how often that request was made before, never on time or on the order of
arrival.
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
    """One call: the API it used ("openai" or "anthropic"), what it asks, its whole body and the body's SHA-256."""

    wire: str
    model: str
    system: str
    user: str
    body: Mapping[str, Any]
    hash: str

    @property
    def drawn(self) -> float:
        """A number in [0, 1) that depends only on the body."""
        return int(self.hash[:12], 16) / 16**12


@dataclass
class Batch:
    """A submitted batch: its items and its progress."""

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
    """Answers calls with *answer*, or with a fault.

    *faults* takes a call and how often it was made before, and returns the name of a fault or "".
    """

    answer: Callable[[ProviderCall], str]
    faults: Callable[[ProviderCall, int], str] = lambda _, __: ""
    key: str = KEY
    models: Sequence[str] = ("m",)
    drip: float = 1.0
    """Seconds between two bytes of a slow reply."""
    auto_finish: bool = False
    """Whether a batch ends by itself at its second poll."""
    broken_results: int = 0
    """How many more requests for the results of a batch fail with status 500."""
    spoiled: Callable[[str], str] = lambda _: ""
    """Takes the custom id of an item of a batch and returns "errored", "expired" or "" if nothing goes wrong."""
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

    def reply(self, asked: ProviderCall, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # fields that a fault changes
        """Return a complete reply in the format of the API of *asked*."""
        text = changes.pop("text", None) or self.answer(asked)
        make = chat_completion if asked.wire == "openai" else message
        return make(asked, text, **changes)

    def finish_batches(self) -> None:
        """End every batch."""
        for batch in self.batches:
            batch.ended = True


def parse_call(wire: str, body: Mapping[str, Any], digest: str) -> ProviderCall:
    """Return the call that a request body of an API makes."""
    system = body.get("system", "")
    system = system if isinstance(system, str) else "".join(block["text"] for block in system)
    texts = {message["role"]: _content_text(message["content"]) for message in body["messages"]}
    return ProviderCall(
        wire=wire, model=body["model"], system=texts.get("system", system), user=texts["user"], body=body, hash=digest
    )


def _content_text(content: str | list[dict[str, Any]]) -> str:
    """Return the text of a message, without images."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def problem(
    wire: str, status: int, code: str, kind: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an error response in the vendor's format."""
    if wire == "openai":
        body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    else:
        body = {"type": "error", "error": {"type": kind, "message": message}}
    return web.json_response(body, status=status, headers=headers)


def chat_completion(
    asked: ProviderCall, text: str | None, *, stop: str = "stop", refusal: str | None = None
) -> dict[str, Any]:
    """Return a reply in OpenAI's format."""
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": stop,
        "message": {"role": "assistant", "content": text, "refusal": refusal},
        "logprobs": None,
    }
    if asked.body.get("logprobs"):
        top = [{"token": token, "logprob": log, "bytes": None} for token, log in LOGPROBS.items()]
        choice["logprobs"] = {"content": [{**top[0], "token": text, "top_logprobs": top}], "refusal": None}
    n_characters = len(asked.system) + len(asked.user)
    usage = {
        "prompt_tokens": n_characters,
        "completion_tokens": 10,
        "total_tokens": n_characters + 10,
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
    """Return a reply in Anthropic's format."""
    content = refusal or text
    return {
        "id": f"msg_{asked.hash[:12]}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [{"type": "text", "text": content}] if content is not None else [],
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
    body.pop("content", None)
    return web.json_response(body)


async def _echo(provider: Provider, _: web.Request, asked: ProviderCall) -> web.StreamResponse:
    text = f"Invalid input for key {provider.key}: {asked.user} {asked.system}"
    return problem(asked.wire, 400, "invalid_request", "invalid_request_error", text)


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
"""Every fault by name: a reply with one thing wrong, or no reply at all."""
PASSING = (
    *("throttled", "throttled-ms", "500", "503", "529", "html"),
    *("cut", "half", "malformed", "schema", "empty", "hang", "slow"),
)
"""Transient faults: the same call may succeed when it is made again."""


def rotating(share: float, faults: Sequence[str] = PASSING) -> Callable[[ProviderCall, int], str]:
    """Return faults that make about *share* of the calls fail once or twice, each with one of *faults*."""

    def fault(asked: ProviderCall, before: int) -> str:
        drawn = asked.drawn / share
        if drawn >= 1 or before > (asked.hash[-1] in "01234567"):
            return ""
        return faults[int(drawn * len(faults))]

    return fault
