"""The backend `vllm` works with a real server."""

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
    """The only form of answer that a grammar can force from random weights."""
    return "choice"


@pytest.fixture
async def backend(served: Served) -> AsyncIterator[Vllm]:
    client = Vllm("judge", Endpoint(served.url, KEY), weights=served.weights)
    yield client
    await client.close()


async def running_requests(served: Served) -> float:
    """Return how many requests the server is working on, from its metrics, which need no key."""
    async with aiohttp.ClientSession() as session, session.get(f"{served.root}/metrics") as response:
        lines = (await response.text()).splitlines()
    counts = [line for line in lines if line.startswith("vllm:num_requests_running")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counts)


async def test_a_choice_is_one_token_with_probabilities_that_add_up(backend: Vllm) -> None:
    """The grammar allows only A, B and C, and the probabilities are normalized over them."""
    reply = await backend.reply(prompt(form="choice", sampling=SHORT))

    parsed_verdict = parse(own_parser(CHOICE), reply)
    assert reply.raw in {"A", "B", "C"}
    assert reply.usage.output_tokens <= 2
    assert parsed_verdict.probability_first is not None
    assert 0 <= parsed_verdict.probability_first <= 1
    assert {token for token, logprob in reply.logprobs if logprob > -100} == {"A", "B", "C"}


async def test_the_same_call_has_the_same_answer(backend: Vllm) -> None:
    """At temperature 0 in float32, the answer does not depend on other calls at the same time."""
    rendered = prompt(form="choice", sampling=SHORT)
    alone = await backend.reply(rendered)

    together = await asyncio.gather(*(backend.reply(rendered) for _ in range(30)))

    assert {reply.raw for reply in together} == {alone.raw}


async def test_a_reasoned_answer_follows_its_schema(backend: Vllm) -> None:
    """Constrained random weights write JSON, up to the output budget."""
    reply = await backend.reply(prompt(form="reasoned", sampling=Sampling(max_output_tokens=60, temperature=0.0)))

    assert reply.raw.lstrip().startswith("{")
    assert '"critique"' in reply.raw[:40]
    assert reply.status in {VerdictStatus.OK, VerdictStatus.TRUNCATED}


async def test_free_text_is_cut_off_at_the_output_budget(backend: Vllm) -> None:
    """A reply that reaches the budget has the status truncated."""
    reply = await backend.reply(prompt(form="brackets", sampling=SHORT))

    assert (reply.status, reply.usage.output_tokens) == (VerdictStatus.TRUNCATED, 16)


async def test_a_common_prefix_is_read_from_the_cache(backend: Vllm) -> None:
    """The system message comes first, so the next prompt reads its tokens from the cache."""
    await backend.reply(prompt("one answer", "another", form="choice", sampling=SHORT))

    reply = await backend.reply(prompt("a third answer", "a fourth", form="choice", sampling=SHORT))

    assert reply.usage.cached_input_tokens > reply.usage.input_tokens // 2


async def test_other_weights_are_refused(served: Served) -> None:
    """The server names its weights; other weights under the same name are refused before the first call."""
    backend = Vllm("judge", Endpoint(served.url, KEY))
    folder, _, digest = (await backend.weights()).partition("#sha256:")
    await backend.close()
    assert (folder, len(digest)) == (served.weights, 32)

    other = Vllm("judge", Endpoint(served.url, KEY), weights="/models/another")
    with pytest.raises(JudgeUnusable, match="another"):
        await other.reply(prompt(form="choice"))
    await other.close()


@pytest.mark.parametrize(("name", "key", "status"), [("judge", "wrong", "401"), ("nobody", KEY, "404")])
async def test_a_wrong_key_or_model_makes_the_judge_unusable(served: Served, name: str, key: str, status: str) -> None:
    """The error has the status of the server's answer."""
    backend = Vllm(name, Endpoint(served.url, key))

    with pytest.raises(JudgeUnusable, match=status):
        await backend.reply(prompt(form="choice"))
    await backend.close()


async def test_a_prompt_that_does_not_fit_is_too_long(backend: Vllm) -> None:
    """The error of the call does not quote the prompt."""
    with pytest.raises(PromptTooLong) as caught:
        await backend.reply(prompt("word " * 6000, form="choice"))

    assert "word word" not in caught.value.message


async def test_cancelled_calls_leave_the_server_free(backend: Vllm, served: Served) -> None:
    """After 20 calls are canceled, the server stops working on them and answers the next call."""
    long = Sampling(max_output_tokens=3000, temperature=0.0)
    calls = [asyncio.create_task(backend.reply(prompt(f"{n}", form="brackets", sampling=long))) for n in range(20)]
    deadline = time.monotonic() + 60
    while await running_requests(served) < 5:
        assert time.monotonic() < deadline
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    reply = await backend.reply(prompt(form="choice", sampling=SHORT))

    assert reply.status is VerdictStatus.OK
    while await running_requests(served):
        assert time.monotonic() < deadline


async def test_a_full_queue_is_a_transport_failure(model: Path, tmp_path: Path) -> None:
    """A server that runs one request and queues one answers further requests with 503; they can be retried."""
    with serving(model, tmp_path / "small.log", "--max-num-seqs", "1", "--max-num-queued-reqs", "1") as small:
        backend = Vllm("judge", Endpoint(small.url, KEY))
        long = Sampling(max_output_tokens=300, temperature=0.0)
        calls = [backend.reply(prompt(f"{n}", form="brackets", sampling=long)) for n in range(12)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await backend.close()

    errors = [outcome for outcome in outcomes if isinstance(outcome, TransportFailed)]
    assert errors
    assert len(errors) < len(outcomes)
    assert all("503" in error.message and not error.maybe_paid for error in errors)
