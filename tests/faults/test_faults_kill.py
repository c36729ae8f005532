"""Processes that are killed, at any moment, without a chance to do anything about it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from boards import Watched, begun, verdicts
from houses import KINDS, House, Judged, standing
from journal import Faked, faked
from judge.api.v1 import run_service_pb2 as pb
from saying import PATIENCE, Say

KILLS = 20
CONCURRENCY = 16


async def killing(house: House, fake: Faked, moments: list[int], rng: random.Random) -> int:
    """Kill a process of *house* each time that so many calls were begun, and start it again; how many were killed."""
    for moment in moments:
        await fake.reached(moment)
        victim = rng.choice(house.killable)
        await victim.kill()
        await victim.start()
    return len(moments)


async def test_law_4_twenty_kills_lose_nothing_and_repeat_only_what_was_in_flight(
    kind: str, folder: Path, calls: int, say: Say
) -> None:
    """Kill -9 of random processes, 20 times in a run of 10,000 calls: 0 lost, repeated at most kills x in flight."""
    rng = random.Random(20)
    moments = sorted(rng.sample(range(calls // 50, calls - calls // 20), KILLS))
    watched = Watched()
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        standing(KINDS[kind](folder, Judged(fake.url, CONCURRENCY))) as house,
    ):
        run = await begun(house.address, calls)
        following = asyncio.create_task(watched.follow(house.address, run))
        watching = asyncio.create_task(watched.watch(house.address, run))
        await killing(house, fake, moments, rng)
        ended = await watching
        await following
        kept = await verdicts(house.address, run)

    lost, most = watched.lost(kept, calls), KILLS * CONCURRENCY
    repeated = fake.read().repeated
    say(f"lost {lost} repeated {repeated} (at most {most}), counted as repeated {ended.counts.repeated}")
    assert (lost, watched.backwards) == (0, 0)
    assert (ended.state, dict(ended.counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": calls})
    assert len(fake.calls) == calls
    assert repeated <= ended.counts.repeated <= most
    assert ended.counts.calls == calls + ended.counts.repeated


@pytest.mark.parametrize("watchers", [5])
async def test_a_watcher_reaches_the_terminal_snapshot_however_often_its_server_dies(
    kind: str, folder: Path, calls: int, say: Say, watchers: int
) -> None:
    """The front killed 10 times: the run finishes, and each watcher sees it end and never an older revision."""
    rng = random.Random(10)
    calls, kills = calls // 5, 10
    moments = sorted(rng.sample(range(calls // 50, calls - calls // 20), kills))
    seen = [Watched() for _ in range(watchers)]
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        standing(KINDS[kind](folder, Judged(fake.url, CONCURRENCY))) as house,
    ):
        run = await begun(house.address, calls)
        watching = [asyncio.create_task(one.watch(house.address, run)) for one in seen]
        for moment in moments:
            await fake.reached(moment)
            for front in house.fronts:
                await front.kill()
                await front.start()
        ends = await asyncio.gather(*watching)
        kept = await verdicts(house.address, run)

    lost, most = calls - len(kept), kills * CONCURRENCY
    say(f"lost {lost} repeated {fake.read().repeated} (at most {most}), {len(ends)} watchers saw the end")
    assert {end.state for end in ends} == {pb.RUN_STATE_DONE}
    assert [one.backwards for one in seen] == [0] * watchers
    assert lost == 0
    assert fake.repeated <= most
