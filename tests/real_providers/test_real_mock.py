"""The backends `openai` and `anthropic` with an independent mock of both APIs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from judge.backends.anthropic import Anthropic
from judge.backends.http import Endpoint
from judge.backends.openai import OpenAI
from judge.domain.errors import CallFailed, CallRejected, JudgeUnusable, PromptTooLong, TransportFailed
from judge.domain.outcome import Preference, VerdictStatus
from judge.ports.backend import Backend
from judge.prompts.parse import Parser, parse
from support.example_prompts import prompt

MAKE: Mapping[str, Callable[[str], Backend]] = {
    "anthropic": lambda url: Anthropic("claude-opus-5-5", Endpoint(url, "key-0123456789")),
    "openai": lambda url: OpenAI("gpt-6.2-sol", Endpoint(f"{url}/v1", "key-0123456789")),
}
ERRORS: Mapping[str, type[CallFailed]] = {
    "throttled": TransportFailed,
    "down": TransportFailed,
    "key": JudgeUnusable,
    "long": PromptTooLong,
    "bad": CallRejected,
}


@pytest.mark.parametrize("vendor", MAKE)
async def test_a_reply_has_its_verdict_and_its_tokens(mock: str, vendor: str) -> None:
    """The mock was written by somebody else, from the providers' documentation."""
    backend = MAKE[vendor](mock)
    reply = await backend.reply(prompt())
    await backend.close()

    assert reply.status is VerdictStatus.OK
    assert parse(Parser.named("brackets"), reply).preference is Preference.FIRST
    assert reply.usage.counted
    assert reply.usage.output_tokens > 0


@pytest.mark.parametrize("vendor", MAKE)
@pytest.mark.parametrize("fault", ERRORS)
async def test_an_error_is_of_the_right_kind(mock: str, vendor: str, fault: str) -> None:
    """Both in the format of OpenAI and in that of Anthropic."""
    backend = MAKE[vendor](mock)
    with pytest.raises(CallFailed) as caught:
        await backend.reply(prompt(f"answer-{fault}"))
    await backend.close()

    assert type(caught.value) is ERRORS[fault]
    if isinstance(caught.value, TransportFailed):
        assert caught.value.throttled == (fault == "throttled")
