from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from judge.backends.openai import OpenAI
from judge.backends.recorded import Recorded
from judge.backends.scripted import Scripted
from judge.backends.yardsticks import Yardstick
from judge.domain.errors import (
    CallFailed,
    CallRejected,
    InvalidInput,
    JudgeUnusable,
    NotRecorded,
    PromptTooLong,
    TransportFailed,
)
from judge.domain.judge import YARDSTICKS, AnswerForm, Capabilities, RenderedPrompt, Sampling
from judge.domain.outcome import Preference, VerdictStatus
from judge.domain.verdict import Reply, Shown, Usage
from judge.ports.backend import Backend
from judge.prompts.parse import SCALES, Parser, own_parser, parse
from judge.prompts.render import render
from judge.prompts.rubrics import BRACKETS, RUBRICS
from loopback import Handler, serving

KEY = "sk-loopback-0123456789"
JUDGED_TEXT = "a judged text that belongs in no error message at all, whatever happens to it on the way"


def prompt(
    first: str = "17 times 23 is 391.",
    second: str = "It is 411.",
    *,
    reference: tuple[str, ...] = ("391",),
    form: str = "brackets",
    sampling: Sampling = Sampling(),  # noqa: B008
) -> RenderedPrompt:
    shown = Shown(("What is 17 times 23?",), (first,), (second,), "", reference)
    return render(RUBRICS[form], shown, form, sampling)


def verdict_of(one: RenderedPrompt, letter: str) -> str:
    """A reply that says *letter* in the form that is asked for."""
    if one.form is AnswerForm.LIKERT:
        return f"[[{SCALES[one.steps][0 if letter == 'A' else -1]}]]"
    if one.form is AnswerForm.REASONED:
        return json.dumps({"critique": "", "verdict": letter})
    return letter if one.form is AnswerForm.CHOICE else f"[[{letter}]]"


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
async def openai_at(handler: Handler, **settings: Any) -> AsyncIterator[OpenAI]:  # noqa: ANN401
    """The backend against a server that answers by *handler*."""
    async with serving(handler) as base_url:
        backend = OpenAI("loopback", **{"base_url": base_url, "api_key": KEY, **settings})
        try:
            yield backend
        finally:
            await backend.close()


def answering(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    """A handler that always answers with *body*."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, headers=headers, content_type="application/json")

    return handler


async def by_the_question(request: web.Request) -> web.StreamResponse:
    """Answers in the form that is asked for: A if the first answer holds 391, else B."""
    body = await request.json()
    first = body["messages"][1]["content"].split("<<<answer_a ")[1].split("<<<end")[0]
    verdict = "A" if "391" in first else "B"
    system = body["messages"][0]["content"]
    if "JSON object" in system:
        said = json.dumps({"critique": "c", "verdict": verdict})
    elif "single letter" in system:
        said = verdict
    elif "A>>B" in system or "1 to 8" in system:
        scale = SCALES[5 if "A>>B" in system else 8]
        said = f"So: [[{scale[0 if verdict == 'A' else -1]}]]"
    else:
        said = f"So: [[{verdict}]]"
    return web.json_response(completion(said))


@asynccontextmanager
async def backend_named(name: str) -> AsyncIterator[Backend]:
    """The backend called *name*, ready to answer any prompt of this file."""
    if name == "openai":
        async with openai_at(by_the_question) as backend:
            yield backend
        return
    if name == "recorded":
        prompts = [prompt(*texts, form=form) for texts in TEXTS for form in RUBRICS]
        yield Recorded({one.nonce: scripted(one) for one in prompts})
    elif name == "scripted":
        yield Scripted(scripted)
    else:
        yield Yardstick(name)


def scripted(one: RenderedPrompt) -> Reply:
    verdict = "A" if "391" in one.shown.first[-1] else "B"
    return Reply(raw=verdict_of(one, verdict))


NAMES = ("openai", "recorded", "scripted", *YARDSTICKS)
TEXTS = (("17 times 23 is 391.", "It is 411."), ("It is 411.", "17 times 23 is 391."))


@pytest.fixture(params=NAMES)
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    async with backend_named(request.param) as one:
        yield one


@pytest.mark.parametrize("form", RUBRICS)
async def test_a_reply_is_read_as_one_preference(backend: Backend, form: str) -> None:
    """Each backend answers in the form that is asked for."""
    reply = await backend.reply(prompt(form=form))

    assert reply.status is VerdictStatus.OK
    assert parse(own_parser(RUBRICS[form]), reply).preference is not None


async def test_capabilities_are_told(backend: Backend) -> None:
    """What a backend can do is known without a call."""
    assert isinstance(backend.capabilities, Capabilities)


async def test_closing_twice_is_fine(backend: Backend) -> None:
    """A second close does nothing, whether or not there was a call."""
    await backend.reply(prompt())

    await backend.close()
    await backend.close()


async def test_concurrent_calls_are_independent(backend: Backend) -> None:
    """Many calls at once get what each would get alone."""
    prompts = [prompt(*texts, form=form) for texts in TEXTS for form in RUBRICS] * 5
    alone = {one.nonce: (await backend.reply(one)).raw for one in prompts[:10]}

    together = await asyncio.gather(*(backend.reply(one) for one in prompts))

    assert [alone[one.nonce] for one in prompts] == [reply.raw for reply in together]


async def test_nothing_is_recorded_without_records() -> None:
    """A recorded judge never makes anything up."""
    with pytest.raises(NotRecorded):
        await Recorded().reply(prompt())


async def said(name: str, one: RenderedPrompt) -> Preference | None:
    return parse(Parser(one.form, one.steps), await Yardstick(name).reply(one)).preference


@pytest.mark.parametrize("form", RUBRICS)
async def test_the_longest_answer_in_the_turn_judged_wins(form: str) -> None:
    """Only the turn judged counts, and equal lengths are a tie."""
    shown = Shown(("q", "q"), ("x" * 99, "ab"), ("x", "abc"))

    assert await said("longest", render(BRACKETS, shown, "judge", Sampling())) is Preference.SECOND
    assert await said("longest", prompt("abc", "ab", form=form)) is Preference.FIRST
    assert await said("longest", prompt("abc", "cba", form=form)) is Preference.TIE
    reply = await Yardstick("longest").reply(prompt("x" * 120, "x" * 80))
    assert reply == Reply("The first answer is longer: 120 against 80 characters. [[A]]", model="longest")
    assert reply.usage == Usage()


async def test_the_first_answer_wins() -> None:
    """Whatever it says."""
    assert await said("first", prompt("", "better")) is Preference.FIRST


async def test_the_same_call_has_the_same_random_answer() -> None:
    """Drawn by the key: equal for equal keys, and all three over many."""
    prompts = [prompt(str(number)) for number in range(300)]
    drawn = [await said("random", one) for one in prompts]

    assert drawn == [await said("random", one) for one in prompts]
    assert all(70 < drawn.count(preference) < 130 for preference in Preference)


@pytest.mark.parametrize(
    ("reference", "text", "matches"),
    [
        ("391", "It is 391.", True),
        ("391", "**391**", True),
        ("391", "It is 3910.", False),
        ("391", "It is 1391", False),
        ("391", "It is 391.5", False),
        ("391", "It is 0.391", False),
        ("391", "It is -391", False),
        ("391", "17*23=391", True),
        ("0.625", "= 0.625 exactly", True),
        ("New  York", "in new\nyork, of course", True),
        ("New York", "in New Yorkshire", False),
        ("Straße", "die STRASSE", True),
        ("(a+b)*", "the language (A+B)* is", True),
        ("391", "", False),
    ],
)
async def test_a_reference_answer_matches_as_a_phrase_of_its_own(reference: str, text: str, *, matches: bool) -> None:
    """Case and white space do not matter, the borders of words and numbers do; swapping flips."""
    there = prompt(text, "nothing", reference=(reference,))
    swapped = prompt("nothing", text, reference=(reference,))

    assert await said("matches-reference", there) is (Preference.FIRST if matches else Preference.TIE)
    assert await said("matches-reference", swapped) is (Preference.SECOND if matches else Preference.TIE)


async def test_a_reference_answer_in_both_is_a_tie() -> None:
    """Both right is no preference."""
    assert await said("matches-reference", prompt("391", "391!")) is Preference.TIE


@pytest.mark.parametrize("reference", [(), ("",), ("  ",)])
async def test_without_a_reference_answer_there_is_no_match(reference: tuple[str, ...]) -> None:
    """A failure is never a tie."""
    with pytest.raises(CallRejected, match="no reference answer"):
        await Yardstick("matches-reference").reply(prompt(reference=reference))


def test_an_unknown_yardstick_is_wrong_input() -> None:
    """Its error names those there are."""
    with pytest.raises(InvalidInput, match="longest"):
        Yardstick("shortest")


async def test_a_script_is_said_in_order_and_its_errors_are_raised() -> None:
    """One line a call."""
    backend = Scripted(["[[A]]", TransportFailed("cut"), Reply("[[B]]")])

    assert (await backend.reply(prompt())).raw == "[[A]]"
    with pytest.raises(TransportFailed):
        await backend.reply(prompt())
    assert (await backend.reply(prompt())).raw == "[[B]]"
    with pytest.raises(IndexError):
        await backend.reply(prompt())
    assert (backend.calls, backend.max_in_flight, backend.in_flight) == (4, 1, 0)


async def test_a_scripted_judge_waits_at_its_gate() -> None:
    """All calls are in flight until the gate opens; a cancelled one is in flight no more."""
    gate = asyncio.Event()
    backend = Scripted(lambda _: "[[A]]", gate=gate)
    calls = [asyncio.create_task(backend.reply(prompt())) for _ in range(5)]
    while backend.in_flight < 5:  # noqa: ASYNC110
        await asyncio.sleep(0)

    calls[0].cancel()
    gate.set()

    await asyncio.gather(*calls, return_exceptions=True)
    assert calls[0].cancelled()
    assert (backend.calls, backend.max_in_flight, backend.in_flight) == (5, 5, 0)


async def test_a_semaphore_is_a_gate_too() -> None:
    """It is held while a call is answered and let go afterwards."""
    gate = asyncio.Semaphore(1)
    backend = Scripted(lambda _: "[[A]]", gate=gate)

    await asyncio.gather(*(backend.reply(prompt()) for _ in range(5)))

    assert not gate.locked()


async def test_what_openai_is_sent() -> None:
    """Model, messages, budget, schema and our headers; settings that are not set are not sent."""
    seen: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, request.headers, await request.json()))
        return web.json_response(completion('{"critique": "c", "verdict": "A"}'))

    one = prompt(form="reasoned", sampling=Sampling(max_output_tokens=77, temperature=0.0, seed=5))
    async with openai_at(handler, organization="org-1", project="proj-1") as backend:
        reply = await backend.reply(one)
        await backend.reply(prompt())
    async with openai_at(
        handler, can=Capabilities(temperature=True, seed=True), legacy_max_tokens=True, api_key=""
    ) as backend:
        await backend.reply(one)
        assert not backend.capabilities.json_schema

    path, headers, body = seen[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("org-1", "proj-1")
    assert not [name for name in headers if name.lower().startswith("x-stainless")]
    assert body == {
        "model": "loopback",
        "messages": [{"role": message.role, "content": message.content} for message in one.messages],
        "max_completion_tokens": 77,
        "temperature": 0.0,
        "seed": 5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": json.loads(one.json_schema)},
        },
    }
    assert seen[1][2].keys() == {"model", "messages", "max_completion_tokens"}
    assert seen[2][2].keys() == {"model", "messages", "max_tokens", "temperature", "seed"}
    assert seen[2][1]["Authorization"] == "Bearer none"
    assert "OpenAI-Organization" not in seen[2][1]
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
        (completion("\ud800\0[[A]]"), VerdictStatus.OK, "?\N{REPLACEMENT CHARACTER}[[A]]"),
    ],
)
async def test_how_openai_ended_its_reply(body: object, status: VerdictStatus, raw: str) -> None:
    """Cut off, filtered and refused replies are replies, with their status and usage."""
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
        (200, completion(None), TransportFailed),
        (200, {**completion("[[A]]"), "usage": {"prompt_tokens": "many"}}, TransportFailed),
    ],
)
async def test_what_openai_may_answer_instead(status: int, body: object, kind: type[CallFailed]) -> None:
    """Every other answer is one of our errors."""
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
async def test_openai_may_say_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds or a date against the server's own clock."""
    calls = 0
    inner = answering(problem("rate_limit_exceeded"), status=429, headers=headers)

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return await inner(request)

    async with openai_at(handler) as backend:
        with pytest.raises(TransportFailed) as caught:
            await backend.reply(prompt())

    assert caught.value.retry_after == seconds
    assert calls == 1


async def test_a_connection_that_is_cut_is_a_transport_failure() -> None:
    """Before the answer, and in the middle of it; what was sent may have been paid."""

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


async def test_nobody_listening_is_a_transport_failure() -> None:
    """The server is gone; nothing was sent, and nothing can have been paid."""
    async with serving(by_the_question) as base_url:
        pass
    backend = OpenAI("loopback", base_url=base_url)
    try:
        with pytest.raises(TransportFailed) as gone:
            await backend.reply(prompt())
    finally:
        await backend.close()

    assert not gone.value.maybe_paid


async def test_silence_is_a_transport_failure() -> None:
    """A server that never answers is given up after the time-out."""
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
    """The key goes to no other address."""
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
    """Neither addresses, keys, headers nor proxies are taken from the environment."""
    plain: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        plain.append({name: value for name, value in request.headers.items() if name != "Host"})
        return await by_the_question(request)

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

    assert plain[0] == plain[1]
    backend = OpenAI("m")
    assert backend._sdk.client.base_url.host == "api.openai.com"
    await backend.close()


async def test_neither_key_nor_texts_are_in_an_error() -> None:
    """Even where the provider echoes them, in its message or in a page; what it says otherwise is kept, trimmed."""
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
            told = repr(caught.value) + caught.value.message + repr(caught.value.fields)
            assert KEY not in told
            assert JUDGED_TEXT[:40] not in told
            assert len(caught.value.message) < 250
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__

    async with openai_at(answering(problem("bad", "Say less."), status=400)) as backend:
        with pytest.raises(CallRejected, match="answered 400: bad: Say less"):
            await backend.reply(prompt())
    async with openai_at(answering(completion("[[A]]"))) as backend:
        assert KEY not in repr(backend)
