"""The vendors' own SDKs, with strict validation, accept the answers and errors of the fake provider."""

from __future__ import annotations

import anthropic
import openai
import pytest
from anthropic.types import TextBlock
from anthropic.types.messages.batch_create_params import Request

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
    return await client.chat.completions.create(
        model="m",
        messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER}],
        logprobs=True,
        top_logprobs=3,
    )


async def ask_anthropic(client: anthropic.AsyncAnthropic) -> anthropic.types.Message:
    return await client.messages.create(
        model="m", system=SYSTEM, messages=[{"role": "user", "content": USER}], max_tokens=100
    )


async def test_a_reply_is_of_the_sdks_own_types() -> None:
    """The typed layer finds the text, the usage, the cached tokens and the alternatives of the token."""
    async with serving_provider(Provider(right_answer)) as url, openai_at(url) as gpt, anthropic_at(url) as claude:
        completion, message = await ask_openai(gpt), await ask_anthropic(claude)

    choice, block = completion.choices[0], message.content[0]
    assert isinstance(block, TextBlock)
    assert choice.message.content == block.text == "So: [[A]]"
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert [top.token for top in choice.logprobs.content[0].top_logprobs] == ["A", "B", "C"]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == len(SYSTEM)
    assert message.usage.cache_read_input_tokens == len(SYSTEM)


@pytest.mark.parametrize("fault", ERRORS)
async def test_a_fault_is_the_sdks_own_error(fault: str) -> None:
    """Both SDKs raise the same class of error for a fault."""
    provider = Provider(right_answer, faults=lambda *_: fault)
    async with serving_provider(provider) as url, openai_at(url) as gpt, anthropic_at(url) as claude:
        with pytest.raises(getattr(openai, ERRORS[fault])):
            await ask_openai(gpt)
        with pytest.raises(getattr(anthropic, ERRORS[fault])):
            await ask_anthropic(claude)


async def test_a_wrong_key_is_the_sdks_own_error() -> None:
    """Both SDKs raise an authentication error."""
    wrong = "another-key-0123456789"  # pragma: allowlist secret
    async with (
        serving_provider(Provider(right_answer)) as url,
        openai_at(url, wrong) as gpt,
        anthropic_at(url, wrong) as claude,
    ):
        with pytest.raises(openai.AuthenticationError):
            await ask_openai(gpt)
        with pytest.raises(anthropic.AuthenticationError):
            await ask_anthropic(claude)


async def test_batches_are_of_the_sdks_own_types() -> None:
    """The typed layer can submit, list and poll batches."""
    async with (
        serving_provider(Provider(right_answer, auto_finish=True)) as url,
        openai_at(url) as gpt,
        anthropic_at(url) as claude,
    ):
        item: Request = {
            "custom_id": "x",
            "params": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": USER}]},
        }
        claude_batch = await claude.messages.batches.create(requests=[item])
        claude_ids = [batch.id async for batch in claude.messages.batches.list()]
        statuses = [(await claude.messages.batches.retrieve(claude_batch.id)).processing_status for _ in range(2)]
        file = await gpt.files.create(file=("f.jsonl", b'{"custom_id": "x", "body": {}}'), purpose="batch")
        gpt_batch = await gpt.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"mark": "1"}
        )
        gpt_batches = [(batch.id, batch.metadata) async for batch in gpt.batches.list()]

    assert (claude_ids, statuses) == ([claude_batch.id], ["in_progress", "ended"])
    assert gpt_batches == [(gpt_batch.id, {"mark": "1"})]
