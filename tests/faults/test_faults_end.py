"""What was told to end: a run that is cancelled, processes that are asked to finish what they are at."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient
from support.call_journal import faked
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, standing
from support.watched_run import Watched, begun, present, verdicts

SEEN_SECONDS = 2.0
"""A cancellation is seen by every process within so long."""
SLOWEST = 2.0
GRACE = 5.0
"""Seconds beside a call's deadline within which a process ends that was asked to."""


async def test_a_cancelled_run_makes_no_new_call(kind: Kind, folder: Path, calls: int, say: Say) -> None:
    """Cancelled at 40 %: no call begins later than 2 s after that, and what was paid is stored and readable."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        standing(kind(folder, JudgeConfig(fake.url))) as service,
    ):
        run = await begun(service.address, calls)
        await fake.reached(calls * 4 // 10)
        async with JudgeClient(service.address) as client:
            told = time.monotonic()
            await client.cancel_run(run)
        ended = await Watched().watch(service.address, run)
        await asyncio.sleep(SEEN_SECONDS + 1.0)
        kept = await verdicts(service.address, run)
        late, after = fake.read().begun_after(told + SEEN_SECONDS), fake.begun_after(told)

    lost = fake.answered - len(kept)
    say(f"lost {lost} repeated {fake.repeated} (at most 0), {after} calls after the cancellation, {late} after 2 s")
    assert (ended.state, late, lost, fake.repeated) == (pb.RUN_STATE_CANCELLED, 0, 0, 0)
    assert len(kept) < calls
    assert ended.counts.by_status["cancelled"] == calls - len(kept)


async def test_sigterm_finishes_what_is_in_flight(kind: Kind, folder: Path, say: Say) -> None:
    """Every process asked to end, twice in a run, ends in time with 0; no call is lost, none is made again."""
    calls, judged_in = 300, 5.0
    codes, waits = [], []
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=SLOWEST) as fake,
        standing(kind(folder, JudgeConfig(fake.url, 32, deadline=judged_in))) as service,
    ):
        run = await begun(service.address, calls)
        for moment in (calls // 3, calls * 2 // 3):
            await fake.reached(moment)
            for child in {child.name: child for child in (*service.workers, *service.fronts)}.values():
                asked = time.monotonic()
                child.ask_to_end()
                codes.append(await child.ended(judged_in + GRACE + SLOWEST))
                waits.append(time.monotonic() - asked)
                await child.start()
        ended = await Watched().watch(service.address, run)
        kept = await verdicts(service.address, run)
        now = await present(service.address, run)

    lost, longest = calls - len(kept), max(waits)
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), ended after {longest:.1f} s at the most")
    assert set(codes) == {0}
    assert longest <= judged_in + GRACE
    assert (lost, fake.repeated, now.counts.repeated) == (0, 0, 0)
    assert (ended.state, fake.calls.total()) == (pb.RUN_STATE_DONE, calls)
