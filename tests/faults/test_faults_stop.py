"""Processes that stand still for longer than their permits last, and go on as if nothing had been."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from judge.api.v1 import run_service_pb2 as pb
from judge.execution.shard_runner import LEASE
from support.call_journal import faked
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, standing
from support.watched_run import Watched, begun, verdicts

STOPS = 5
CONCURRENCY = 16


async def test_a_process_that_stood_still_makes_no_call_under_its_old_permit(
    kind: Kind, folder: Path, calls: int, say: Say
) -> None:
    """SIGSTOP past the permit, then SIGCONT, 5 times: 0 lost, repeated at most stops x in flight."""
    rng, watched = random.Random(5), Watched()
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=0.6) as fake,
        standing(kind(folder, JudgeConfig(fake.url, CONCURRENCY))) as service,
    ):
        # While one worker stands still the other goes on, and must find enough to do.
        calls = calls // 10 if len(service.workers) == 1 else calls * 2 // 5
        run = await begun(service.address, calls)
        watching = asyncio.create_task(watched.watch(service.address, run))
        for number in range(1, STOPS + 1):
            await fake.reached(calls * number // (STOPS + 1))
            still = rng.choice(service.workers)
            still.stop()
            await asyncio.sleep(LEASE + 0.5)
            still.go_on()
        before_the_end = len(fake.read().begun) < calls
        ended = await watching
        kept = await verdicts(service.address, run)

    lost, most = watched.lost(kept, calls), STOPS * CONCURRENCY
    say(f"lost {lost} repeated {fake.read().repeated} (at most {most})")
    assert (lost, watched.backwards) == (0, 0)
    assert (ended.state, dict(ended.counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": calls})
    assert fake.repeated <= most
    assert before_the_end
