"""The fake provider as the vendors' own SDKs read it, unpatched and strict: their types, and their errors."""

from __future__ import annotations

import anthropic
import openai
import pytest

from support.example_prompts import prompt, right_answer
from support.provider import KEY, Provider
from support.provider_server import anthropic_url, serving_provider

SYSTEM, USER = (message.content for message in prompt("17 times 23 is 391.").messages)
ERRORS = {
    "throttled": "RateLimitError",
    "500": "InternalServerError",
    "503": "InternalServerError",
    "rejected": "BadRequestError",
    "cut": "APIConnectionError",
}


def openai_at(url: str, key: str = KEY) -> openai.AsyncOpenAI:
    http = openai.DefaultAioHttpClient(trust_env=False)
    return openai.AsyncOpenAI(
        base_url=url, api_key=key, max_retries=0, http_client=http, _strict_response_validation=True
    )


def anthropic_at(url: str, key: str = KEY) -> anthropic.AsyncAnthropic:
    http = anthropic.DefaultAioHttpClient(trust_env=False)
    return anthropic.AsyncAnthropic(
        base_url=anthropic_url(url), api_key=key, max_retries=0, http_client=http, _strict_response_validation=True
    )


async def ask_openai(client: openai.AsyncOpenAI) -> openai.types.chat.ChatCompletion:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER}]
    return await client.chat.completions.create(model="m", messages=messages, logprobs=True, top_logprobs=3)


async def ask_anthropic(client: anthropic.AsyncAnthropic) -> anthropic.types.Message:
    messages = [{"role": "user", "content": USER}]
    return await client.messages.create(model="m", system=SYSTEM, messages=messages, max_tokens=100)


async def test_a_reply_is_of_the_sdks_own_types() -> None:
    """Text, usage, cached tokens and alternatives stand where the typed layer looks for them."""
    async with serving_provider(Provider(right_answer)) as url, openai_at(url) as one, anthropic_at(url) as other:
        completion, message = await ask_openai(one), await ask_anthropic(other)

    choice = completion.choices[0]
    assert choice.message.content == message.content[0].text == "So: [[A]]"
    assert [top.token for top in choice.logprobs.content[0].top_logprobs] == ["A", "B", "C"]
    assert completion.usage.prompt_tokens_details.cached_tokens == message.usage.cache_read_input_tokens == len(SYSTEM)


@pytest.mark.parametrize("fault", ERRORS)
async def test_a_fault_is_the_sdks_own_error(fault: str) -> None:
    provider = Provider(right_answer, faults=lambda *_: fault)
    async with serving_provider(provider) as url, openai_at(url) as one, anthropic_at(url) as other:
        with pytest.raises(getattr(openai, ERRORS[fault])):
            await ask_openai(one)
        with pytest.raises(getattr(anthropic, ERRORS[fault])):
            await ask_anthropic(other)


async def test_a_wrong_key_is_the_sdks_own_error() -> None:
    wrong = "another-key-0123456789"  # pragma: allowlist secret
    async with (
        serving_provider(Provider(right_answer)) as url,
        openai_at(url, wrong) as one,
        anthropic_at(url, wrong) as other,
    ):
        with pytest.raises(openai.AuthenticationError):
            await ask_openai(one)
        with pytest.raises(anthropic.AuthenticationError):
            await ask_anthropic(other)


async def test_batches_are_of_the_sdks_own_types() -> None:
    """Submitted, listed, polled and read through the typed layer."""
    async with (
        serving_provider(Provider(right_answer, auto_finish=True)) as url,
        openai_at(url) as one,
        anthropic_at(url) as other,
    ):
        params = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": USER}]}
        made = await other.messages.batches.create(requests=[{"custom_id": "x", "params": params}])
        listed = [batch.id async for batch in other.messages.batches.list()]
        polled = [(await other.messages.batches.retrieve(made.id)).processing_status for _ in range(2)]
        file = await one.files.create(file=("f.jsonl", b'{"custom_id": "x", "body": {}}'), purpose="batch")
        batch = await one.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"mark": "1"}
        )
        found = [(other_one.id, other_one.metadata) async for other_one in one.batches.list()]

    assert (listed, polled) == ([made.id], ["in_progress", "ended"])
    assert found == [(batch.id, {"mark": "1"})]
