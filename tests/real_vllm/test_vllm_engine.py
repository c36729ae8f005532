"""The backend `vllm_engine`: a real engine in this process."""

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
    pytest.mark.filterwarnings("default"),  # torch and vLLM warn of each other
]
COLD = Sampling(max_output_tokens=16, temperature=0.0)


@pytest.fixture
def form() -> str:
    """The only form in which random weights can be made to answer."""
    return "choice"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backend(model: Path) -> AsyncIterator[VllmEngine]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        one = VllmEngine(str(model), engine={"enforce_eager": True, "dtype": "float32", "max_model_len": 2048})
        yield one
        await one.close()


async def test_the_engine_gives_probabilities_and_counts_tokens(backend: VllmEngine) -> None:
    """One constrained token, its alternatives, what was read from the cache."""
    await backend.reply(prompt("one answer", "another", form="choice", sampling=COLD))

    reply = await backend.reply(prompt("a third answer", "a fourth", form="choice", sampling=COLD))

    parsed_verdict = parse(own_parser(CHOICE), reply)
    assert reply.raw in {"A", "B", "C"}
    assert parsed_verdict.probability_first is not None
    assert reply.usage.input_tokens > reply.usage.cached_input_tokens > reply.usage.input_tokens // 2


async def test_the_engine_and_the_server_say_the_same(backend: VllmEngine, served: Served) -> None:
    """The same weights, asked in two ways."""
    far = Vllm("judge", Endpoint(served.url, KEY))
    one = prompt(form="choice", sampling=COLD)

    near, there = await backend.reply(one), await far.reply(one)
    await far.close()

    assert near.raw == there.raw
    assert near.usage.input_tokens == there.usage.input_tokens
    told = dict(there.logprobs)
    for token, log in near.logprobs:
        if log > -100:
            assert log == pytest.approx(told[token], abs=1e-3)


async def test_a_prompt_that_does_not_fit_is_too_long(backend: VllmEngine) -> None:
    with pytest.raises(PromptTooLong):
        await backend.reply(prompt("word " * 6000, form="choice"))


async def test_a_cancelled_call_leaves_the_engine_in_order(backend: VllmEngine) -> None:
    """A call given up in the middle, and the next is answered."""
    long = Sampling(max_output_tokens=1000, temperature=0.0)
    call = asyncio.create_task(backend.reply(prompt("cancelled", form="brackets", sampling=long)))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    reply = await backend.reply(prompt(form="choice", sampling=COLD))

    assert reply.status is VerdictStatus.OK


async def test_a_closed_engine_leaves_no_process(backend: VllmEngine) -> None:
    """The last test of this file: closing twice is fine, and nothing of the engine runs on; the server is another's."""
    await backend.close()
    await backend.close()

    mine = os.getpgid(0)
    left = [
        child
        for child in psutil.Process().children(recursive=True)
        if os.getpgid(child.pid) == mine and "VLLM" in child.name()
    ]
    gone, alive = psutil.wait_procs(left, timeout=30)
    assert (len(gone), alive) == (len(left), [])
