"""A run on Temporal loses nothing when workers come and go or when Temporal or PostgreSQL goes away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from judge.api.v1 import run_service_pb2 as pb
from support.call_journal import FakeProvider, fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, running_service
from support.relay import relaying
from support.temporal_service import Detour, Servers, TemporalService
from support.watched_run import RunWatcher, start_run, verdicts

CONCURRENCY = 16
AWAY_SECONDS = 2.0
PATIENT = 30.0
CUT_SECONDS = 15.0
STORE_ENDS, TEMPORAL_ENDS = 5, 3


async def check_end(service: TemporalService, fake: FakeProvider, run: str, calls: int, most: int, say: Say) -> None:
    """Check that the run ends with a verdict on every presentation, and that at most *most* calls were repeated."""
    ended = await RunWatcher().watch(service.address, run)
    kept = await verdicts(service.address, run)
    lost, repeated = calls - len(kept), fake.read().repeated
    say(f"lost {lost} repeated {repeated} (at most {most}), counted as repeated {ended.counts.repeated}")
    assert (lost, ended.state, dict(ended.counts.by_status)) == (0, pb.RUN_STATE_DONE, {"ok": calls})
    assert repeated <= most
    assert repeated <= ended.counts.repeated


async def test_a_worker_asked_to_end_leaves_its_shards_to_another_and_one_begun_later_joins_in(
    folder: Path, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """A run waits for its first worker; one of two exits with 0 on SIGTERM; no call is repeated."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=1.0) as fake,
        running_service(on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        for worker in service.workers:
            await worker.kill()
        run = await start_run(service.address, calls)
        await asyncio.gather(*(worker.start() for worker in service.workers))
        await fake.wait_for_calls(calls // 3)
        service.workers[0].ask_to_end()
        code = await service.workers[0].wait_for_exit(60)
        await check_end(service, fake, run, calls, 0, say)

    assert code == 0


async def test_a_worker_that_dies_for_good_is_replaced_by_another(
    folder: Path, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """When one of two workers is killed with calls in flight, the other takes over its shards and finishes."""
    calls //= 20
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder) as fake,
        running_service(on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        run = await start_run(service.address, calls)
        await fake.wait_for_calls(calls // 3)
        with fake.hold_calls():
            await service.workers[0].kill()
        await check_end(service, fake, run, calls, CONCURRENCY, say)


async def test_a_worker_cut_off_from_temporal_alone_hands_its_shards_on(
    folder: Path, servers: Servers, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """A worker without Temporal for 15 s hands its shards on; at most the calls in flight are repeated."""
    # Enough calls that the other worker does not finish the run meanwhile.
    calls //= 5
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=0.8) as fake,
        relaying(servers.temporal.address) as (relay, address),
        running_service(
            on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY), detours={"worker-0": Detour(address)})
        ) as service,
    ):
        run = await start_run(service.address, calls)
        await fake.wait_for_calls(calls // 20)
        relay.open.clear()
        await asyncio.sleep(CUT_SECONDS)
        during = len(fake.read().begin_times)
        relay.open.set()
        await check_end(service, fake, run, calls, CONCURRENCY, say)

    assert during < calls


async def restart_repeatedly(
    fake: FakeProvider, moments: list[int], end: Callable[[], None], begin: Callable[[], None]
) -> None:
    for moment in moments:
        await fake.wait_for_calls(moment)
        end()
        try:
            await asyncio.sleep(AWAY_SECONDS)
        finally:
            with fake.hold_calls():
                await asyncio.to_thread(begin)


def _moments(calls: int, n: int) -> list[int]:
    return sorted(random.Random(n).sample(range(calls // 20, calls * 9 // 10), n))


async def test_temporal_goes_away_and_comes_back(
    folder: Path, servers: Servers, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """After Temporal is killed 3 times, the run goes on and loses nothing."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=1.0) as fake,
        running_service(on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        run = await start_run(service.address, calls)
        server = servers.temporal
        await restart_repeatedly(fake, _moments(calls, TEMPORAL_ENDS), server.end, server.begin)
        await check_end(service, fake, run, calls, TEMPORAL_ENDS * 2 * CONCURRENCY, say)


async def test_the_store_goes_away_and_comes_back(
    folder: Path, servers: Servers, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """After PostgreSQL is stopped at once 5 times, the run goes on and loses no paid call."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=1.0) as fake,
        running_service(on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        run = await start_run(service.address, calls)
        await restart_repeatedly(fake, _moments(calls, STORE_ENDS), servers.end_store, servers.begin_store)
        await check_end(service, fake, run, calls, STORE_ENDS * 2 * CONCURRENCY, say)
