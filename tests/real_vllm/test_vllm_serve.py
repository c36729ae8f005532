"""The backend `vllm` against a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from conftest import KEY, Served, serving
from judge.backends.http import Endpoint
from judge.backends.vllm import Vllm
from judge.domain.errors import JudgeUnusable, PromptTooLong, TransportFailed
from judge.domain.judge import Sampling
from judge.domain.outcome import VerdictStatus
from judge.prompts.parse import own_parser, parse
from judge.prompts.rubrics import CHOICE
from support.backend_contract import (
    test_a_reply_is_parsed_as_one_preference,
    test_capabilities_are_known,
    test_closing_twice_is_fine,
    test_concurrent_calls_are_independent,
)
from support.example_prompts import prompt

__all__ = [
    "test_a_reply_is_parsed_as_one_preference",
    "test_capabilities_are_known",
    "test_closing_twice_is_fine",
    "test_concurrent_calls_are_independent",
]
SHORT = Sampling(max_output_tokens=16, temperature=0.0)


@pytest.fixture
def form() -> str:
    """The only form in which random weights can be made to answer."""
    return "choice"


@pytest.fixture
async def backend(served: Served) -> AsyncIterator[Vllm]:
    one = Vllm("judge", Endpoint(served.url, KEY), weights=served.weights)
    yield one
    await one.close()


async def running_requests(served: Served) -> float:
    """How many requests the server is at, by its own metrics, which need no key."""
    async with aiohttp.ClientSession() as session, session.get(f"{served.root}/metrics") as response:
        lines = (await response.text()).splitlines()
    told = [line for line in lines if line.startswith("vllm:num_requests_running")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in told)


async def test_a_choice_is_one_token_with_probabilities_that_add_up(backend: Vllm) -> None:
    """The grammar leaves A, B and C alone, and renormalises over them."""
    reply = await backend.reply(prompt(form="choice", sampling=SHORT))

    parsed_verdict = parse(own_parser(CHOICE), reply)
    assert reply.raw in {"A", "B", "C"}
    assert reply.usage.output_tokens <= 2
    assert parsed_verdict.probability_first is not None
    assert 0 <= parsed_verdict.probability_first <= 1
    told = dict(reply.logprobs)
    assert {token for token, log in told.items() if log > -100} == {"A", "B", "C"}


async def test_the_same_call_has_the_same_answer(backend: Vllm) -> None:
    """At temperature 0 in float32, alone or among others."""
    one = prompt(form="choice", sampling=SHORT)
    alone = await backend.reply(one)

    among = await asyncio.gather(*(backend.reply(one) for _ in range(30)))

    assert {reply.raw for reply in among} == {alone.raw}


async def test_a_reasoned_answer_is_held_to_its_schema(backend: Vllm) -> None:
    """Random weights write JSON when they are held to it, up to the output budget."""
    reply = await backend.reply(prompt(form="reasoned", sampling=Sampling(max_output_tokens=60, temperature=0.0)))

    assert reply.raw.lstrip().startswith("{")
    assert '"critique"' in reply.raw[:40]
    assert reply.status in {VerdictStatus.OK, VerdictStatus.TRUNCATED}


async def test_free_text_is_cut_off_at_the_output_budget(backend: Vllm) -> None:
    """A reply that ran into the budget says so."""
    reply = await backend.reply(prompt(form="brackets", sampling=SHORT))

    assert (reply.status, reply.usage.output_tokens) == (VerdictStatus.TRUNCATED, 16)


async def test_an_equal_beginning_is_served_from_the_cache(backend: Vllm) -> None:
    """The system message comes first, so that another question about it finds its tokens there."""
    await backend.reply(prompt("one answer", "another", form="choice", sampling=SHORT))

    reply = await backend.reply(prompt("a third answer", "a fourth", form="choice", sampling=SHORT))

    assert reply.usage.cached_input_tokens > reply.usage.input_tokens // 2


async def test_whose_weights_answer_is_asked(served: Served) -> None:
    """The server names them; others under the same name are refused before anything is asked of them."""
    backend = Vllm("judge", Endpoint(served.url, KEY))
    assert await backend.weights() == served.weights
    await backend.close()

    other = Vllm("judge", Endpoint(served.url, KEY), weights="/models/another")
    with pytest.raises(JudgeUnusable, match="another"):
        await other.reply(prompt(form="choice"))
    await other.close()


@pytest.mark.parametrize(("name", "key", "status"), [("judge", "wrong", "401"), ("nobody", KEY, "404")])
async def test_a_wrong_key_or_model_makes_the_judge_unusable(served: Served, name: str, key: str, status: str) -> None:
    """One call tells."""
    backend = Vllm(name, Endpoint(served.url, key))

    with pytest.raises(JudgeUnusable, match=status):
        await backend.reply(prompt(form="choice"))
    await backend.close()


async def test_a_prompt_that_does_not_fit_is_too_long(backend: Vllm) -> None:
    """The server's refusal is that item's, and quotes nothing."""
    with pytest.raises(PromptTooLong) as caught:
        await backend.reply(prompt("word " * 6000, form="choice"))

    assert "word word" not in caught.value.message


async def test_cancelled_calls_leave_the_server_free(backend: Vllm, served: Served) -> None:
    """Twenty calls given up in the middle: the server stops working at them and answers the next."""
    long = Sampling(max_output_tokens=3000, temperature=0.0)
    calls = [asyncio.create_task(backend.reply(prompt(f"{n}", form="brackets", sampling=long))) for n in range(20)]
    until = time.monotonic() + 60
    while await running_requests(served) < 5:
        assert time.monotonic() < until
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    reply = await backend.reply(prompt(form="choice", sampling=SHORT))

    assert reply.status is VerdictStatus.OK
    while await running_requests(served):
        assert time.monotonic() < until


async def test_a_full_queue_is_a_transport_failure(model: Path, tmp_path: Path) -> None:
    """A server with room for one and a queue of one turns others away with 503; they may be tried again."""
    with serving(model, tmp_path / "small.log", "--max-num-seqs", "1", "--max-num-queued-reqs", "1") as small:
        backend = Vllm("judge", Endpoint(small.url, KEY))
        long = Sampling(max_output_tokens=300, temperature=0.0)
        asked = [backend.reply(prompt(f"{n}", form="brackets", sampling=long)) for n in range(12)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        await backend.close()

    refused = [one for one in told if isinstance(one, TransportFailed)]
    assert refused
    assert len(refused) < len(told)
    assert all("503" in one.message and not one.maybe_paid for one in refused)
