"""Answers of hostile or broken providers: no secret gets out, no odd value ends more than its call, none takes long."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from judge.backends.chat import completion
from judge.backends.error_body import read_error
from judge.backends.failures import failure, quotes, without_secrets
from judge.backends.http import bounded
from judge.domain.errors import CallFailed, TransportFailed
from judge.domain.judge import AnswerForm, Message, RenderedPrompt, Sampling
from judge.domain.verdict import Shown

KEY = "sk-0123456789abcdefghijkl"  # pragma: allowlist secret
SHOWN = Shown(prompt=("Why?",), first=("x" * 200_000,), second=("y" * 200_000,))


def prompt(text: str, shown: Shown) -> RenderedPrompt:
    return RenderedPrompt("v", (Message("user", text),), AnswerForm.BRACKETS, Sampling(), shown=shown)


PROMPT = prompt("z" * 200_000, SHOWN)


def answer(**fields: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    choice = {"index": 0, "message": {"content": "[[A]]"}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}} | fields


@pytest.mark.parametrize("echoed", [KEY, KEY[:-1], KEY.upper(), KEY[:16], f"key={KEY}", KEY[1:]])
def test_law_8_no_form_of_a_secret_gets_into_words(echoed: str) -> None:
    """Neither whole nor nearly whole, in either case."""
    shown = without_secrets(f"no access for {echoed} today", [KEY])

    assert "0123456789ab" not in shown.lower()
    assert "abcdefghijk" not in shown.lower()
    assert shown.startswith("no access for ")
    assert shown.endswith(" today")


@pytest.mark.parametrize(
    "body",
    [
        answer(choices=[{"message": {"content": "[[A]]"}, "finish_reason": KEY}]),
        {"error": {"message": f"bad {KEY}", "code": 400}},
        {"error": {"message": "bad", "type": KEY}},
    ],
)
def test_law_8_a_secret_is_not_in_the_error_of_an_answer(body: dict[str, Any]) -> None:
    with pytest.raises(CallFailed) as caught:
        completion(body, 1, secrets=(KEY,), prompt=PROMPT)

    assert KEY[:12] not in str(caught.value)


def test_law_8_a_secret_is_not_in_the_model_of_a_reply() -> None:
    """It would be stored, and shown where it is another model than the one that was asked for."""
    assert completion(answer(model=f"m {KEY}"), 1, secrets=(KEY,), prompt=PROMPT).model == "m ***"


@pytest.mark.parametrize("message", [{"content": f"I saw {KEY}. [[A]]"}, {"content": None, "refusal": f"Not {KEY}"}])
def test_law_8_a_secret_is_not_in_the_text_of_a_reply(message: dict[str, Any]) -> None:
    """Replies are exported and handed around. Everything else in them is kept as it came."""
    body = answer(choices=[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}])

    raws = {completion(body, 1, secrets=(KEY,), prompt=PROMPT).raw, completion(body, 1, secrets=("A",)).raw}

    text = message["content"] or message["refusal"]
    assert raws == {text.replace(KEY, "***"), text}


@pytest.mark.parametrize("message", ["qwertzuiop " * 400_000, "q" * 4_000_000])
def test_backends_a_long_error_is_read_in_no_time(message: str) -> None:
    """The service answers other callers meanwhile, so what is never shown is never searched."""
    body = {"error": {"message": message, "code": 400}}
    started = time.process_time()

    failed = failure(200, body, {}, prompt=PROMPT)

    assert time.process_time() - started < 2
    assert len(failed.message) < 400


def test_backends_a_quotation_is_still_seen() -> None:
    shown = Shown(
        prompt=("Why?",), first=("words " * 20 + "the quick brown fox jumps over the lazy dog today",), second=("b",)
    )
    rendered = prompt("Judge.", shown)

    assert quotes("your input 'the quick brown fox jumps over the lazy dog' was flagged", rendered)
    assert not quotes("your input was flagged, for a reason that nobody knows or can know", rendered)


@pytest.mark.parametrize("log", [-(10**400), 10**400, 1e400, float("nan"), "x", None])
def test_backends_odd_log_probabilities_do_not_cost_the_reply(log: object) -> None:
    token = {"token": "A", "logprob": log, "top_logprobs": [{"token": "A", "logprob": log}]}
    choice = {"message": {"content": "A"}, "finish_reason": "stop", "logprobs": {"content": [token]}}

    assert completion(answer(choices=[choice]), 1, ("A", "B", "C")).raw == "A"


def test_backends_what_is_nested_too_deeply_ends_its_call_alone() -> None:
    """At any depth, the answer is a reply, or an error of this call."""
    for depth in range(10, 1_200, 7):
        nested = "[" * depth + "]" * depth
        for body in (
            f'{{"detail": [{{"msg": "x", "loc": {nested}}}]}}',
            f'{{"error": {nested}}}',
            f'{{"success": {nested}, "choices": {nested}}}',
            f'{{"choices": [{{"finish_reason": {nested}, "message": {{"content": {nested}}}}}]}}',
        ):
            with pytest.raises(CallFailed):
                completion(body, 1, secrets=(KEY,), prompt=PROMPT)


@pytest.mark.parametrize(
    ("indices", "expected"),
    [((1, 0), "second"), (("1", "0"), "second"), ((-1, 0), "second"), ((None, None), "first"), ((None, 0), "second")],
)
def test_backends_the_choice_with_the_lowest_index_is_the_reply(indices: tuple[object, ...], expected: str) -> None:
    choices = [
        {"index": index, "message": {"content": text}, "finish_reason": "stop"}
        for index, text in zip(indices, ("first", "second"), strict=True)
    ]

    assert completion(answer(choices=choices), 1).raw == expected


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_backends_a_gzip_file_may_have_several_members(size: int) -> None:
    """RFC 1952 allows them, whatever the chunks are."""
    text = json.dumps(answer()).encode()
    packed = gzip.compress(text[:40]) + gzip.compress(text[40:])
    chunks = _chunks(*(packed[at : at + size] for at in range(0, len(packed), size)))

    assert b"".join([part async for part in bounded(chunks, "gzip", 10_000)]) == text


async def test_backends_a_member_that_is_cut_off_is_an_error() -> None:
    packed = gzip.compress(b"{}") + gzip.compress(b"x" * 500)[:-9]

    with pytest.raises(TransportFailed):
        async for _ in bounded(_chunks(packed), "gzip", 10_000):
            pass


def test_backends_an_error_with_odd_places_is_read() -> None:
    assert read_error({"detail": [{"msg": "too short", "loc": ["body", {"a": 1}, 3]}]}).message == "body.3: too short"
