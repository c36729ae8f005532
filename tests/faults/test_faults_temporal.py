"""Workers that come and go, and what they stand on going away: a run on Temporal loses nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from judge.api.v1 import run_service_pb2 as pb
from support.call_journal import Faked, faked
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, standing
from support.relay import relayed
from support.temporal_service import Detour, Servers, TemporalService
from support.watched_run import Watched, begun, verdicts

CONCURRENCY = 16
AWAY_SECONDS = 2.0
PATIENT = 30.0
CUT_SECONDS = 15.0
STORE_ENDS, TEMPORAL_ENDS = 5, 3


async def finished(service: TemporalService, fake: Faked, run: str, calls: int, most: int, say: Say) -> None:
    """The run ends with a verdict on every showing, and at most so many calls were made again."""
    ended = await Watched().watch(service.address, run)
    kept = await verdicts(service.address, run)
    lost, repeated = calls - len(kept), fake.read().repeated
    say(f"lost {lost} repeated {repeated} (at most {most}), counted as repeated {ended.counts.repeated}")
    assert (lost, ended.state, dict(ended.counts.by_status)) == (0, pb.RUN_STATE_DONE, {"ok": calls})
    assert repeated <= most
    assert repeated <= ended.counts.repeated


async def test_a_worker_asked_to_end_leaves_its_shards_to_another_and_one_begun_later_joins_in(
    folder: Path, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """A run without any worker waits for the first; SIGTERM of one of two ends it with 0; nothing is called again."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=1.0) as fake,
        standing(on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        for worker in service.workers:
            await worker.kill()
        run = await begun(service.address, calls)
        await asyncio.gather(*(worker.start() for worker in service.workers))
        await fake.reached(calls // 3)
        service.workers[0].ask_to_end()
        code = await service.workers[0].ended(60)
        await finished(service, fake, run, calls, 0, say)

    assert code == 0


async def test_a_worker_that_dies_for_good_is_replaced_by_another(
    folder: Path, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """Kill -9 of one of two with calls in flight: what it had is noticed without it, and the other one finishes."""
    calls //= 20
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        standing(on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        run = await begun(service.address, calls)
        await fake.reached(calls // 3)
        with fake.held():
            await service.workers[0].kill()
        await finished(service, fake, run, calls, CONCURRENCY, say)


async def test_a_worker_cut_off_from_temporal_alone_hands_its_shards_on(
    folder: Path, servers: Servers, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """15 s without Temporal, while the store and the provider answer: repeated at most what was in flight."""
    # So many that the others, which go on, do not come to the end meanwhile.
    calls //= 5
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=0.8) as fake,
        relayed(servers.temporal.address) as (relay, address),
        standing(
            on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY), detours={"worker-0": Detour(address)})
        ) as service,
    ):
        run = await begun(service.address, calls)
        await fake.reached(calls // 20)
        relay.open.clear()
        await asyncio.sleep(CUT_SECONDS)
        during = len(fake.read().begun)
        relay.open.set()
        await finished(service, fake, run, calls, CONCURRENCY, say)

    assert during < calls


async def _ended_again_and_again(
    fake: Faked, moments: list[int], end: Callable[[], None], begin: Callable[[], None]
) -> None:
    for moment in moments:
        await fake.reached(moment)
        end()
        try:
            await asyncio.sleep(AWAY_SECONDS)
        finally:
            with fake.held():
                await asyncio.to_thread(begin)


def _moments(calls: int, many: int) -> list[int]:
    return sorted(random.Random(many).sample(range(calls // 20, calls * 9 // 10), many))


async def test_temporal_goes_away_and_comes_back(
    folder: Path, servers: Servers, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """Kill -9 of Temporal, 3 times in a run: it goes on from where it is."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=1.0) as fake,
        standing(on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        run = await begun(service.address, calls)
        server = servers.temporal
        await _ended_again_and_again(fake, _moments(calls, TEMPORAL_ENDS), server.end, server.begin)
        await finished(service, fake, run, calls, TEMPORAL_ENDS * 2 * CONCURRENCY, say)


async def test_the_store_goes_away_and_comes_back(
    folder: Path, servers: Servers, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """PostgreSQL stopped at once, 5 times in a run: what was paid waits for it."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=1.0) as fake,
        standing(on_temporal(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT))) as service,
    ):
        run = await begun(service.address, calls)
        await _ended_again_and_again(fake, _moments(calls, STORE_ENDS), servers.end_store, servers.begin_store)
        await finished(service, fake, run, calls, STORE_ENDS * 2 * CONCURRENCY, say)
