"""The backend `vllm_engine` works with a real engine in this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from conftest import KEY, QUIET, Served
from judge.backends.http import Endpoint
from judge.backends.vllm import Vllm
from judge.backends.vllm_engine import VllmEngine
from judge.domain.errors import PromptTooLong
from judge.domain.judge import Sampling
from judge.domain.outcome import VerdictStatus
from judge.prompts.parse import own_parser, parse
from judge.prompts.rubrics import CHOICE
from support.backend_contract import (
    test_a_reply_is_parsed_as_one_preference,
    test_capabilities_are_known,
    test_concurrent_calls_are_independent,
)
from support.example_prompts import prompt

__all__ = [
    "test_a_reply_is_parsed_as_one_preference",
    "test_capabilities_are_known",
    "test_concurrent_calls_are_independent",
]
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("default"),  # torch and vLLM raise warnings
]
COLD = Sampling(max_output_tokens=16, temperature=0.0)


@pytest.fixture
def form() -> str:
    """The only form of answer that a grammar can force from random weights."""
    return "choice"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend(model: Path) -> AsyncIterator[VllmEngine]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        engine = VllmEngine(str(model), engine={"enforce_eager": True, "dtype": "float32", "max_model_len": 2048})
        yield engine
        await engine.close()


async def test_the_engine_gives_probabilities_and_counts_tokens(backend: VllmEngine) -> None:
    """A choice has the probabilities of its alternatives, and the usage has the tokens read from the cache."""
    await backend.reply(prompt("one answer", "another", form="choice", sampling=COLD))

    reply = await backend.reply(prompt("a third answer", "a fourth", form="choice", sampling=COLD))

    parsed_verdict = parse(own_parser(CHOICE), reply)
    assert reply.raw in {"A", "B", "C"}
    assert parsed_verdict.probability_first is not None
    assert reply.usage.input_tokens > reply.usage.cached_input_tokens > reply.usage.input_tokens // 2


async def test_the_engine_and_the_server_give_the_same_reply(backend: VllmEngine, served: Served) -> None:
    """Both give the same probabilities, since they have the same weights."""
    client = Vllm("judge", Endpoint(served.url, KEY))
    rendered = prompt(form="choice", sampling=COLD)

    from_engine, from_server = await backend.reply(rendered), await client.reply(rendered)
    await client.close()

    assert from_engine.raw == from_server.raw
    assert from_engine.usage.input_tokens == from_server.usage.input_tokens
    server_logprobs = dict(from_server.logprobs)
    for token, logprob in from_engine.logprobs:
        if logprob > -100:
            assert logprob == pytest.approx(server_logprobs[token], abs=1e-3)


async def test_a_prompt_that_does_not_fit_is_too_long(backend: VllmEngine) -> None:
    """The engine refuses a prompt that is longer than the context."""
    with pytest.raises(PromptTooLong):
        await backend.reply(prompt("word " * 6000, form="choice"))


async def test_the_engine_answers_after_a_cancelled_call(backend: VllmEngine) -> None:
    """The next call is answered after a call was canceled while it ran."""
    long = Sampling(max_output_tokens=1000, temperature=0.0)
    call = asyncio.create_task(backend.reply(prompt("cancelled", form="brackets", sampling=long)))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    reply = await backend.reply(prompt(form="choice", sampling=COLD))

    assert reply.status is VerdictStatus.OK


async def test_a_closed_engine_leaves_no_process(backend: VllmEngine) -> None:
    """An engine can be closed twice, and none of its processes is left. This test must be the last of this file.

    The server of other tests has its own process group and keeps running.
    """
    await backend.close()
    await backend.close()

    own_group = os.getpgid(0)
    processes = [
        child
        for child in psutil.Process().children(recursive=True)
        if os.getpgid(child.pid) == own_group and "VLLM" in child.name()
    ]
    gone, alive = psutil.wait_procs(processes, timeout=30)
    assert (len(gone), alive) == (len(processes), [])
