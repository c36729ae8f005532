"""Runs through a provider's batch API: what is submitted, found again, collected, retried and cancelled."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from judge.app.judges import ConfiguredJudges
from judge.config.settings import JudgeSettings
from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import ItemState
from judge.domain.run import Budget, RunState
from judge.domain.verdict import CallKey, Shown
from judge.execution.batch_runner import custom_id
from judge.execution.judge_call import Work
from judge.execution.run_executor import Execution
from judge.ports.records import BatchState, VerdictQuery
from judge.prompts.rubrics import RUBRICS
from judge.store import schema
from support.clocks import QuickClock
from support.demo_data import settings
from support.example_prompts import right_answer
from support.in_process_service import PLANNED, TENANT, InProcessService
from support.provider import KEY, Provider, ProviderCall
from support.provider_server import anthropic_url, serving_provider

PRICE = {"input": 2.0, "output": 8.0, "cached_input": 1.0, "batch": 0.5}


@pytest.fixture(params=["openai", "anthropic"])
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FAR_KEY", KEY)
    return str(request.param)


def judges(vendor: str, url: str) -> ConfiguredJudges:
    """Configure the judge `far` to call *vendor* at *url*."""
    address = url if vendor == "openai" else anthropic_url(url)
    options = {"backend": vendor, "model": "m", "base_url": address, "rubric": "brackets", "key_env": "FAR_KEY"}
    far = JudgeSettings.model_validate({**options, "price": PRICE, "batch": True})
    return ConfiguredJudges(settings(far=far), QuickClock())


@asynccontextmanager
async def service(file: Path, vendor: str, url: str) -> AsyncIterator[InProcessService]:
    """Start a service on *file*, with what an earlier process left there."""
    started = InProcessService(file, judges(vendor, url), QuickClock())
    await started.engine.start()
    yield started
    with contextlib.suppress(asyncio.CancelledError):
        await started.engine.close()
    await started.store.close()
    await started.judges.close()


async def test_a_run_in_batches_has_every_verdict_at_the_price_of_batches(tmp_path: Path, vendor: str) -> None:
    """The run makes one call per presentation in one batch at half the cost, and reports that it waits."""
    provider = Provider(right_answer)
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
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
    """Failed and expired items are tried again; those that never succeed are reported and cost nothing."""
    provider = Provider(right_answer, auto_finish=True)

    def spoiled(name: str) -> str:
        if name < "0":
            return "errored"
        return "expired" if len(provider.batches) == 1 and name < "G" else ""

    provider.spoiled = spoiled
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin())

    names = {item["custom_id"] for item in provider.batches[0].items}
    never = {name for name in names if name < "0"}
    again = {name for name in names if name < "G"}
    assert [len(batch.items) for batch in provider.batches] == [PLANNED, len(again), len(never)][: 3 if never else 2]
    expected = {"ok": PLANNED - len(never)} | ({"transport_error": len(never)} if never else {})
    assert (done.state, done.counts.by_status) == (RunState.DONE, expected)
    assert done.counts.calls == PLANNED - len(never)


async def test_results_that_cannot_be_read_are_requested_again(tmp_path: Path, vendor: str) -> None:
    """If the provider fails while a batch is collected, the results are requested again and nothing counts twice."""
    provider = Provider(right_answer, auto_finish=True, broken_results=2)
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin())

    assert provider.broken_results == 0
    assert (len(provider.batches), done.counts.by_status, done.counts.calls) == (1, {"ok": PLANNED}, PLANNED)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_law_4_a_process_killed_at_submission_finds_its_batch_again(
    tmp_path: Path, vendor: str, moment: str
) -> None:
    """The batch is submitted and paid once, whether the process dies before or after the provider gets it."""
    provider = Provider(right_answer)
    reached = asyncio.Event()

    async def killed() -> None:
        reached.set()
        await asyncio.sleep(3600)

    setattr(provider, f"{moment}_submit", killed)
    async with serving_provider(provider) as url:
        first = InProcessService(tmp_path / "judge.db", judges(vendor, url), QuickClock())
        await first.engine.start()
        run = await first.begin()
        async with asyncio.timeout(30):
            await reached.wait()
        await first.die()
        setattr(provider, f"{moment}_submit", None)
        provider.finish_batches()
        provider.auto_finish = True
        async with service(tmp_path / "judge.db", vendor, url) as h:
            done = await h.ended(run)

    assert len(provider.batches) == 1
    assert (done.state, done.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert (done.counts.calls, done.counts.repeated) == (PLANNED, 0)


async def test_a_run_with_an_undecided_batch_waits_and_never_submits_it_again(tmp_path: Path, vendor: str) -> None:
    """If only results identify a batch that the provider may have, the run waits as BATCH_UNDECIDED."""
    provider = Provider(right_answer)
    reached = asyncio.Event()

    async def killed() -> None:
        reached.set()
        await asyncio.sleep(3600)

    provider.after_submit = killed
    async with serving_provider(provider) as url:
        first = InProcessService(tmp_path / "judge.db", judges(vendor, url), QuickClock())
        await first.engine.start()
        run = await first.begin()
        async with asyncio.timeout(30):
            await reached.wait()
        await first.die()
        provider.after_submit = None
        async with service(tmp_path / "judge.db", vendor, url) as h:
            reason = "BATCH_UNDECIDED" if vendor == "anthropic" else "PROVIDER_BATCH"
            waiting = await h.until(run, lambda now: now.reason == reason)
            sent = len(provider.batches)
            provider.finish_batches()
            done = await h.ended(run)

    assert (waiting.state, sent, len(provider.batches)) == (RunState.WAITING, 1, 1)
    assert (done.counts.by_status, done.counts.calls, done.counts.repeated) == ({"ok": PLANNED}, PLANNED, 0)


async def test_the_intent_is_stored_before_anything_is_sent(tmp_path: Path, vendor: str) -> None:
    """Before a batch is submitted its row is stored as SUBMITTING, and each of its calls is reserved."""
    provider = Provider(right_answer)
    seen: list[tuple[int, int]] = []
    a, b = schema.call_attempt, schema.provider_batch
    live = select(func.count()).where(a.c.state == "live", a.c.batch_id.is_not(None))

    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:

        async def record() -> None:
            seen.append(await h.store._db.read(lambda c: (c.scalar(select(b.c.state)) or 0, c.scalar(live) or 0)))

        provider.before_submit = record
        run = await h.begin()
        await h.until(run, lambda now: now.reason == "PROVIDER_BATCH")
        provider.finish_batches()
        await h.ended(run)

    assert seen == [(BatchState.SUBMITTING, PLANNED)]


async def test_a_batch_has_at_most_5000_items_by_default(tmp_path: Path, vendor: str) -> None:
    """A shard of a judge that uses batches is as large as a batch."""
    async with service(tmp_path / "judge.db", vendor, "http://127.0.0.1:9/v1") as h:
        execution = Execution(h.store, h.judges, QuickClock())
        run = await h.begin()
        [partition] = await execution.partitions(TENANT, run.run_id, 0)
        shards = list(replace(partition, last=partition.first + 12_000).shards())
        await h.runs.cancel(TENANT, run.run_id)

    assert [shard.last - shard.first for shard in shards] == [5000, 5000, 2000]


def test_a_custom_id_is_base64url_of_the_keys_sha_256() -> None:
    """An id has 43 characters that every provider accepts; another order, cache tag or repeat gives another id."""
    definition = JudgeDefinition(name="j", backend="openai", rubric=RUBRICS["brackets"], parser="brackets/1", model="m")
    shown = Shown(("q",), ("a",), ("b",))
    work = Work(CallKey(fingerprint=1, prompt=2, turn=1, first=3, second=4), shown)
    digest = shown.key_digest(definition.call_fingerprint(shown), uses_reference=False)
    others = [
        Work(work.key, Shown(("q",), ("b",), ("a",))),
        Work(work.key._replace(cache_tag="again"), shown),
        Work(work.key._replace(repeat=1), shown),
    ]

    name = custom_id(definition, work)

    assert base64.urlsafe_b64decode(name + "=") == digest
    assert re.fullmatch("[a-zA-Z0-9_-]{43}", name)
    assert len({name, *(custom_id(definition, other) for other in others)}) == 4


async def test_a_batch_is_collected_after_the_process_that_submitted_it_died(tmp_path: Path, vendor: str) -> None:
    """The batch's id is stored, so the next process collects it and repeats no call."""
    provider = Provider(right_answer)
    async with serving_provider(provider) as url:
        first = InProcessService(tmp_path / "judge.db", judges(vendor, url), QuickClock())
        await first.engine.start()
        run = await first.begin()
        await first.until(run, lambda now: now.reason == "PROVIDER_BATCH")
        await first.die()
        provider.finish_batches()
        async with service(tmp_path / "judge.db", vendor, url) as h:
            done = await h.ended(run)

    assert len(provider.batches) == 1
    assert (done.counts.by_status, done.counts.calls, done.counts.repeated) == ({"ok": PLANNED}, PLANNED, 0)


async def test_a_cancelled_run_cancels_its_batch_and_keeps_what_was_finished(tmp_path: Path, vendor: str) -> None:
    provider = Provider(right_answer)
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        run = await h.begin()
        await h.until(run, lambda now: now.reason == "PROVIDER_BATCH")
        await h.runs.cancel(TENANT, run.run_id)
        done = await h.ended(run)

    assert provider.batches[0].cancelled
    assert (done.state, done.never_started, done.counts.by_status) == (RunState.CANCELLED, ItemState.CANCELLED, {})


async def test_a_budget_bounds_what_goes_into_a_batch(tmp_path: Path, vendor: str) -> None:
    """A batch has as many items as the budget can pay at their worst cost, and the run reports why it ended."""
    provider = Provider(right_answer, auto_finish=True)
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin(Budget(calls=7)))

    assert [len(batch.items) for batch in provider.batches] == [7]
    assert (done.state, done.reason, done.counts.by_status) == (RunState.DONE, "BUDGET_STOPPED", {"ok": 7})


async def test_a_wrong_key_ends_a_run_in_batches_at_once(
    tmp_path: Path, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_KEY", "another-key-0123456789")
    provider = Provider(right_answer)
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin())

    assert (done.state, done.reason, done.counts.calls) == (RunState.FAILED, "JUDGE_UNUSABLE", 0)
    assert "401" in done.message
    assert provider.batches == []


@pytest.mark.parametrize(
    ("spoiled", "words"), [("errored", "the endpoint answered"), ("expired", "the batch ended before")]
)
async def test_an_item_that_no_batch_finishes_says_why(tmp_path: Path, vendor: str, spoiled: str, words: str) -> None:
    """After its last batch, its reason has the words about it in that batch."""
    provider = Provider(right_answer, auto_finish=True, spoiled=lambda _: spoiled)
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin())
        rows = await h.store.verdicts(done.row, VerdictQuery(), after=-1, limit=1)

    assert rows[0].state is ItemState.TRANSPORT_ERROR
    assert rows[0].reason.startswith(words)


class Breaking(Provider):
    """A provider that answers each item of a batch with a bill and an error of its own."""

    def reply(self, asked: ProviderCall, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # as in Provider
        usage = {"prompt_tokens": 500, "completion_tokens": 5, "cost": 0.7}
        return {"error": {"code": 500, "message": "the model is broken"}, "usage": usage}


async def test_a_budget_stop_names_what_batches_did_not_finish(tmp_path: Path, vendor: str) -> None:
    """Each presentation that was paid for without a verdict has a row; the others were never started, as in any run."""
    provider = Breaking(right_answer, auto_finish=True)
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin(Budget(calls=7)))
        rows = await h.store.verdicts(done.row, VerdictQuery(), after=-1, limit=100)

    assert (done.reason, done.counts.calls, done.never_started) == ("BUDGET_STOPPED", 7, ItemState.BUDGET_STOPPED)
    assert done.counts.by_status == {"budget_stopped": 7}
    assert {row.state for row in rows} == {ItemState.BUDGET_STOPPED}
    begin = "1 batch without a result for it; the last one: "
    assert [row.reason[: len(begin)] for row in rows] == [begin] * 7


async def test_items_that_no_batch_finishes_for_free_do_not_keep_a_budget_waiting(tmp_path: Path, vendor: str) -> None:
    """They fail after as many batches as ever, although others wait for the budget; then those are called."""
    first: set[str] = set()
    provider = Provider(right_answer, auto_finish=True)

    def spoiled(name: str) -> str:
        if len(provider.batches) == 1:
            first.add(name)
        return "errored" if name in first else ""

    provider.spoiled = spoiled
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin(Budget(calls=3)))

    assert [len(batch.items) for batch in provider.batches] == [3] * 4
    assert (done.reason, done.counts.by_status) == ("BUDGET_STOPPED", {"ok": 3, "transport_error": 3})


class Denying(Provider):
    """A provider that answers each item of a batch with a bill and an error about the account."""

    def reply(self, asked: ProviderCall, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  # as in Provider
        usage = {"prompt_tokens": 500, "completion_tokens": 5, "cost": 0.7}
        return {"error": {"code": 402, "message": "insufficient credits"}, "usage": usage}


async def test_the_bill_of_a_denial_in_a_batch_is_booked(tmp_path: Path, vendor: str) -> None:
    """Every denied item is a call, and costs what the provider says."""
    provider = Denying(right_answer, auto_finish=True)
    async with serving_provider(provider) as url, service(tmp_path / "judge.db", vendor, url) as h:
        done = await h.ended(await h.begin())

    assert (done.state, done.reason, len(provider.batches)) == (RunState.FAILED, "JUDGE_UNUSABLE", 1)
    assert (done.counts.calls, done.counts.repeated, done.cost_micros) == (PLANNED, PLANNED, PLANNED * 700_000)
