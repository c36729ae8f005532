"""The batch APIs of both vendors, through their SDKs against the fake provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from judge.backends.anthropic import Anthropic
from judge.backends.http import Endpoint
from judge.backends.openai import OpenAI
from judge.domain.errors import CallFailed, JudgeUnusable, TransportFailed
from judge.domain.verdict import Reply
from judge.ports.backend import BatchBackend, BatchItem, BatchUndecided
from support.example_prompts import prompt, right_answer
from support.provider import KEY, Batch, Provider
from support.provider_server import anthropic_url, serving_provider

MAKE: Mapping[str, Callable[[str, str], OpenAI | Anthropic]] = {
    "anthropic": lambda url, key: Anthropic("m", Endpoint(anthropic_url(url), key)),
    "openai": lambda url, key: OpenAI("m", Endpoint(url, key)),
}
ITEMS = [BatchItem(f"item-{number}", prompt(f"{number} 391")) for number in range(5)]
IDS = [item.custom_id for item in ITEMS]


@pytest.fixture(params=MAKE)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def at(vendor: str, provider: Provider, key: str = KEY) -> AsyncIterator[BatchBackend]:
    async with serving_provider(provider) as url:
        backend = MAKE[vendor](url, key)
        assert isinstance(backend, BatchBackend)
        try:
            yield backend
        finally:
            await backend.close()


async def collected(backend: BatchBackend, batch: str) -> dict[str, Reply | CallFailed]:
    return {name: outcome async for name, outcome in backend.results(batch)}


async def test_a_batch_is_submitted_waited_for_and_collected(vendor: str) -> None:
    """Each item comes back under its own id, in whatever order, with its usage."""
    provider = Provider(right_answer)
    async with at(vendor, provider) as backend:
        batch = await backend.submit(ITEMS, "mark")
        before = await backend.progress(batch)
        provider.finish_batches()
        after = await backend.progress(batch)
        outcomes = await collected(backend, batch)

    assert (before.ended, before.finished, after.ended, after.finished) == (False, 0, True, 5)
    assert sorted(outcomes) == IDS
    for outcome in outcomes.values():
        assert isinstance(outcome, Reply)
        assert outcome.raw == "So: [[A]]"
        assert outcome.usage.input_tokens > outcome.usage.cached_input_tokens > 0


async def test_what_a_batch_did_not_finish_is_a_transport_failure(vendor: str) -> None:
    """Failed and expired items are said by id; the others stand."""
    wrong = {"item-1": "errored", "item-3": "expired"}
    provider = Provider(right_answer, spoiled=lambda name: wrong.get(name, ""))
    async with at(vendor, provider) as backend:
        batch = await backend.submit(ITEMS, "mark")
        provider.finish_batches()
        outcomes = await collected(backend, batch)

    failed = {name for name, outcome in outcomes.items() if isinstance(outcome, TransportFailed)}
    assert failed == set(wrong)
    assert sum(isinstance(outcome, Reply) for outcome in outcomes.values()) == 3


async def test_a_cancelled_batch_ends_and_gives_what_it_has(vendor: str) -> None:
    provider = Provider(right_answer)
    async with at(vendor, provider) as backend:
        batch = await backend.submit(ITEMS, "mark")
        await backend.cancel(batch)
        ended = [(await backend.progress(batch)).ended for _ in range(2)]
        outcomes = await collected(backend, batch)

    assert ended == [False, True]
    assert sorted(outcomes) == IDS
    assert all(isinstance(outcome, TransportFailed) for outcome in outcomes.values())


async def test_a_batch_is_found_again_and_never_one_of_others(vendor: str) -> None:
    """By its mark, or where the provider keeps none, by what is in it once it has ended."""
    provider = Provider(right_answer)
    others = [BatchItem(f"other-{number}", prompt(f"{number}")) for number in range(5)]
    async with at(vendor, provider) as backend:
        nothing = await backend.find("mark", IDS, 0.0, set())
        other = await backend.submit(others, "another mark")
        batch = await backend.submit(ITEMS, "mark")
        if vendor == "anthropic":
            with pytest.raises(BatchUndecided):
                await backend.find("mark", IDS, 0.0, set())
        provider.finish_batches()
        found = await backend.find("mark", IDS, 0.0, set())
        lost = await backend.find("a third mark", ["third"], 0.0, {other, batch})

    assert (nothing, found, lost) == ("", batch, "")


async def test_a_batch_is_found_behind_many_others(vendor: str) -> None:
    """The provider lists a hundred at a time, the newest first."""
    provider = Provider(right_answer)
    async with at(vendor, provider) as backend:
        batch = await backend.submit(ITEMS, "mark")
        for number in range(230):
            other = {"custom_id": f"other-{number}"}
            provider.batches.append(Batch(f"later_{number}", vendor, [other] * len(ITEMS), {"judge_batch": "another"}))
        provider.finish_batches()
        known = {other.id for other in provider.batches if other.id != batch}
        found = await backend.find("mark", IDS, 0.0, known)
        pages = [path for _, path, _ in provider.requests if path.endswith("/batches")]

    assert (found, len(pages)) == (batch, 1 + 3)


async def test_a_wrong_key_makes_the_judge_unusable(vendor: str) -> None:
    wrong = "another-key-0123456789"  # pragma: allowlist secret
    async with at(vendor, Provider(right_answer), wrong) as backend:
        with pytest.raises(JudgeUnusable, match="401") as caught:
            await backend.submit(ITEMS, "mark")

    assert wrong not in caught.value.message
