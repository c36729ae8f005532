"""A provider that is down: the run waits and reports it, and no presentation fails."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from judge.app.judges import ConfiguredJudges
from judge.config.settings import JudgeSettings
from judge.domain.outcome import ItemState
from judge.domain.run import Run, RunState
from judge.execution.circuit_breaker import DISTINCT, PATIENCE, PROBE_SECONDS
from judge.execution.cost import ATTEMPTS
from judge.ports.records import VerdictQuery
from support.clocks import PassingClock
from support.demo_data import settings
from support.example_prompts import right_answer
from support.in_process_service import PLANNED, InProcessService
from support.provider import KEY, Provider, ProviderCall
from support.provider_server import serving_provider

pytestmark = pytest.mark.usefixtures("quick_retries")


async def through_an_outage(
    file: Path, seconds: float, concurrency: int, haste: float = 1.0
) -> tuple[Provider, list[str], Run]:
    """Execute a run whose provider is down for *seconds* from its tenth call on.

    Returns the provider, the states and reasons that the run went through, and the ended run.
    """
    clock = PassingClock(haste)
    began: list[float] = []

    def down(_: ProviderCall, __: int) -> str:
        if sum(provider.calls.values()) == 10 and not began:
            began.append(clock.time)
        return "cut" if began and clock.time < began[0] + seconds else ""

    provider = Provider(right_answer, key="", faults=down)
    seen = []
    async with serving_provider(provider) as url:
        far = JudgeSettings(backend="openai", model="m", base_url=url, rubric="brackets", concurrency=concurrency)
        h = InProcessService(file, ConfiguredJudges(settings(far=far), clock), clock)
        await h.engine.start()
        run = await h.begin()
        async with asyncio.timeout(60):
            while not (now := await h.store.run("default", run.run_id)).state.ended:
                seen.append(f"{now.state.name} {now.reason}".strip())
                await asyncio.sleep(0)
        await h.engine.close()
        await h.store.close()
        await h.judges.close()
    return provider, seen, now


@pytest.mark.parametrize("concurrency", [1, 16])
async def test_a_provider_that_is_down_for_ten_minutes_is_waited_for(tmp_path: Path, concurrency: int) -> None:
    """The run reports that it waits, probes every half minute, continues by itself, and fails no presentation."""
    provider, seen, run = await through_an_outage(tmp_path / "judge.db", 600, concurrency)

    assert "WAITING PROVIDER_DOWN" in seen
    assert seen[-1].startswith("RUNNING")
    assert (run.state, run.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert provider.faulted["cut"] <= (DISTINCT + concurrency) * ATTEMPTS + 600 / PROBE_SECONDS + 1


async def test_a_run_fails_if_its_provider_stays_down(tmp_path: Path) -> None:
    """After an hour the other presentations fail, with a state that can be tried again."""
    _, _, run = await through_an_outage(tmp_path / "judge.db", PATIENCE * 10, 16, haste=20.0)

    assert (run.state, run.reason) == (RunState.FAILED, "TOO_MANY_FAILED")
    assert run.counts.by_status["ok"] == 9
    assert set(run.counts.by_status) == {"ok", "transport_error"}


async def test_a_run_whose_judge_has_no_credential_waits_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the key is missing, the run reports that it waits; the next process that has the key continues it."""
    provider = Provider(right_answer)
    monkeypatch.setenv("FAR_KEY", KEY)

    def build(url: str) -> InProcessService:
        far = JudgeSettings(backend="openai", model="m", base_url=url, rubric="brackets", key_env="FAR_KEY")
        clock = PassingClock()
        return InProcessService(tmp_path / "judge.db", ConfiguredJudges(settings(far=far), clock), clock)

    async with serving_provider(provider) as url:
        first = build(url)
        run = await first.begin()
        await first.die()
        monkeypatch.delenv("FAR_KEY")
        second = build(url)
        await second.engine.start()
        waiting = await second.until(run, lambda now: now.state is RunState.WAITING)
        await second.die()
        calls = sum(provider.calls.values())
        monkeypatch.setenv("FAR_KEY", KEY)
        third = build(url)
        await third.engine.start()
        done = await third.ended(run)
        await third.die()

    assert (waiting.reason, calls) == ("NO_CREDENTIAL", 0)
    assert "FAR_KEY" in waiting.message
    assert (done.state, done.counts.by_status) == (RunState.DONE, {"ok": PLANNED})


async def test_a_run_waits_for_the_endpoint_that_it_began_with(tmp_path: Path) -> None:
    """A process that asks elsewhere makes no call; the next one that asks at the same endpoint continues the run."""
    near, far = Provider(right_answer, key=""), Provider(right_answer, key="")

    def build(url: str) -> InProcessService:
        judge = JudgeSettings(backend="openai", model="m", base_url=url, rubric="brackets")
        clock = PassingClock()
        return InProcessService(tmp_path / "judge.db", ConfiguredJudges(settings(far=judge), clock), clock)

    async with serving_provider(near) as near_url, serving_provider(far) as far_url:
        first = build(near_url)
        run = await first.begin()
        await first.die()
        before = sum(near.calls.values())
        second = build(far_url)
        await second.engine.start()
        waiting = await second.until(run, lambda now: now.state is RunState.WAITING)
        await second.die()
        third = build(near_url)
        await third.engine.start()
        done = await third.ended(run)
        await third.die()

    assert (waiting.reason, sum(far.calls.values())) == ("NO_ENDPOINT", 0)
    assert near_url in waiting.message
    assert sum(near.calls.values()) >= max(before, 1)
    assert (done.state, done.counts.by_status) == (RunState.DONE, {"ok": PLANNED})


async def test_the_providers_words_are_in_the_rows_and_in_the_runs_message(tmp_path: Path) -> None:
    """Whoever looks at a rejected presentation, or at the run that it stopped, reads what the provider said."""
    provider = Provider(right_answer, key="", faults=lambda *_: "rejected")
    async with serving_provider(provider) as url:
        judge = JudgeSettings(backend="openai", model="m", base_url=url, rubric="brackets")
        clock = PassingClock()
        service = InProcessService(tmp_path / "judge.db", ConfiguredJudges(settings(far=judge), clock), clock)
        run = await service.ended(await service.begin())
        rows = await service.store.verdicts(run.row, VerdictQuery(), after=-1, limit=100)
        await service.die()

    words = "the endpoint answered 400: invalid_request: no"
    assert (run.state, run.reason) == (RunState.FAILED, "TOO_MANY_FAILED")
    assert run.message.endswith(f"The last one: {words}")
    assert {row.reason for row in rows if row.state is ItemState.REJECTED} == {words}
    assert {row.reason for row in rows if row.state is not ItemState.REJECTED} <= {""}


async def test_a_provider_that_names_a_delay_gets_no_call_before(tmp_path: Path) -> None:
    """A provider that asks for five minutes of rest gets no call in that time, and no presentation fails."""
    clock = PassingClock()
    times: list[float] = []

    def limited(_: ProviderCall, __: int) -> str:
        times.append(clock.time)
        return "throttled-long" if len(times) == 10 else ""

    provider = Provider(right_answer, key="", faults=limited)
    async with serving_provider(provider) as url:
        far = JudgeSettings(backend="openai", model="m", base_url=url, rubric="brackets", concurrency=1)
        h = InProcessService(tmp_path / "judge.db", ConfiguredJudges(settings(far=far), clock), clock)
        await h.engine.start()
        run = await h.begin()
        done = await h.ended(run)
        await h.die()

    assert max(after - before for before, after in pairwise(times)) >= 300
    assert len(times) == PLANNED + 1
    assert (done.state, done.counts.by_status) == (RunState.DONE, {"ok": PLANNED})


async def test_presentations_that_always_fail_are_no_outage(tmp_path: Path) -> None:
    """Prompts that always meet a 500 end as transport_error after their rounds, without the patience of an outage."""
    clock = PassingClock()

    def broken(call: ProviderCall, _: int) -> str:
        return "500" if " on p7" in call.user else ""

    provider = Provider(right_answer, key="", faults=broken)
    async with serving_provider(provider) as url:
        far = JudgeSettings(backend="openai", model="m", base_url=url, rubric="brackets", concurrency=4)
        h = InProcessService(tmp_path / "judge.db", ConfiguredJudges(settings(far=far), clock), clock)
        run = await h.ended(await h.begin())
        await h.engine.close()
        await h.store.close()
        await h.judges.close()

    assert (run.state, run.counts.by_status) == (RunState.DONE, {"ok": PLANNED - 6, "transport_error": 6})
    assert clock.time < 1000 + 60
    assert provider.faulted["500"] == 6 * ATTEMPTS * 3
