"""Workers that come and go, and what they stand on going away: a run on Temporal loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from boards import Watched, begun, verdicts
from houses import Judged, standing
from journal import Faked, faked
from judge.api.v1 import run_service_pb2 as pb
from saying import PATIENCE, Say
from temporal_house import TemporalHouse

CONCURRENCY = 16
AWAY_SECONDS = 4.0


async def finished(house: TemporalHouse, fake: Faked, run: str, calls: int, say: Say) -> tuple[pb.Run, int]:
    """The run, ended with a verdict on every showing; and how many calls were made again."""
    ended = await Watched().watch(house.address, run)
    kept = await verdicts(house.address, run)
    lost, repeated = calls - len(kept), fake.read().repeated
    say(f"lost {lost} repeated {repeated}, counted as repeated {ended.counts.repeated}")
    assert (lost, ended.state, dict(ended.counts.by_status)) == (0, pb.RUN_STATE_DONE, {"ok": calls})
    return ended, repeated


async def test_a_worker_that_dies_is_replaced_by_another(folder: Path, calls: int, say: Say) -> None:
    """Kill -9 of one of two, never started again: the other finishes, and repeats at most what was in flight."""
    calls //= 5
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        standing(TemporalHouse(folder, Judged(fake.url, CONCURRENCY))) as house,
    ):
        run = await begun(house.address, calls)
        await fake.reached(calls // 3)
        await house.workers[0].kill()
        _, repeated = await finished(house, fake, run, calls, say)

    assert repeated <= CONCURRENCY


async def test_a_worker_that_is_asked_to_end_leaves_its_shards_to_another(folder: Path, calls: int, say: Say) -> None:
    """SIGTERM of one of two: it ends with 0 once what it called is stored; nothing is called again."""
    calls //= 5
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=0.2) as fake,
        standing(TemporalHouse(folder, Judged(fake.url, CONCURRENCY))) as house,
    ):
        run = await begun(house.address, calls)
        await fake.reached(calls // 3)
        house.workers[0].ask_to_end()
        code = await house.workers[0].ended(60)
        _, repeated = await finished(house, fake, run, calls, say)

    assert (code, repeated) == (0, 0)


async def test_a_worker_begun_later_joins_in(folder: Path, calls: int, say: Say) -> None:
    """A run without any worker waits; the first one begins it."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        standing(TemporalHouse(folder, Judged(fake.url, CONCURRENCY))) as house,
    ):
        for worker in house.workers:
            await worker.kill()
        run = await begun(house.address, calls)
        await house.workers[0].start()
        _, repeated = await finished(house, fake, run, calls, say)

    assert repeated == 0


async def test_temporal_goes_away_and_comes_back(folder: Path, calls: int, say: Say) -> None:
    """Kill -9 of Temporal in the middle of a run, back after some seconds: the run goes on from where it is."""
    calls //= 5
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=0.1) as fake,
        standing(TemporalHouse(folder, Judged(fake.url, CONCURRENCY))) as house,
    ):
        run = await begun(house.address, calls)
        await fake.reached(calls // 3)
        house.temporal.end()
        await asyncio.sleep(AWAY_SECONDS)
        await asyncio.to_thread(house.temporal.begin)
        _, repeated = await finished(house, fake, run, calls, say)

    assert repeated <= 2 * CONCURRENCY


async def test_the_store_goes_away_and_comes_back(folder: Path, calls: int, say: Say) -> None:
    """PostgreSQL stopped in the middle of everything, back after some seconds: paid answers wait for it."""
    calls //= 5
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=0.1) as fake,
        standing(TemporalHouse(folder, Judged(fake.url, CONCURRENCY))) as house,
    ):
        run = await begun(house.address, calls)
        await fake.reached(calls // 3)
        house.end_store()
        await asyncio.sleep(AWAY_SECONDS)
        await asyncio.to_thread(house.begin_store)
        _, repeated = await finished(house, fake, run, calls, say)

    assert repeated <= 2 * CONCURRENCY
