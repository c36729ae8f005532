"""Processes that get SIGKILL at any moment."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from judge.api.v1 import run_service_pb2 as pb
from support.call_journal import fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, running_service
from support.killing import PATIENT, draw_moments, kill_processes
from support.watched_run import RunWatcher, start_run, verdicts

KILLS = 20
CONCURRENCY = 16


async def test_law_4_twenty_kills_lose_nothing_and_repeat_only_what_was_in_flight(
    kind: Kind, folder: Path, calls: int, say: Say
) -> None:
    """After 20 kills in a run of 10,000 calls, nothing is lost, and at most the calls in flight are repeated."""
    rng = random.Random(20)
    moments = draw_moments(rng, calls, KILLS)
    watched = RunWatcher()
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder) as fake,
        running_service(kind(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        run = await start_run(service.address, calls)
        following = asyncio.create_task(watched.follow(service.address, run))
        watching = asyncio.create_task(watched.watch(service.address, run))
        await kill_processes(fake, moments, service.killable, rng)
        ended = await watching
        await following
        kept = await verdicts(service.address, run)

    lost, most = watched.lost(kept, calls), KILLS * CONCURRENCY
    repeated = fake.read().repeated
    say(f"lost {lost} repeated {repeated} (at most {most}), counted as repeated {ended.counts.repeated}")
    assert (lost, watched.backwards) == (0, 0)
    assert (ended.state, dict(ended.counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": calls})
    assert len(fake.calls) == calls
    assert 0 < repeated <= ended.counts.repeated <= most
    assert ended.counts.calls == calls + ended.counts.repeated


@pytest.mark.parametrize("watchers", [5])
async def test_a_watcher_reaches_the_terminal_snapshot_however_often_its_server_dies(
    kind: Kind, folder: Path, calls: int, say: Say, watchers: int
) -> None:
    """The server is killed 10 times; the run ends, and each watcher sees the end and never an older revision."""
    rng = random.Random(10)
    calls, kills = calls // 10, 10
    moments = draw_moments(rng, calls, kills)
    seen = [RunWatcher() for _ in range(watchers)]
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder) as fake,
        running_service(kind(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        run = await start_run(service.address, calls)
        watching = [asyncio.create_task(watcher.watch(service.address, run)) for watcher in seen]
        await kill_processes(fake, moments, service.fronts, rng)
        ends = await asyncio.gather(*watching)
        kept = await verdicts(service.address, run)

    lost, most = calls - len(kept), kills * CONCURRENCY
    say(f"lost {lost} repeated {fake.read().repeated} (at most {most}), {len(ends)} watchers saw the end")
    assert {end.state for end in ends} == {pb.RUN_STATE_DONE}
    assert [watcher.backwards for watcher in seen] == [0] * watchers
    assert lost == 0
    assert fake.repeated <= most
