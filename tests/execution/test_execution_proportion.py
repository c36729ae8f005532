"""Failures are handled in proportion: a slow judge, a throttled account and a prompt that always fails."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from judge.app.judges import ConfiguredJudges
from judge.backends.scripted import Line, Scripted
from judge.config.settings import JudgeSettings
from judge.domain.errors import TransportFailed
from judge.domain.judge import Limits, RenderedPrompt
from judge.domain.outcome import ItemState
from judge.domain.run import Pairing, Run, RunState
from judge.engines.local import LocalEngine
from judge.execution.cost import ATTEMPTS
from judge.execution.progress import FIRST_SLOW
from judge.execution.rate_limits import THROTTLE_PATIENCE
from judge.execution.slots import Slots
from judge.ports.clock import SystemClock
from judge.ports.records import VerdictQuery
from judge.store.sql_store import SqlStore
from support.clocks import PassingClock, QuickClock, StillClock
from support.demo_data import settings
from support.engine_service import PLANNED, TENANT, EngineService, OneJudge
from support.example_prompts import right_answer
from support.in_process_service import InProcessService
from support.judge_at_work import at_work
from support.provider import Provider, ProviderCall
from support.provider_server import serving_provider

DEADLINE = 0.05


pytestmark = pytest.mark.usefixtures("quick_retries")


async def ended_run(
    backend: Scripted, pairing: Pairing, clock: StillClock, limits: Limits, *, ramp: bool = False
) -> tuple[Run, list[str]]:
    """Execute a run. Returns it, and why its presentations without a verdict have none."""
    known = OneJudge(backend)
    known.card = replace(known.card, limits=limits)
    known.judge = replace(at_work(known.card, backend, clock), slots=Slots(limits.concurrency, ramp=ramp))
    store = SqlStore.open("sqlite://", clock=SystemClock())
    engine = LocalEngine(store, known, clock)
    service = EngineService(store=store, backend=backend, engine=engine, judges=known)
    await service.fill()
    ended = await service.ended(await service.begin(pairing=pairing))
    rows = await store.verdicts(ended.row, VerdictQuery(), after=-1, limit=1000)
    await engine.close()
    await store.close()
    return ended, [row.reason for row in rows if row.state is ItemState.TRANSPORT_ERROR]


@pytest.mark.parametrize(("prompts", "calls"), [(0, FIRST_SLOW), (1, 6)])
async def test_a_run_stops_if_its_first_calls_are_all_slower_than_the_deadline(prompts: int, calls: int) -> None:
    """Ten of them, or all of the run if there are fewer, and the message names the setting."""
    backend = Scripted([], gate=asyncio.Event())

    ended, _ = await ended_run(
        backend, Pairing(prompts=prompts), QuickClock(), Limits(deadline_seconds=DEADLINE, concurrency=1)
    )

    assert (ended.state, ended.reason) == (RunState.FAILED, "TOO_SLOW")
    assert "slower than deadline_seconds = 0.05" in ended.message
    assert backend.calls == calls


@pytest.mark.parametrize(("concurrency", "ramp"), [(8, True), (64, True), (64, False), (1, False)])
@pytest.mark.parametrize(("prompts", "calls"), [(0, FIRST_SLOW), (2, FIRST_SLOW), (1, 6)])
async def test_no_slow_presentation_is_called_twice_before_the_run_stops(
    prompts: int, calls: int, concurrency: int, *, ramp: bool
) -> None:
    """Of twelve presentations, ten are paid for, however many calls may be in flight."""
    backend = Scripted([], gate=asyncio.Event())

    ended, _ = await ended_run(
        backend,
        Pairing(prompts=prompts),
        QuickClock(),
        Limits(deadline_seconds=DEADLINE, concurrency=concurrency),
        ramp=ramp,
    )

    assert (ended.counts.planned, ended.state, ended.reason) == (6 * prompts or PLANNED, RunState.FAILED, "TOO_SLOW")
    assert (backend.calls, ended.counts.calls) == (calls, calls)


async def test_calls_that_are_slow_after_an_answer_fail_one_by_one() -> None:
    """Each has the deadline as its reason, and the run goes on with the others."""
    gate = asyncio.Event()
    gate.set()

    def script(_: RenderedPrompt) -> Line:
        if backend.calls == 1:
            gate.clear()
        return "[[A]]"

    backend = Scripted(script, gate=gate)
    ended, reasons = await ended_run(
        backend, Pairing(prompts=1), QuickClock(), Limits(deadline_seconds=DEADLINE, concurrency=1)
    )

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": 1, "transport_error": 5})
    words = "slower than deadline_seconds = 0.05"
    assert ended.message == f"5 presentations have no verdict. The first one: {words}"
    assert set(reasons) == {words}


async def test_a_judge_that_is_throttled_all_the_time_fails_nothing_for_a_day() -> None:
    """The run waits in the provider's words, makes few calls, and gives up once every daily quota must be renewed."""
    clock = PassingClock(haste=60.0)
    began = clock.time
    seen: set[str] = set()

    def script(_: RenderedPrompt) -> Line:
        return TransportFailed("a daily quota is used up: 429", retry_after=600.0, throttled=True, daily=True)

    backend = Scripted(script)
    known = OneJudge(backend)
    known.judge = at_work(known.card, backend, clock)
    store = SqlStore.open("sqlite://", clock=SystemClock())
    service = EngineService(store=store, backend=backend, engine=LocalEngine(store, known, clock), judges=known)
    await service.fill()
    run = await service.begin()
    async with asyncio.timeout(60):
        while not (now := await store.run(TENANT, run.run_id)).state.ended:
            if now.state is RunState.WAITING:
                seen.add(re.sub(r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d UTC", "T", now.message))
                assert "transport_error" not in now.counts.by_status or clock.time > began + THROTTLE_PATIENCE
            await asyncio.sleep(0)
    await service.engine.close()
    await store.close()

    rest = "judge 'j' allows no more calls until T: a daily quota is used up: 429. The run continues by itself then"
    assert seen == {f"{rest}; if no call is answered until T, what is not judged fails"}
    assert (now.state, now.reason) == (RunState.FAILED, "TOO_MANY_FAILED")
    assert THROTTLE_PATIENCE <= clock.time - began <= THROTTLE_PATIENCE + 3600
    assert backend.calls <= 4 * (THROTTLE_PATIENCE / 600 + 20)


async def test_one_presentation_that_is_always_throttled_fails() -> None:
    """Where the provider answers the others, a 429 for one of them is no limit of the account."""
    words = " on p7"
    backend = Scripted(
        lambda prompt: (
            TransportFailed("429", retry_after=600.0, throttled=True)
            if words in prompt.messages[-1].content
            else "[[A]]"
        )
    )

    ended, _ = await ended_run(backend, Pairing(), PassingClock(haste=60.0), Limits(deadline_seconds=60.0))

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED - 6, "transport_error": 6})


@pytest.mark.parametrize(("retry_after", "calls"), [(None, ATTEMPTS), (0.0, ATTEMPTS), (10.0, 3), (60.0, 2)])
async def test_a_delay_that_failures_name_is_kept_within_reason(retry_after: float | None, calls: int) -> None:
    """A prompt that always meets a 500 waits for 12 seconds in each of three rounds, whatever its Retry-After says."""
    backend = Scripted(lambda _: TransportFailed("500", retry_after=retry_after))

    ended, _ = await ended_run(backend, Pairing(prompts=1), PassingClock(), Limits(concurrency=1))

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"transport_error": 6})
    assert backend.calls == 6 * 3 * calls


async def test_an_outage_names_its_endpoint_its_beginning_and_its_end(tmp_path: Path) -> None:
    """A run that waits says which endpoint, since when, why, what happens next and when it gives up."""
    clock = PassingClock()

    def down(_: ProviderCall, __: int) -> str:
        return "cut" if clock.time < 1000 + 600 else ""

    async with serving_provider(Provider(right_answer, key="", faults=down)) as url:
        far = JudgeSettings(backend="openai", model="m", base_url=url, rubric="brackets")
        service = InProcessService(tmp_path / "judge.db", ConfiguredJudges(settings(far=far), clock), clock)
        waiting = await service.until(await service.begin(), lambda now: now.state is RunState.WAITING)
        await service.die()

    assert waiting.message == (
        f"judge 'far' at {url} has given no answer since 00:16 UTC: the connection was closed before an answer came. "
        "It is tried again every 30 seconds until 01:16 UTC; after that, what is not judged fails"
    )
