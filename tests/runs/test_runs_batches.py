"""Runs through a provider's batch API: what is submitted, found again, collected, retried and cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asked import right_answer
from bundle import settings
from clocks import QuickClock
from house import PLANNED, TENANT, House
from judge.app.judges import ConfiguredJudges
from judge.config import JudgeSettings
from judge.domain.outcome import ItemState
from judge.domain.run import Budget, RunState
from provider import KEY, Provider
from provider_server import anthropic_url, provided

PRICE = {"input": 2.0, "output": 8.0, "cached_input": 1.0, "batch": 0.5}


@pytest.fixture(params=["openai", "anthropic"])
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FAR_KEY", KEY)
    return str(request.param)


def judges(vendor: str, url: str) -> ConfiguredJudges:
    """A configuration whose judge `far` asks *vendor* at *url*."""
    address = url if vendor == "openai" else anthropic_url(url)
    said = {"backend": vendor, "model": "m", "base_url": address, "rubric": "brackets", "key_env": "FAR_KEY"}
    far = JudgeSettings.model_validate({**said, "price": PRICE, "batch": True})
    return ConfiguredJudges(settings(far=far), QuickClock())


@asynccontextmanager
async def house(file: Path, vendor: str, url: str) -> AsyncIterator[House]:
    """The house on *file*, with what a process before it left there."""
    made = House(file, judges(vendor, url), QuickClock())
    await made.engine.start()
    yield made
    with contextlib.suppress(asyncio.CancelledError):
        await made.engine.close()
    await made.store.close()
    await made.judges.close()


async def test_a_run_in_batches_has_every_verdict_at_the_price_of_batches(tmp_path: Path, vendor: str) -> None:
    """One batch, one call a showing, half the cost, and the run waits for the provider and says so."""
    provider = Provider(right_answer)
    async with provided(provider) as url, house(tmp_path / "judge.db", vendor, url) as h:
        run = await h.begin()
        waiting = await h.until(run, lambda now: now.state is RunState.WAITING)
        provider.finish_batches()
        done = await h.ended(run)

    batch = provider.batches[0]
    names = [item["custom_id"] for item in batch.items]
    spent = done.spent[0]
    exact = spent.output_tokens * 8 + spent.cached_input_tokens * 1
    exact += (spent.input_tokens - spent.cached_input_tokens) * 2
    assert (waiting.reason, len(provider.batches), len(set(names))) == ("PROVIDER_BATCH", 1, PLANNED)
    assert all(len(name) == 43 for name in names)
    assert (done.state, done.counts.by_status, done.counts.calls) == (RunState.DONE, {"ok": PLANNED}, PLANNED)
    assert exact / 2 <= done.cost_micros <= exact / 2 + PLANNED


async def test_what_a_batch_did_not_finish_goes_into_another(tmp_path: Path, vendor: str) -> None:
    """Failed and expired items are tried again; those that never succeed are said, and nothing of them is paid."""
    provider = Provider(right_answer, auto_finish=True)

    def spoiled(name: str) -> str:
        if name < "0":
            return "errored"
        return "expired" if len(provider.batches) == 1 and name < "G" else ""

    provider.spoiled = spoiled
    async with provided(provider) as url, house(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin())

    names = {item["custom_id"] for item in provider.batches[0].items}
    never = {name for name in names if name < "0"}
    again = {name for name in names if name < "G"}
    assert [len(batch.items) for batch in provider.batches] == [PLANNED, len(again), len(never)][: 3 if never else 2]
    expected = {"ok": PLANNED - len(never)} | ({"transport_error": len(never)} if never else {})
    assert (done.state, done.counts.by_status) == (RunState.DONE, expected)
    assert done.counts.calls == PLANNED - len(never)


async def test_results_that_cannot_be_had_are_asked_for_again(tmp_path: Path, vendor: str) -> None:
    """A provider that fails while a batch is collected is asked again, and nothing counts twice."""
    provider = Provider(right_answer, auto_finish=True, broken_results=2)
    async with provided(provider) as url, house(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin())

    assert provider.broken_results == 0
    assert (len(provider.batches), done.counts.by_status, done.counts.calls) == (1, {"ok": PLANNED}, PLANNED)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_law_4_a_process_killed_at_submission_finds_its_batch_again(
    tmp_path: Path, vendor: str, moment: str
) -> None:
    """Killed before the provider took it, it is submitted once; killed after, it is found and paid once."""
    provider = Provider(right_answer)
    reached = asyncio.Event()

    async def killed() -> None:
        reached.set()
        await asyncio.sleep(3600)

    setattr(provider, f"{moment}_submit", killed)
    async with provided(provider) as url:
        first = House(tmp_path / "judge.db", judges(vendor, url), QuickClock())
        await first.engine.start()
        run = await first.begin()
        async with asyncio.timeout(30):
            await reached.wait()
        await first.die()
        setattr(provider, f"{moment}_submit", None)
        provider.finish_batches()
        provider.auto_finish = True
        async with house(tmp_path / "judge.db", vendor, url) as h:
            done = await h.ended(run)

    assert len(provider.batches) == 1
    assert (done.state, done.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert (done.counts.calls, done.counts.repeated) == (PLANNED, 0)


async def test_a_process_killed_while_a_batch_is_at_work_collects_it_later(tmp_path: Path, vendor: str) -> None:
    """The batch's id is stored, and its calls are nobody else's."""
    provider = Provider(right_answer)
    async with provided(provider) as url:
        first = House(tmp_path / "judge.db", judges(vendor, url), QuickClock())
        await first.engine.start()
        run = await first.begin()
        await first.until(run, lambda now: now.reason == "PROVIDER_BATCH")
        await first.die()
        provider.finish_batches()
        async with house(tmp_path / "judge.db", vendor, url) as h:
            done = await h.ended(run)

    assert len(provider.batches) == 1
    assert (done.counts.by_status, done.counts.calls, done.counts.repeated) == ({"ok": PLANNED}, PLANNED, 0)


async def test_a_cancelled_run_cancels_its_batch_and_keeps_what_was_finished(tmp_path: Path, vendor: str) -> None:
    provider = Provider(right_answer)
    async with provided(provider) as url, house(tmp_path / "judge.db", vendor, url) as h:
        run = await h.begin()
        await h.until(run, lambda now: now.reason == "PROVIDER_BATCH")
        await h.runs.cancel(TENANT, run.run_id)
        done = await h.ended(run)

    assert provider.batches[0].cancelled
    assert (done.state, done.rest, done.counts.by_status) == (RunState.CANCELLED, ItemState.CANCELLED, {})


async def test_a_budget_bounds_what_goes_into_a_batch(tmp_path: Path, vendor: str) -> None:
    """As many items as the budget can pay at their worst, and the run says why it ended."""
    provider = Provider(right_answer, auto_finish=True)
    async with provided(provider) as url, house(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin(Budget(calls=7)))

    assert [len(batch.items) for batch in provider.batches] == [7]
    assert (done.state, done.reason, done.counts.by_status) == (RunState.DONE, "BUDGET_STOPPED", {"ok": 7})


async def test_a_wrong_key_ends_a_run_in_batches_at_once(
    tmp_path: Path, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_KEY", "another-key-0123456789")
    provider = Provider(right_answer)
    async with provided(provider) as url, house(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin())

    assert (done.state, done.reason, done.counts.calls) == (RunState.FAILED, "JUDGE_UNUSABLE", 0)
    assert "401" in done.message
    assert provider.batches == []
