"""The backend `openai` with a real llama.cpp server and a small real model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from judge.app.doctor import DoctorRequest, Level, examine
from judge.backends.http import Endpoint
from judge.backends.listing import list_models
from judge.backends.openai import OpenAI
from judge.domain.errors import PromptTooLong
from judge.domain.judge import Sampling
from judge.domain.outcome import VerdictStatus
from judge.ports.clock import SystemClock
from judge.prompts.parse import Parser, parse
from support.example_prompts import prompt

SHORT = Sampling(max_output_tokens=2, temperature=0.0)


async def test_a_reply_has_its_tokens_and_can_be_parsed(llama: str) -> None:
    """Two calls at once are each answered with one letter, and each is counted."""
    backend = OpenAI("small", Endpoint(llama, timeout_seconds=300.0))
    prompts = [prompt(f"It is {n}.", form="choice", sampling=SHORT) for n in range(2)]

    replies = await asyncio.gather(*(backend.reply(rendered) for rendered in prompts))
    await backend.close()

    assert {reply.status for reply in replies} <= {VerdictStatus.OK, VerdictStatus.TRUNCATED}
    assert all(reply.usage.counted and reply.usage.input_tokens > 10 for reply in replies)
    readable = [reply for reply in replies if reply.status is VerdictStatus.OK]
    assert all(parse(Parser.named("choice"), reply).preference is not None for reply in readable)


async def test_a_prompt_that_does_not_fit_is_too_long(llama: str) -> None:
    """The server's own words are understood."""
    backend = OpenAI("small", Endpoint(llama, timeout_seconds=120.0))

    with pytest.raises(PromptTooLong):
        await backend.reply(prompt("word " * 40_000, form="choice", sampling=SHORT))
    await backend.close()


async def test_its_models_are_listed(llama: str) -> None:
    """The request that `judge doctor` makes is answered."""
    assert (await list_models(Endpoint(llama), "openai")).models


async def test_doctor_makes_one_call(llama: str, tmp_path: Path) -> None:
    """The endpoint is found to work, by its list and by a call."""
    file = tmp_path / "judge.toml"
    file.write_text(
        f"store_url = 'sqlite:///{tmp_path / 'judge.db'}'\n[judges.j]\nbackend = 'openai'\nmodel = 'small'\n"
        f"base_url = '{llama}'\nrubric = 'choice'\nmax_output_tokens = 2\ndeadline_seconds = 300.0\n",
        "utf-8",
    )

    results = [result async for result in examine(DoctorRequest(config=file, call=True), SystemClock())]

    assert [result for result in results if result.level is Level.ERROR] == []
    assert results[-1].check == "call"
