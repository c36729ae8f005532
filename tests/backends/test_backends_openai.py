"""The OpenAI backend sends the right requests and understands every answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from judge.backends.http import Endpoint
from judge.backends.openai import BASE_URL, OpenAI
from judge.domain.errors import CallFailed, CallRejected, JudgeUnusable, PromptTooLong, TransportFailed
from judge.domain.judge import Capabilities, Sampling
from judge.domain.outcome import VerdictStatus
from support.example_prompts import prompt
from support.loopback import Handler, serving

KEY = "sk-loopback-0123456789"  # pragma: allowlist secret
JUDGED_TEXT = "a judged text that belongs in no error message at all, whatever happens to it on the way"


def completion(content: str | None, *, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "loopback-2026-01-01",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 7,
            "total_tokens": 107,
            "prompt_tokens_details": {"cached_tokens": 64},
        },
    }


@asynccontextmanager
async def openai_at(
    handler: Handler,
    *,
    api_key: str = KEY,
    timeout_seconds: float = 120.0,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[OpenAI]:
    """A backend at a server that answers with *handler*."""
    async with serving(handler) as base_url:
        backend = OpenAI("loopback", Endpoint(base_url, api_key, timeout_seconds=timeout_seconds), **settings)
        try:
            yield backend
        finally:
            await backend.close()


def answering(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    """Return a handler that always answers with *body*."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, headers=headers, content_type="application/json")

    return handler


async def test_a_request_has_only_what_is_set() -> None:
    """It has the model, messages, budget, schema and our headers; parameters that are not set are not sent."""
    requests: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        requests.append((request.path, request.headers, await request.json()))
        return web.json_response(completion('{"critique": "c", "verdict": "A"}'))

    rendered = prompt(form="reasoned", sampling=Sampling(max_output_tokens=77, temperature=0.0, seed=5))
    async with openai_at(handler, organization="org-1", project="proj-1") as backend:
        reply = await backend.reply(rendered)
        await backend.reply(prompt())
    async with openai_at(
        handler, can=Capabilities(temperature=True, seed=True), legacy_max_tokens=True, api_key=""
    ) as backend:
        await backend.reply(rendered)
        assert not backend.capabilities.json_schema

    path, headers, body = requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("org-1", "proj-1")
    assert not [name for name in headers if name.lower().startswith("x-stainless")]
    assert body == {
        "model": "loopback",
        "messages": [{"role": message.role, "content": message.content} for message in rendered.messages],
        "max_completion_tokens": 77,
        "temperature": 0.0,
        "seed": 5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": json.loads(rendered.json_schema)},
        },
    }
    assert requests[1][2].keys() == {"model", "messages", "max_completion_tokens"}
    assert requests[2][2].keys() == {"model", "messages", "max_tokens", "temperature", "seed"}
    assert requests[2][1]["Authorization"] == "Bearer none"
    assert "OpenAI-Organization" not in requests[2][1]
    assert reply.model == "loopback-2026-01-01"
    usage = reply.usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.cost_micros) == (100, 64, 7, 0)


@pytest.mark.parametrize(
    ("body", "status", "raw"),
    [
        (completion("[[A]]"), VerdictStatus.OK, "[[A]]"),
        (completion("[[A", finish_reason="length"), VerdictStatus.TRUNCATED, "[[A"),
        (completion(None, finish_reason="length"), VerdictStatus.TRUNCATED, ""),
        (completion(None, finish_reason="content_filter"), VerdictStatus.FILTERED, ""),
        (completion(None, refusal="I will not."), VerdictStatus.REFUSED, "I will not."),
        (completion("[[A]]", refusal=None), VerdictStatus.OK, "[[A]]"),
        ({"choices": [{"message": {"content": "[[A]]"}}]}, VerdictStatus.OK, "[[A]]"),
        (completion(None), VerdictStatus.OK, ""),
        ({**completion("[[A]]"), "usage": {"prompt_tokens": "many"}}, VerdictStatus.OK, "[[A]]"),
        (completion("\ud800\0[[A]]"), VerdictStatus.OK, "?\N{REPLACEMENT CHARACTER}[[A]]"),
    ],
)
async def test_the_finish_reason_decides_the_status(body: object, status: VerdictStatus, raw: str) -> None:
    """Truncated, filtered and refused replies have their own status."""
    async with openai_at(answering(body)) as backend:
        reply = await backend.reply(prompt())

    assert (reply.status, reply.raw) == (status, raw)


def problem(code: str | None, message: str = "no") -> dict[str, Any]:
    return {"error": {"message": message, "type": "t", "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, problem("context_length_exceeded"), PromptTooLong),
        (400, problem(None, "This model's maximum context length is 4096 tokens."), PromptTooLong),
        (400, problem("invalid_request"), CallRejected),
        (400, "not JSON", CallRejected),
        (400, problem("model_not_found"), JudgeUnusable),
        (401, problem("invalid_api_key"), JudgeUnusable),
        (403, problem("forbidden"), JudgeUnusable),
        (404, problem("model_not_found"), JudgeUnusable),
        (408, problem(None), TransportFailed),
        (409, problem(None), TransportFailed),
        (413, problem(None), PromptTooLong),
        (422, problem(None), CallRejected),
        (429, problem("rate_limit_exceeded"), TransportFailed),
        (500, problem(None), TransportFailed),
        (503, "<html>Service Unavailable</html>", TransportFailed),
        (529, "", TransportFailed),
        (200, "{", TransportFailed),
        (200, "<html>a proxy</html>", TransportFailed),
        (200, "[]", TransportFailed),
        (200, "{}", TransportFailed),
        (200, "null", TransportFailed),
        (200, {"choices": []}, TransportFailed),
        (200, {"choices": [{}]}, TransportFailed),
    ],
)
async def test_an_answer_without_a_reply_is_an_error(status: int, body: object, kind: type[CallFailed]) -> None:
    """The status, and for some the code or the message, decide which error it is."""
    async with openai_at(answering(body, status=status)) as backend:
        with pytest.raises(CallFailed) as caught:
            await backend.reply(prompt())

    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
    ],
)
async def test_the_provider_can_say_when_to_retry(headers: dict[str, str], seconds: float | None) -> None:
    """The time is given in seconds, in milliseconds, or as a date that is compared with the server's own clock."""
    n_calls = 0
    answer = answering(problem("rate_limit_exceeded"), status=429, headers=headers)

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal n_calls
        n_calls += 1
        return await answer(request)

    async with openai_at(handler) as backend:
        with pytest.raises(TransportFailed) as caught:
            await backend.reply(prompt())

    assert caught.value.retry_after == seconds
    assert n_calls == 1


async def test_a_connection_that_is_cut_is_a_transport_failure() -> None:
    """Whether it is cut before or within the answer, the call may have been paid."""

    async def before(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def midway(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        assert request.transport is not None
        request.transport.close()
        return response

    for handler in (before, midway):
        async with openai_at(handler) as backend:
            with pytest.raises(TransportFailed) as cut:
                await backend.reply(prompt())
            assert cut.value.maybe_paid


async def test_an_unreachable_server_is_a_transport_failure() -> None:
    """Nothing was sent, so the call cannot have been paid."""
    async with serving(answering(completion("[[A]]"))) as base_url:
        pass
    backend = OpenAI("loopback", Endpoint(base_url))
    try:
        with pytest.raises(TransportFailed) as gone:
            await backend.reply(prompt())
    finally:
        await backend.close()

    assert not gone.value.maybe_paid


async def test_silence_is_a_transport_failure() -> None:
    """A call to a server that never answers fails after the timeout."""
    over = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:  # noqa: ARG001
        await over.wait()
        return web.Response()

    async with openai_at(handler, timeout_seconds=0.05) as backend:
        with pytest.raises(TransportFailed):
            await backend.reply(prompt())
        over.set()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    """The key is not sent to another address."""
    visited: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        visited.append(request.path)
        return web.json_response(completion("[[A]]"))

    async with serving(elsewhere) as other:
        redirect = answering("", status=status, headers={"Location": f"{other}/chat/completions"})
        async with openai_at(redirect) as backend:
            with pytest.raises(JudgeUnusable, match="redirect"):
                await backend.reply(prompt())

    assert visited == []


async def test_law_7_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment sets neither addresses, keys, headers nor proxies."""
    sent_headers: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        sent_headers.append({name: value for name, value in request.headers.items() if name != "Host"})
        return web.json_response(completion("[[A]]"))

    async with openai_at(handler, api_key="") as backend:
        await backend.reply(prompt())
    trap = "http://127.0.0.1:1"
    for name, value in {
        "OPENAI_BASE_URL": f"{trap}/v1",
        "OPENAI_API_KEY": "sk-from-the-environment",  # pragma: allowlist secret
        "OPENAI_ADMIN_KEY": "sk-from-the-environment",
        "OPENAI_ORG_ID": "org-from-the-environment",
        "OPENAI_PROJECT_ID": "proj-from-the-environment",
        "OPENAI_CUSTOM_HEADERS": "X-Trap: 1\nAuthorization: Bearer trap\nUser-Agent: trap",
        "HTTP_PROXY": trap,
        "HTTPS_PROXY": trap,
        "ALL_PROXY": trap,
        "http_proxy": trap,
        "all_proxy": trap,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with openai_at(handler, api_key="") as backend:
        await backend.reply(prompt())

    assert sent_headers[0] == sent_headers[1]
    backend = OpenAI("m", Endpoint(BASE_URL))
    assert backend._sdk.client.base_url.host == "api.openai.com"
    await backend.close()


async def test_neither_key_nor_texts_are_in_an_error() -> None:
    """Keys and texts that the provider quotes are removed; the rest of its message is kept, but trimmed."""
    echoes: list[object] = [
        problem("bad", f"Incorrect key {KEY}" + "x" * 500),
        problem("bad", f"Invalid input: {JUDGED_TEXT}"),
        problem(KEY, "no"),
        f"<html>{KEY} {JUDGED_TEXT}</html>",
        {"detail": [{"input": JUDGED_TEXT, "key": KEY}]},
    ]
    for status in (400, 401, 404, 429, 500, 200):
        for body in echoes:
            async with openai_at(answering(body, status=status)) as backend:
                with pytest.raises(CallFailed) as caught:
                    await backend.reply(prompt(JUDGED_TEXT))
            printed = repr(caught.value) + caught.value.message + repr(caught.value.fields)
            assert KEY not in printed
            assert JUDGED_TEXT[:40] not in printed
            assert len(caught.value.message) < 280
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__ or caught.value.__context__ is None

    async with openai_at(answering(problem("bad", "Say less."), status=400)) as backend:
        with pytest.raises(CallRejected, match="answered 400: bad: Say less"):
            await backend.reply(prompt())
    async with openai_at(answering(completion("[[A]]"))) as backend:
        assert KEY not in repr(backend)
