"""Processes that are suspended for longer than their permits last, and then resume."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from judge.api.v1 import run_service_pb2 as pb
from judge.execution.shard_runner import LEASE
from support.call_journal import fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, running_service
from support.watched_run import RunWatcher, start_run, verdicts

STOPS = 5
CONCURRENCY = 16


async def test_a_process_that_stood_still_makes_no_call_under_its_old_permit(
    kind: Kind, folder: Path, calls: int, say: Say
) -> None:
    """After 5 suspensions beyond the permit, nothing is lost, and at most the calls in flight are repeated."""
    rng, watched = random.Random(5), RunWatcher()
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=0.6) as fake,
        running_service(kind(folder, JudgeConfig(fake.url, CONCURRENCY))) as service,
    ):
        # While one worker is suspended, the other goes on, so there must be enough calls.
        calls = calls // 10 if len(service.workers) == 1 else calls * 2 // 5
        run = await start_run(service.address, calls)
        watching = asyncio.create_task(watched.watch(service.address, run))
        for number in range(1, STOPS + 1):
            await fake.wait_for_calls(calls * number // (STOPS + 1))
            suspended = rng.choice(service.workers)
            suspended.stop()
            await asyncio.sleep(LEASE + 0.5)
            suspended.go_on()
        before_the_end = len(fake.read().begin_times) < calls
        ended = await watching
        kept = await verdicts(service.address, run)

    lost, most = watched.lost(kept, calls), STOPS * CONCURRENCY
    say(f"lost {lost} repeated {fake.read().repeated} (at most {most})")
    assert (lost, watched.backwards) == (0, 0)
    assert (ended.state, dict(ended.counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": calls})
    assert fake.repeated <= most
    assert before_the_end
