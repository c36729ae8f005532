"""The batch APIs of both vendors work through their SDKs against the fake provider."""

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


async def collect_results(backend: BatchBackend, batch: str) -> dict[str, Reply | CallFailed]:
    return {name: outcome async for name, outcome in backend.results(batch)}


async def test_a_batch_gives_a_reply_for_each_item(vendor: str) -> None:
    """Each item has a reply under its own id, with its usage, when the batch has ended."""
    provider = Provider(right_answer)
    async with at(vendor, provider) as backend:
        batch = await backend.submit(ITEMS, "mark")
        before = await backend.progress(batch)
        provider.finish_batches()
        after = await backend.progress(batch)
        outcomes = await collect_results(backend, batch)

    assert (before.ended, before.finished, after.ended, after.finished) == (False, 0, True, 5)
    assert sorted(outcomes) == IDS
    for outcome in outcomes.values():
        assert isinstance(outcome, Reply)
        assert outcome.raw == "So: [[A]]"
        assert outcome.usage.input_tokens > outcome.usage.cached_input_tokens > 0


async def test_an_unfinished_item_of_a_batch_is_a_transport_failure(vendor: str) -> None:
    """Failed and expired items have an error under their ids, and the other items have replies."""
    wrong = {"item-1": "errored", "item-3": "expired"}
    provider = Provider(right_answer, spoiled=lambda name: wrong.get(name, ""))
    async with at(vendor, provider) as backend:
        batch = await backend.submit(ITEMS, "mark")
        provider.finish_batches()
        outcomes = await collect_results(backend, batch)

    failed_ids = {name for name, outcome in outcomes.items() if isinstance(outcome, TransportFailed)}
    assert failed_ids == set(wrong)
    assert sum(isinstance(outcome, Reply) for outcome in outcomes.values()) == 3


async def test_a_cancelled_batch_ends_without_its_unfinished_items(vendor: str) -> None:
    """Items that were not finished when the batch was canceled are transport failures."""
    provider = Provider(right_answer)
    async with at(vendor, provider) as backend:
        batch = await backend.submit(ITEMS, "mark")
        await backend.cancel(batch)
        ended = [(await backend.progress(batch)).ended for _ in range(2)]
        outcomes = await collect_results(backend, batch)

    assert ended == [False, True]
    assert sorted(outcomes) == IDS
    assert all(isinstance(outcome, TransportFailed) for outcome in outcomes.values())


async def test_find_returns_the_own_batch_only(vendor: str) -> None:
    """A batch is identified by its mark or, if the provider stores no marks, by its custom ids after it has ended."""
    provider = Provider(right_answer)
    others = [BatchItem(f"other-{number}", prompt(f"{number}")) for number in range(5)]
    async with at(vendor, provider) as backend:
        before = await backend.find("mark", IDS, 0.0, set())
        other = await backend.submit(others, "another mark")
        batch = await backend.submit(ITEMS, "mark")
        if vendor == "anthropic":
            with pytest.raises(BatchUndecided):
                await backend.find("mark", IDS, 0.0, set())
        provider.finish_batches()
        after = await backend.find("mark", IDS, 0.0, set())
        unknown = await backend.find("a third mark", ["third"], 0.0, {other, batch})

    assert (before, after, unknown) == ("", batch, "")


async def test_find_searches_several_pages_of_batches(vendor: str) -> None:
    """The provider lists 100 batches per page, the newest first."""
    provider = Provider(right_answer)
    async with at(vendor, provider) as backend:
        batch = await backend.submit(ITEMS, "mark")
        for number in range(230):
            other = {"custom_id": f"other-{number}"}
            provider.batches.append(
                Batch(
                    id=f"later_{number}", wire=vendor, items=[other] * len(ITEMS), metadata={"judge_batch": "another"}
                )
            )
        provider.finish_batches()
        known = {other.id for other in provider.batches if other.id != batch}
        own_batch = await backend.find("mark", IDS, 0.0, known)
        pages = [path for _, path, _ in provider.requests if path.endswith("/batches")]

    assert (own_batch, len(pages)) == (batch, 1 + 3)


async def test_a_wrong_key_makes_the_judge_unusable(vendor: str) -> None:
    """The error has the status of the provider's answer, and not the key."""
    wrong = "another-key-0123456789"  # pragma: allowlist secret
    async with at(vendor, Provider(right_answer), wrong) as backend:
        with pytest.raises(JudgeUnusable, match="401") as caught:
            await backend.submit(ITEMS, "mark")

    assert wrong not in caught.value.message
