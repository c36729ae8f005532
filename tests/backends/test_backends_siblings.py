"""Further replies and errors of the kinds that servers were seen to send, over every backend with a provider."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web

import judge
from judge.backends import usage
from judge.backends.error_body import __doc__ as error_shapes
from judge.backends.finish import WORDS
from judge.backends.http import REPLY_BYTES
from judge.backends.stated_cost import COST, COST_HEADER, COST_TICKS, COST_TOTAL, COST_UPSTREAM
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
    words |= {"cost": (*COST, COST_TOTAL, COST_UPSTREAM, COST_TICKS, COST_HEADER)}

    for meaning, listed in words.items():
        assert [*re.findall(r"`([^`]+)`", rows[meaning].split(" | ")[1])][: len(listed)] == [*listed]
    shapes = re.findall(r"^\| (`.*) \| .* \|$", error_shapes or "", re.MULTILINE)
    assert shapes
    for shape in shapes:
        for each in re.findall(r"`([^`]+)`", shape.replace(": 402", "")):
            assert each in page, each
