"""Orderly ends: a run is cancelled, and processes get SIGTERM."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient
from support.call_journal import fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, running_service
from support.watched_run import RunWatcher, current_run, start_run, verdicts

SEEN_SECONDS = 2.0
"""The time within which every process sees a cancellation."""
SLOWEST = 2.0
GRACE = 5.0
"""Seconds beyond a call's deadline within which a process exits after SIGTERM."""


async def test_a_cancelled_run_makes_no_new_call(kind: Kind, folder: Path, calls: int, say: Say) -> None:
    """After a cancellation at 40 %, no call begins later than 2 s, and every paid verdict is stored and readable."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder) as fake,
        running_service(kind(folder, JudgeConfig(fake.url))) as service,
    ):
        run = await start_run(service.address, calls)
        await fake.wait_for_calls(calls * 4 // 10)
        async with JudgeClient(service.address) as client:
            cancelled_at = time.monotonic()
            await client.cancel_run(run)
        ended = await RunWatcher().watch(service.address, run)
        await asyncio.sleep(SEEN_SECONDS + 1.0)
        kept = await verdicts(service.address, run)
        late, after = fake.read().begun_after(cancelled_at + SEEN_SECONDS), fake.begun_after(cancelled_at)

    lost = fake.answered - len(kept)
    say(f"lost {lost} repeated {fake.repeated} (at most 0), {after} calls after the cancellation, {late} after 2 s")
    assert (ended.state, late, lost, fake.repeated) == (pb.RUN_STATE_CANCELLED, 0, 0, 0)
    assert len(kept) < calls
    assert ended.counts.by_status["cancelled"] == calls - len(kept)


async def test_sigterm_finishes_what_is_in_flight(kind: Kind, folder: Path, say: Say) -> None:
    """Every process gets SIGTERM twice in a run and exits in time with 0; no call is lost or repeated."""
    calls, judged_in = 300, 5.0
    codes, waits = [], []
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=SLOWEST) as fake,
        running_service(kind(folder, JudgeConfig(fake.url, 32, deadline=judged_in))) as service,
    ):
        run = await start_run(service.address, calls)
        for moment in (calls // 3, calls * 2 // 3):
            await fake.wait_for_calls(moment)
            for child in {child.name: child for child in (*service.workers, *service.fronts)}.values():
                asked_at = time.monotonic()
                child.ask_to_end()
                codes.append(await child.wait_for_exit(judged_in + GRACE + SLOWEST))
                waits.append(time.monotonic() - asked_at)
                await child.start()
        ended = await RunWatcher().watch(service.address, run)
        kept = await verdicts(service.address, run)
        now = await current_run(service.address, run)

    lost, longest = calls - len(kept), max(waits)
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), ended after {longest:.1f} s at the most")
    assert set(codes) == {0}
    assert longest <= judged_in + GRACE
    assert (now.counts.calls, now.counts.repeated) == (fake.calls.total(), fake.repeated)
    assert (lost, fake.repeated, now.counts.repeated) == (0, 0, 0)
    assert (ended.state, fake.calls.total()) == (pb.RUN_STATE_DONE, calls)
