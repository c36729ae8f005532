"""Every backend with a provider reads each form of reply, usage and error that servers send, and bounds its size."""

from __future__ import annotations

import contextlib
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Mapping

import pytest
from aiohttp import web

from judge.backends.failures import DAILY_REST
from judge.backends.finish import WORDS, Finish
from judge.backends.http import REPLY_BYTES
from judge.domain.errors import (
    CallFailed,
    CallRejected,
    JudgeUnusable,
    PromptTooLong,
    ReplyTooLarge,
    TransportFailed,
)
from judge.domain.outcome import VerdictStatus
from judge.prompts.parse import Parser, parse
from support.example_prompts import prompt
from support.provider_replies import MAKE, USED, answered, body_of, reply_to

STATUSES = {
    Finish.COMPLETE: VerdictStatus.OK,
    Finish.TRUNCATED: VerdictStatus.TRUNCATED,
    Finish.FILTERED: VerdictStatus.FILTERED,
    Finish.REFUSED: VerdictStatus.REFUSED,
}


@pytest.fixture(params=MAKE)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("finish", STATUSES)
async def test_every_word_for_the_end_of_a_reply_has_its_status(vendor: str, finish: Finish) -> None:
    """The words are the same for all backends, in any case and with what servers write around them."""
    words = [spelled for word in WORDS[finish] for spelled in (word, word.upper(), f"FinishReason.{word.upper()}")]
    waiting = iter(words)

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response(body_of(vendor, "[[A]]", next(waiting), usage=USED))

    async with answered(vendor, handler) as backend:
        statuses = {word: (await backend.reply(prompt())).status for word in words}

    assert statuses == dict.fromkeys(words, STATUSES[finish])


@pytest.mark.parametrize("word", [*WORDS[Finish.BROKEN], "a_word_of_tomorrow", 7])
async def test_a_reply_that_broke_off_is_no_answer_and_its_tokens_are_known(vendor: str, word: object) -> None:
    """It is tried again, and what it used can be booked."""
    with pytest.raises(TransportFailed, match="broke off") as caught:
        await reply_to(vendor, body_of(vendor, "Answer A is [[A]]", word, usage=USED))

    assert caught.value.usage is not None
    assert (caught.value.usage.input_tokens, caught.value.usage.output_tokens) == (100, 7)


async def test_the_error_in_a_broken_choice_decides(vendor: str) -> None:
    """OpenRouter puts what went wrong beside the finish reason."""
    body = body_of(vendor, "[[A]]", "error", usage=USED)
    if vendor == "anthropic":
        body["error"] = {"type": "billing_error", "message": "Insufficient credits"}
    else:
        body["choices"][0]["error"] = {"code": 402, "message": "Insufficient credits"}

    with pytest.raises(JudgeUnusable, match="Insufficient credits"):
        await reply_to(vendor, body)


THINKING = {"type": "thinking", "thinking": "[[A]] or [[B]]?"}
TEXT = {"type": "text", "text": "So: [[B]]"}
CONTENTS: Mapping[str, tuple[object, str]] = {
    "thinking before": ([THINKING, TEXT], "So: [[B]]"),
    "nested thinking": ([{"type": "thinking", "thinking": [{"type": "text", "text": "[[A]]"}]}, TEXT], "So: [[B]]"),
    "reasoning": ([{"type": "reasoning", "text": "[[A]]"}, TEXT], "So: [[B]]"),
    "redacted": ([{"type": "redacted_thinking", "data": "x"}, TEXT], "So: [[B]]"),
    "a thought": ([{"text": "[[A]]", "thought": True}, {"text": "So: [[B]]"}], "So: [[B]]"),
    "two parts": ([{"type": "text", "text": "So: "}, {"type": "output_text", "text": "[[B]]"}], "So: [[B]]"),
    "only thinking": ([THINKING], ""),
    "no part": ([], ""),
    "null": (None, ""),
    "empty": ("", ""),
}


@pytest.mark.parametrize("kind", CONTENTS)
async def test_every_form_of_content_is_one_reply(vendor: str, kind: str) -> None:
    """Text parts are the text, thinking is none of it, and a paid reply without text is one unreadable reply."""
    content, text = CONTENTS[kind]

    reply = await reply_to(vendor, body_of(vendor, content, usage=USED))

    assert (reply.status, reply.raw, reply.usage.counted) == (VerdictStatus.OK, text, True)
    assert (parse(Parser.named("brackets"), reply).preference is None) == (not text)


@pytest.mark.parametrize(
    "beside",
    [
        {"reasoning": "[[A]]"},
        {"reasoning_content": "[[A]]"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "[[A]]"}]},
        {"thinking": "[[A]]"},
        {"refusal": None, "tool_calls": None, "annotations": []},
    ],
)
async def test_thinking_in_a_field_of_its_own_is_not_the_answer(vendor: str, beside: Mapping[str, object]) -> None:
    """Whatever the field is called, only the content is the reply."""
    body = body_of(vendor, "So: [[B]]", usage=USED)
    (body if vendor == "anthropic" else body["choices"][0]["message"]).update(beside)

    assert (await reply_to(vendor, body)).raw == "So: [[B]]"


USAGES: Mapping[str, tuple[object, tuple[int, int, bool]]] = {
    "OpenAI": ({"usage": USED}, (100, 7, True)),
    "Anthropic": ({"usage": {"input_tokens": 100, "output_tokens": 7}}, (100, 7, True)),
    "Ollama": ({"prompt_eval_count": 100, "eval_count": 7}, (100, 7, True)),
    "Gemini": (
        {"usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 7, "thoughtsTokenCount": 30}},
        (100, 37, True),
    ),
    "Bedrock": ({"usage": {"inputTokens": 100, "outputTokens": 7, "totalTokens": 107}}, (100, 7, True)),
    "llama.cpp": ({"timings": {"prompt_n": 100, "predicted_n": 7}}, (100, 7, True)),
    "Groq": ({"x_groq": {"usage": USED}}, (100, 7, True)),
    "reasoning beside the completion": ({"usage": {**USED, "total_tokens": 3107}}, (100, 3007, True)),
    "reasoning above the completion": (
        {"usage": {**USED, "completion_tokens_details": {"reasoning_tokens": 50}}},
        (100, 57, True),
    ),
    "reasoning within the completion": (
        {"usage": {**USED, "completion_tokens_details": {"reasoning_tokens": 5}}},
        (100, 7, True),
    ),
    "numbers in other types": ({"usage": {"prompt_tokens": "100", "completion_tokens": 7.0}}, (100, 7, True)),
    "a negative output": ({"usage": {"prompt_tokens": 100, "completion_tokens": -7}}, (100, 0, False)),
    "a negative input": ({"usage": {"prompt_tokens": -100, "completion_tokens": 7}}, (0, 7, False)),
    "only a total": ({"usage": {"total_tokens": 107}}, (0, 0, False)),
    "no output for a text": ({"usage": {"prompt_tokens": 100, "completion_tokens": 0}}, (100, 0, False)),
    "too large": ({"usage": {"prompt_tokens": 10**30, "completion_tokens": 7}}, (0, 7, False)),
    "more from a cache than the input": (
        {"usage": {**USED, "prompt_tokens_details": {"cached_tokens": 5000}}},
        (0, 7, False),
    ),
    "more from and to a cache than the input": (
        {"usage": {**USED, "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 60}}},
        (0, 7, False),
    ),
    "Anthropic's words beside OpenAI's": (
        {"usage": {**USED, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 80}},
        (0, 7, False),
    ),
    "a part of the input that cannot be read": (
        {"usage": {"input_tokens": 100, "output_tokens": 7, "cache_creation_input_tokens": -5000}},
        (0, 7, False),
    ),
    "a part of the output that cannot be read": (
        {"usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 7, "thoughtsTokenCount": -30}},
        (100, 0, False),
    ),
    "a list": ({"usage": [100, 7]}, (0, 0, False)),
    "null": ({"usage": None}, (0, 0, False)),
    "null counts": ({"usage": {"prompt_tokens": None, "completion_tokens": None}}, (0, 0, False)),
    "missing": ({}, (0, 0, False)),
}


@pytest.mark.parametrize("words", USAGES)
async def test_usage_is_read_in_every_providers_words(vendor: str, words: str) -> None:
    """What cannot be read counts as missing, and never discards the reply."""
    top, expected = USAGES[words]

    reply = await reply_to(vendor, {**body_of(vendor, "[[A]]"), **top})  # type: ignore[dict-item]  # a mapping

    assert reply.raw == "[[A]]"
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.counted) == expected


async def test_what_was_written_to_a_cache_is_read_in_every_form(vendor: str) -> None:
    """By its lifetimes, if they are more than the total; and among the details of the input, of which it is a part."""
    parts = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40}
    by_lifetime = {"input_tokens": 100, "output_tokens": 7, "cache_creation_input_tokens": 50, "cache_creation": parts}
    detail = {**USED, "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 60}}

    replies = [await reply_to(vendor, body_of(vendor, "[[A]]", usage=usage)) for usage in (by_lifetime, detail)]

    written = [(reply.usage.input_tokens, reply.usage.written_input_tokens, reply.usage.counted) for reply in replies]
    assert [(170, 70, True), (100, 60, True)] == written


COSTS: Mapping[str, tuple[Mapping[str, object], int]] = {
    "OpenRouter": ({"cost": 0.00042, "cost_details": {"upstream_inference_cost": 0.00042}}, 420),
    "a key of one's own at OpenRouter": ({"cost": 0.05, "cost_details": {"upstream_inference_cost": 1}}, 1_050_000),
    "the same, said": ({"cost": 2, "is_byok": True, "cost_details": {"upstream_inference_cost": 1}}, 3_000_000),
    "no key of one's own": ({"cost": 0.4, "is_byok": False, "cost_details": {"upstream_inference_cost": 1}}, 400_000),
    "unknown whose key": ({"cost": 0.9, "cost_details": {"upstream_inference_cost": 1}}, 1_000_000),
    "beside the details": ({"cost": 0.05, "is_byok": True, "upstream_inference_cost": 1}, 1_050_000),
    "in both places": (
        {"cost": 1, "is_byok": True, "upstream_inference_cost": 1, "cost_details": {"upstream_inference_cost": 1}},
        2_000_000,
    ),
    "with their total": ({"cost": 1, "total_cost": 3, "is_byok": True, "upstream_inference_cost": 2}, 3_000_000),
    "only upstream": ({"cost_details": {"upstream_inference_cost": "0.002"}}, 2000),
    "upstream's parts": (
        {"upstream_inference_prompt_cost": 0.001, "upstream_inference_completions_cost": 0.002, "is_byok": True},
        3000,
    ),
    "a total": ({"total_cost": 0.0071}, 7100),
    "a total in the details": ({"cost_details": {"total_cost": 0.0071}}, 7100),
    "named by its unit": ({"total_cost_usd": "$0.0071"}, 7100),
    "parts of an object": ({"cost": {"input_tokens_cost": 0.001, "output_tokens_cost": 0.002}}, 3000),
    "in euros": ({"total_cost": 5, "currency": "EUR"}, 0),
    "in yuan": ({"cost": {"total_cost": 5, "currency": "CNY"}}, 0),
    "ticks and the same in USD": ({"cost_in_usd_ticks": 10**10, "cost": 1}, 1_000_000),
    "Perplexity": ({"cost": {"request_cost": 0.006, "total_cost": 0.0071}}, 7100),
    "DeepInfra": ({"estimated_cost": 1e-7}, 1),
    "xAI": ({"cost_in_usd_ticks": 37_756_000}, 3776),
    "text": ({"cost": "0.5"}, 500_000),
    "negative": ({"cost": -0.5}, 0),
    "infinite": ({"cost": float("inf")}, 0),
    "no number": ({"cost": float("nan")}, 0),
    "absurd": ({"cost": 10**300}, 0),
    "too large for a float": ({"cost_in_usd_ticks": 10**400}, 0),
    "a truth": ({"cost": True}, 0),
    "words": ({"cost": "much", "cost_details": None}, 0),
}


@pytest.mark.parametrize("words", COSTS)
async def test_what_a_provider_says_that_a_call_costs_is_read(vendor: str, words: str) -> None:
    """In micro-USD, rounded up, and only if it is an amount that a call can cost."""
    stated, expected = COSTS[words]

    reply = await reply_to(vendor, body_of(vendor, "[[A]]", usage={**USED, **stated}))

    assert (reply.usage.stated_micros, reply.usage.input_tokens) == (expected, 100)


async def test_the_cost_in_a_header_is_read(vendor: str) -> None:
    """LiteLLM states it there. The larger counts, if the body states another; a broken reply costs it, too."""
    finishes = iter(["", "", "error"])
    costs = iter([0.001, 1, 0])

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        body = body_of(vendor, "[[A]]", next(finishes), usage={**USED, "cost": next(costs)})
        return web.json_response(body, headers={"x-litellm-response-cost": "0.025"})

    async with answered(vendor, handler) as backend:
        stated = [(await backend.reply(prompt())).usage.stated_micros for _ in range(2)]
        with pytest.raises(TransportFailed) as caught:
            await backend.reply(prompt())

    assert stated == [25_000, 1_000_000]
    assert caught.value.usage is not None
    assert caught.value.usage.stated_micros == 25_000


SENTENCE = "Insufficient credits to make this request"
ERROR_BODIES: Mapping[str, object] = {
    "OpenAI": {"error": {"message": SENTENCE, "type": "x", "param": None, "code": None}},
    "OpenRouter": {"error": {"code": 402, "message": SENTENCE, "metadata": {"provider_name": "P"}}},
    "OpenRouter, with the provider behind it": {
        "error": {
            "code": 402,
            "message": "Provider returned error",
            "metadata": {"raw": f'{{"message": "{SENTENCE}"}}'},
        }
    },
    "Anthropic": {"type": "error", "error": {"type": "billing_error", "message": SENTENCE}},
    "Gemini": [{"error": {"code": 402, "message": SENTENCE, "status": "X"}}],
    "Ollama": {"error": SENTENCE},
    "Mistral": {"object": "error", "message": SENTENCE, "type": "x", "code": "1"},
    "a gateway": {"message": SENTENCE},
    "FastAPI": {"detail": SENTENCE},
    "FastAPI, validation": {"detail": [{"loc": ["body", "model"], "msg": SENTENCE, "type": "x"}]},
    "Cloudflare": {"success": False, "errors": [{"code": 7, "message": SENTENCE}]},
    "MiniMax": {"base_resp": {"status_code": 1008, "status_msg": SENTENCE}},
    "JSON in a text": {"error": {"message": json.dumps({"error": {"message": SENTENCE}})}},
}


@pytest.mark.parametrize("shape", ERROR_BODIES)
@pytest.mark.parametrize("status", [200, 402])
async def test_the_providers_words_are_read_in_every_shape_of_error(vendor: str, shape: str, status: int) -> None:
    """An error in the body of a 200 is read like that of a status. Both stop the judge, in the provider's words."""
    with pytest.raises(JudgeUnusable, match=SENTENCE):
        await reply_to(vendor, ERROR_BODIES[shape], status=status)


@pytest.mark.parametrize("page", [f"<html><head><title>{SENTENCE}</title></head></html>", SENTENCE])
async def test_a_page_and_a_plain_text_are_error_bodies_too(vendor: str, page: str) -> None:
    """The title of a page is its message."""
    with pytest.raises(JudgeUnusable, match=SENTENCE):
        await reply_to(vendor, page, status=402)


KINDS: Mapping[str, tuple[int, object, type[CallFailed]]] = {
    "a moderation": (403, {"error": {"code": 403, "message": "Your input was flagged"}}, CallRejected),
    "a filter": (400, {"error": {"code": "content_filter", "message": "The response was filtered"}}, CallRejected),
    "a wrong key": (403, {"error": {"message": "This key has no access to the model"}}, JudgeUnusable),
    "overloaded in a 200": (200, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, TransportFailed),
    "429 in a 200": (200, {"error": {"code": 429, "message": "Rate limit"}}, TransportFailed),
    "unexplained in a 200": (200, {"error": "something"}, TransportFailed),
    "OpenAI, too long": (
        400,
        {"error": {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192 tokens"}},
        PromptTooLong,
    ),
    "Anthropic, too long": (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000"}}, PromptTooLong),
    "vLLM, too long": (
        400,
        {"object": "error", "message": "The decoder prompt (length 9) is longer than the maximum model length of 8."},
        PromptTooLong,
    ),
    "llama.cpp, too long": (
        400,
        {"error": {"code": 400, "message": "the request exceeds", "type": "exceed_context_size_error"}},
        PromptTooLong,
    ),
    "Ollama, too long": (400, {"error": "the input length exceeds the context length"}, PromptTooLong),
    "Gemini, too long": (
        400,
        [{"error": {"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens allowed"}}],
        PromptTooLong,
    ),
    "a refusal behind a gateway's 500": (
        500,
        {"error": {"message": "BadRequestError: invalid image", "type": None, "code": "400"}},
        CallRejected,
    ),
    "a wrong key behind a gateway's 500": (500, {"error": {"message": "bad key", "code": 401}}, JudgeUnusable),
    "an overload behind a gateway's 502": (502, {"error": {"message": "try later", "code": 429}}, TransportFailed),
    "not implemented": (501, {"error": {"message": "This server does not support logprobs"}}, CallRejected),
    "too large for the proxy": (413, "<html><title>413 Request Entity Too Large</title></html>", PromptTooLong),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_is_of_the_right_kind(vendor: str, kind: str) -> None:
    """What the body says decides whether it concerns the call, the judge or the moment."""
    status, body, error = KINDS[kind]
    with pytest.raises(CallFailed) as caught:
        await reply_to(vendor, body, status=status)

    assert type(caught.value) is error


QUOTAS: Mapping[str, tuple[str, float | None, bool]] = {
    "OpenAI": ("Rate limit reached for m on requests per day (RPD): Limit 200. Please try again in 7m12s.", 432, True),
    "Groq": ("Rate limit reached on tokens per day (TPD). Please try again in 1h2m3.5s", 3723.5, True),
    "Gemini": ("Quota exceeded for metric GenerateRequestsPerDayPerProject. Please retry in 24.5s.", 24.5, True),
    "OpenRouter": ("Rate limit exceeded: free-models-per-day", DAILY_REST, True),
    "Azure": ("Too many requests. Please retry after 20 seconds.", 20, False),
    "a minute's limit": ("Rate limit reached on tokens per min (TPM). Please try again in 6ms.", 0.006, False),
    "in words": ("Please try again in 5 minutes.", 300, False),
    "no delay": ("Too many requests; try again later", None, False),
}


@pytest.mark.parametrize("name", QUOTAS)
async def test_a_429_says_how_long_to_rest(vendor: str, name: str) -> None:
    """Without a header, the words do. A daily quota is named, and rests for minutes if nobody says for how long."""
    words, seconds, daily = QUOTAS[name]
    with pytest.raises(TransportFailed) as caught:
        await reply_to(vendor, {"error": {"message": words}}, status=429)

    assert (caught.value.throttled, caught.value.daily) == (True, daily)
    assert caught.value.retry_after == (None if seconds is None else pytest.approx(seconds))
    assert caught.value.message.startswith("a daily quota is used up: ") is daily


async def test_a_rejected_parameter_names_the_setting_to_change(vendor: str) -> None:
    """A provider that rejects one optional parameter by name is answered with a setting."""
    text = "Unsupported value: 'temperature' does not support 0.0 with this model."
    with pytest.raises(CallRejected, match=r"Set capabilities = \{ temperature = false \} for this judge"):
        await reply_to(vendor, {"error": {"message": text, "param": "temperature"}}, status=400)


def _compressed(encoding: str, n_bytes: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    chunk = b" " * (1 << 20)
    return b"".join([*(compressor.compress(chunk) for _ in range(n_bytes >> 20)), compressor.flush()])


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
async def test_a_reply_that_is_too_large_is_not_read_to_its_end(vendor: str, encoding: str) -> None:
    """Neither 64 MiB nor a compressed bomb of 512 MiB fills the memory. The call may have to be paid."""
    chunks = [_compressed(encoding, 512 << 20)] if encoding else [b" " * (1 << 20)] * 64

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        headers = {"Content-Type": "application/json"} | ({"Content-Encoding": encoding} if encoding else {})
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with contextlib.suppress(OSError):
            for chunk in chunks:
                await response.write(chunk)
        return response

    async with answered(vendor, handler) as backend:
        with pytest.raises(CallFailed):
            await backend.reply(prompt())
        tracemalloc.start()
        with pytest.raises(ReplyTooLarge, match="4 MiB") as caught:
            await backend.reply(prompt())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert caught.value.maybe_paid
    assert peak < 8 * REPLY_BYTES


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
@pytest.mark.parametrize("n_characters", [10, REPLY_BYTES - 1000])
async def test_a_reply_within_the_bound_is_read(vendor: str, encoding: str, n_characters: int) -> None:
    """Compressed or not."""
    plain = json.dumps(body_of(vendor, "x" * n_characters + "[[A]]", usage=USED)).encode()
    content = gzip.compress(plain) if encoding == "gzip" else zlib.compress(plain) if encoding == "deflate" else plain

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(body=content, headers={"Content-Type": "application/json", "Content-Encoding": encoding})

    async with answered(vendor, handler) as backend:
        reply = await backend.reply(prompt())

    assert len(reply.raw) == n_characters + 5


async def test_an_error_page_is_bounded_too(vendor: str) -> None:
    """A status does not make a body smaller."""
    with pytest.raises(CallFailed):
        await reply_to(vendor, "x" * (REPLY_BYTES + 1), status=500)


@pytest.mark.parametrize("vendor", ["openai", "vllm"])
@pytest.mark.parametrize("alternative", [None, "-0.5", True, float("nan")])
async def test_an_alternative_without_a_number_is_left_out(vendor: str, alternative: object) -> None:
    """The reply stands, with the alternatives that have a log probability."""
    body = body_of(vendor, "A", usage=USED)
    top = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": alternative}, {"token": "C"}, None]
    body["choices"][0]["logprobs"] = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": top}]}

    reply = await reply_to(vendor, body, form="choice")

    assert (reply.raw, reply.logprobs) == ("A", (("A", -0.1),))


@pytest.mark.parametrize("vendor", ["openai", "vllm"])
async def test_the_token_of_the_verdict_is_the_last_one(vendor: str) -> None:
    """Thinking that mentions a letter is not the verdict."""
    body = body_of(vendor, "<think>B</think>A", usage=USED)
    tokens = [
        {"token": "B", "logprob": -0.1, "top_logprobs": [{"token": "B", "logprob": -0.1}]},
        {"token": "A", "logprob": -0.2, "top_logprobs": [{"token": "A", "logprob": -0.2}]},
    ]
    body["choices"][0]["logprobs"] = {"content": tokens}

    assert (await reply_to(vendor, body, form="choice")).logprobs == (("A", -0.2),)
