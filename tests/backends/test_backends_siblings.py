"""Further replies and errors of the kinds that servers were seen to send, over every backend with a provider."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from aiohttp import web

import judge
from judge.backends import usage
from judge.backends.delays import LONGEST_DELAY
from judge.backends.error_body import __doc__ as error_shapes
from judge.backends.finish import WORDS
from judge.backends.http import REPLY_BYTES
from judge.backends.stated_cost import COST, COST_HEADERS, COST_TICKS, COST_TOTALS, COST_UPSTREAM
from judge.domain.errors import CallFailed, CallRejected, JudgeUnusable, PromptTooLong, TransportFailed
from judge.domain.outcome import VerdictStatus
from judge.ports.reply_memory import limit_replies
from support.example_prompts import prompt
from support.provider_replies import MAKE, USED, answered, body_of, reply_to

DOCS = Path(judge.__file__).parents[1] / "docs" / "judges.md"


@pytest.fixture(params=MAKE)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("STOP ", VerdictStatus.OK),
        ("stop-sequence", VerdictStatus.OK),
        ("EndOfText", VerdictStatus.OK),
        ("stopped", VerdictStatus.OK),
        ("MaxTokens", VerdictStatus.TRUNCATED),
        ("max-tokens", VerdictStatus.TRUNCATED),
        ("token_limit", VerdictStatus.TRUNCATED),
        ("ContentFilter", VerdictStatus.FILTERED),
    ],
)
async def test_words_are_read_in_every_spelling(vendor: str, word: str, status: VerdictStatus) -> None:
    """Dashes, underscores and capitals in the middle of a word make no difference."""
    assert (await reply_to(vendor, body_of(vendor, "[[A]]", word, usage=USED))).status is status


@pytest.mark.parametrize("vendor", ["openai", "vllm"])
@pytest.mark.parametrize("finish", [None, "stop"])
async def test_an_error_beside_a_text_is_no_verdict(vendor: str, finish: str | None) -> None:
    """A router that lost its provider in the middle sends the text so far, and an error beside it."""
    body = body_of(vendor, "Answer A says [[A]]", usage=USED)
    body["choices"][0] |= {"finish_reason": finish, "error": {"code": 502, "message": "upstream died"}}

    with pytest.raises(TransportFailed, match="upstream died") as caught:
        await reply_to(vendor, body)

    assert caught.value.usage is not None
    assert caught.value.usage.output_tokens == 7


@pytest.mark.parametrize("vendor", ["openai", "vllm"])
async def test_an_ended_choice_without_a_message_is_an_empty_reply(vendor: str) -> None:
    """It was paid for and is not asked for again."""
    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": None}], "usage": USED}

    reply = await reply_to(vendor, body)

    assert (reply.status, reply.raw, reply.usage.output_tokens) == (VerdictStatus.OK, "", 7)


async def test_a_reply_in_another_encoding_is_kept(vendor: str) -> None:
    """Its letters may be damaged; its verdict is not."""
    text = json.dumps(body_of(vendor, "Très bien. [[A]]", usage=USED), ensure_ascii=False)

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(body=text.encode("latin-1"), content_type="application/json")

    async with answered(vendor, handler) as backend:
        reply = await backend.reply(prompt())

    assert reply.raw.endswith("s bien. [[A]]")


@pytest.mark.parametrize(("n_characters", "reserved"), [(10, []), (1 << 20, [REPLY_BYTES])])
async def test_a_large_reply_waits_for_memory(vendor: str, n_characters: int, reserved: list[int]) -> None:
    """A small one does not; a large one reserves once as much as a reply may have."""
    asked: list[int] = []

    async def reserve(n_bytes: int) -> None:
        asked.append(n_bytes)

    limit_replies(reserve)
    reply = await reply_to(vendor, body_of(vendor, "x" * n_characters + "[[A]]", usage=USED))

    assert reply.raw.endswith("[[A]]")
    assert asked == reserved


def _choice_of(text: str, **fields: object) -> dict[str, object]:
    return {"finish_reason": "stop", "message": {"role": "assistant", "content": text}, **fields}


@pytest.mark.parametrize("vendor", ["openai", "vllm"])
@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ([_choice_of("[[B]]", index=1), _choice_of("[[A]]", index=0)], "[[A]]"),
        ([_choice_of("[[A]]"), _choice_of("[[B]]")], "[[A]]"),
        ([_choice_of("[[A]]", index=0), _choice_of("[[B]]", index=0)], "[[A]]"),
        ([None, _choice_of("[[B]]", index=2), _choice_of("[[A]]", index=1)], "[[A]]"),
    ],
)
async def test_the_first_choice_is_that_with_the_lowest_index(
    vendor: str, choices: Sequence[Mapping[str, object] | None], text: str
) -> None:
    """Its place in the list counts only without an index, and the choices that nobody asked for are counted."""
    reply = await reply_to(vendor, {**body_of(vendor, ""), "choices": choices})

    assert (reply.raw, reply.further_choices) == (text, 1)


async def test_a_refusal_beside_a_text_keeps_both(vendor: str) -> None:
    """The reply is a refusal, and its whole text is stored."""
    body = body_of(vendor, "A is better. [[A]]")
    holder = body if vendor == "anthropic" else body["choices"][0]["message"]
    holder["refusal"] = "I cannot judge this."

    reply = await reply_to(vendor, body)

    assert (reply.status, reply.raw) == (VerdictStatus.REFUSED, "A is better. [[A]]\n\nI cannot judge this.")


SENTENCE = "Insufficient credits to make this request"
SHAPES: Mapping[str, object] = {
    "Baidu": {"error_code": 17, "error_msg": SENTENCE},
    "Apigee": {"fault": {"faultstring": SENTENCE, "detail": {"errorcode": "policies.ratelimit.QuotaViolation"}}},
    "AWS": {"Message": SENTENCE},
    "AWS, with its type": {"__type": "ValidationException", "message": SENTENCE},
    "in camel case": {"statusCode": 402, "errorMessage": SENTENCE},
    "problem details": {"type": "about:blank", "title": "Payment Required", "status": 402, "detail": SENTENCE},
    "problem in a list": {"errors": [{"detail": SENTENCE}]},
    "twice": {"error": {"error": {"message": SENTENCE}}},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", [200, 402])
async def test_further_shapes_of_errors_are_read(vendor: str, shape: str, status: int) -> None:
    """Both as the body of a status and as that of a 200."""
    with pytest.raises(JudgeUnusable, match=SENTENCE):
        await reply_to(vendor, SHAPES[shape], status=status)


MARKED: Mapping[str, tuple[object, type[CallFailed], str]] = {
    "success": ({"success": False, "message": "insufficient credit"}, JudgeUnusable, "insufficient credit"),
    "ok": ({"ok": False, "description": "Your quota is used up"}, JudgeUnusable, "Your quota is used up"),
    "status": ({"status": "error", "reason": "account balance too low"}, JudgeUnusable, "account balance too low"),
    "code and msg": ({"code": 1113, "msg": "您的账户已欠费"}, JudgeUnusable, "欠费"),
    "code and msg of a limit": ({"code": 1302, "msg": "请求过于频繁", "data": None}, TransportFailed, "频繁"),
    "detail": ({"detail": "Payment is overdue"}, JudgeUnusable, "Payment is overdue"),
    "errors": ({"errors": [{"message": "Unauthorized"}]}, JudgeUnusable, "Unauthorized"),
    "a text": ({"error": "too many requests"}, TransportFailed, "too many requests"),
    "a flag": ({"error": True, "message": "no such model: m"}, JudgeUnusable, "no such model"),
    "inside data": ({"success": "false", "data": {"message": "out of credits"}}, JudgeUnusable, "out of credits"),
    "in unknown words": ({"success": False, "message": "the load balancer is asleep"}, TransportFailed, "asleep"),
    "without words": ({"success": False}, TransportFailed, "with an error"),
}


BARE = frozenset({"code and msg", "code and msg of a limit", "detail"})
"""Shapes that are an error only without a reply beside them."""


@pytest.mark.parametrize(
    ("shape", "beside"),
    [(shape, beside) for shape in MARKED for beside in (False, True) if not (beside and shape in BARE)],
)
async def test_an_error_in_a_200_is_read_by_its_words(vendor: str, shape: str, *, beside: bool) -> None:
    """It has the kind of a status that says the same, and the message says that the status was 200."""
    body, kind, words = MARKED[shape]
    with pytest.raises(CallFailed, match=words) as caught:
        await reply_to(vendor, {**(body_of(vendor, "[[A]]") if beside else {}), **body})  # type: ignore[dict-item]

    assert type(caught.value) is kind
    assert caught.value.message.startswith("the endpoint answered HTTP 200 with an error")
    assert "500" not in caught.value.message


DAY = LONGEST_DELAY
NOW = "Mon, 30 Nov 2026 12:00:00 GMT"
DELAYS: Mapping[str, tuple[Mapping[str, str], float | None]] = {
    "seconds": ({"retry-after": "90"}, 90),
    "decades": ({"retry-after": "1e9"}, DAY),
    "for ever": ({"retry-after": "inf"}, None),
    "negative": ({"retry-after": "-5"}, None),
    "no number": ({"retry-after": "nan"}, None),
    "milliseconds": ({"retry-after-ms": "1e15"}, DAY),
    "a date": ({"retry-after": "Mon, 30 Nov 2026 12:01:00 GMT"}, 60),
    "a past date": ({"retry-after": "Mon, 30 Nov 2020 12:01:00 GMT"}, None),
    "a far date": ({"retry-after": "Mon, 30 Nov 2099 12:01:00 GMT"}, DAY),
    "no date": ({"retry-after": "Mon, 99 Nov 9999999 12:01:00 GMT"}, None),
    "OpenAI": ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
    "OpenAI, of a limit that remains": (
        {"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"},
        None,
    ),
    "Anthropic": ({"anthropic-ratelimit-requests-reset": "2026-11-30T12:00:30Z"}, 30),
    "Anthropic, far": ({"anthropic-ratelimit-tokens-reset": "2058-11-30T12:00:30Z"}, DAY),
    "Anthropic, past": ({"anthropic-ratelimit-tokens-reset": "2001-11-30T12:00:30+00:00"}, None),
    "OpenRouter": ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1796040060000"}, 60),
    "since 1970": ({"x-ratelimit-reset": "1796040060"}, 60),
    "a delay": ({"ratelimit-reset": "12"}, 12),
    "nonsense": ({"ratelimit-reset": "soon", "x-ratelimit-reset": "nan"}, None),
    "Retry-After comes first": ({"retry-after": "3", "ratelimit-reset": "12"}, 3),
}


@pytest.mark.parametrize("name", DELAYS)
async def test_a_delay_is_a_day_at_most(vendor: str, name: str) -> None:
    """A provider that names a year, a past date or no number does not stop a run for decades."""
    headers, seconds = DELAYS[name]

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Date": NOW, **headers})

    async with answered(vendor, handler) as backend:
        with pytest.raises(TransportFailed) as caught:
            await backend.reply(prompt())

    assert caught.value.retry_after == (None if seconds is None else pytest.approx(seconds))


async def test_a_delay_in_words_is_a_day_at_most(vendor: str) -> None:
    """Words are bounded like headers."""
    with pytest.raises(TransportFailed) as caught:
        await reply_to(vendor, {"error": {"message": "Please try again in 99999h"}}, status=429)

    assert caught.value.retry_after == DAY


TOO_LONG = (
    "input is larger than the max context size. skip",
    "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
    "However, the model is loaded with context length of only 4096 tokens, which is not enough.",
    "litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException",
    "The total number of tokens in the prompt exceeds the limit of 8192",
    "Total tokens of image and text exceed max message tokens",
    "Prompt length (9000) exceeds maximum sequence length 8192",
    "Token limit exceeded: 9000 > 8192",
    "Context size exceeded",
)
UNUSABLE = (
    "API key not valid. Please pass a valid API key.",
    "some/model is not a valid model ID",
    "账户余额不足",
)


@pytest.mark.parametrize("message", TOO_LONG)
async def test_a_prompt_that_is_too_long_is_known_in_further_words(vendor: str, message: str) -> None:
    """The words are those of llama.cpp, TGI, LM Studio, LiteLLM, watsonx, Moonshot, MLX and others."""
    with pytest.raises(PromptTooLong):
        await reply_to(vendor, {"error": {"message": message}}, status=400)


@pytest.mark.parametrize("message", UNUSABLE)
async def test_a_wrong_key_or_model_stops_the_judge_whatever_the_status(vendor: str, message: str) -> None:
    """Gemini answers 400 for a wrong key, so that each call would be rejected one by one."""
    with pytest.raises(JudgeUnusable):
        await reply_to(vendor, {"error": {"message": message, "status": "INVALID_ARGUMENT"}}, status=400)


async def test_words_of_a_judged_text_do_not_stop_the_judge(vendor: str) -> None:
    """A message that quotes the text it rejects may have any words."""
    text = "invalid api key, said the model, and this is a text that is long enough to be quoted in a message"

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response({"error": {"message": f"cannot parse: {text}"}}, status=400)

    async with answered(vendor, handler) as backend:
        with pytest.raises(CallRejected):
            await backend.reply(prompt(text))


@pytest.mark.parametrize("status", [421, 424, 498, 499, 520])
async def test_further_statuses_may_pass(vendor: str, status: int) -> None:
    """Capacity, a failed dependency and a gateway's own troubles are tried again."""
    with pytest.raises(CallFailed) as caught:
        await reply_to(vendor, {"error": {"message": "later"}}, status=status)

    assert type(caught.value) is TransportFailed


@pytest.mark.parametrize(
    ("message", "param", "setting"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'.", "max_tokens", "= false"),
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            None,
            "legacy_max_tokens = false",
        ),
        ("invalid temperature: only 1 is allowed for this model", None, "temperature = false"),
        ("output_config.effort: Input should be 'low', 'medium', 'high'", None, "another effort"),
        ("This model does not support thinking", None, "no effort"),
    ],
)
async def test_the_parameter_that_is_rejected_is_the_one_advised_on(
    vendor: str, message: str, param: str | None, setting: str
) -> None:
    """Not the one that the message offers instead of it."""
    with pytest.raises(CallRejected, match=f"Set .*{setting}"):
        await reply_to(vendor, {"error": {"message": message, "param": param}}, status=400)


def test_the_tables_of_the_documentation_are_those_of_the_code() -> None:
    """docs/judges.md lists each word for the end of a reply and for usage, and each shape of an error body."""
    page = DOCS.read_text("utf-8")
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in page.splitlines() if row.startswith("| ")}
    words = {finish.value: listed for finish, listed in WORDS.items()}
    words |= {"input": usage.INPUT, "output": (*usage.OUTPUT, *usage.BESIDE_OUTPUT), "total": usage.TOTAL}
    words |= {"cost": (COST, *COST_TOTALS, COST_UPSTREAM, COST_TICKS, *COST_HEADERS)}

    for meaning, listed in words.items():
        assert [*re.findall(r"`([^`]+)`", rows[meaning].split(" | ")[1])][: len(listed)] == [*listed]
    shapes = re.findall(r"^\| (`.*) \| .* \|$", error_shapes or "", re.MULTILINE)
    assert shapes
    for shape in shapes:
        for each in re.findall(r"`([^`]+)`", shape.replace(": 402", "")):
            assert each in page, each
