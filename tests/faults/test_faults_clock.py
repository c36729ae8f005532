"""Clocks that jump, and the windows of an account as the provider counts them."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

from boards import Watched, spec, upload, verdicts
from houses import KINDS, House, Judged, standing
from journal import Faked, faked
from judge.api.v1 import run_service_pb2 as pb
from judge.runs.accounts import LEASE_SECONDS
from judge_client import JudgeClient
from saying import PATIENCE, Say

PER_SECOND = 100
HOUR = 3600


class Skew:
    """Processes under `env` read a wall clock that is wrong by what was last said; their other clocks are right.

    They look once a second what was said: a look at every reading makes a server fifty times as slow.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "skew"
        found = importlib.util.find_spec("libfaketime")
        assert found is not None, "libfaketime is not installed, and a clock that jumps needs it"
        library = Path(str(found.origin)).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
        assert library.is_file(), f"there is no {library}, and a clock that jumps needs it"
        self.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }
        self.by(0)

    def by(self, seconds: int) -> None:
        """Be wrong by so many seconds from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n", "ascii")
        new.replace(self._file)


def most_allowed(house: House) -> float:
    """The most calls that may begin within a second: the account's limit, and a permit's worth for each worker."""
    return PER_SECOND * (1.0 + LEASE_SECONDS * len(house.workers))


async def test_every_window_of_an_account_holds(kind: str, folder: Path, say: Say) -> None:
    """However many workers share an account, no second sees more than its limit and one permit for each of them."""
    calls = 800
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=0.05) as fake,
        standing(KINDS[kind](folder, Judged(fake.url, 64, requests_per_minute=PER_SECOND * 60))) as house,
        JudgeClient(house.address) as client,
    ):
        await upload(client, calls)
        run = await client.create_run(spec())
        ended = await Watched().watch(house.address, run.name)
        kept = await verdicts(house.address, run.name)

    lost, most, allowed = calls - len(kept), fake.read().most_within(1.0), most_allowed(house)
    say(f"lost {lost} repeated {fake.repeated} (at most 0), at most {most} calls in a second (of {allowed:.0f})")
    assert (ended.state, lost, fake.repeated) == (pb.RUN_STATE_DONE, 0, 0)
    assert most <= allowed


async def _jumping(fake: Faked, skew: Skew, calls: int) -> None:
    """Forward at a quarter of the calls, back at the half, right again at three, forward when the last has begun.

    Then each run waits for the calls that are the other's: whoever takes an hour for the truth makes them again.
    """
    for quarter, seconds in enumerate((HOUR, -HOUR, 0, HOUR), 1):
        await fake.reached(calls * quarter // 4)
        skew.by(seconds)


async def test_a_clock_that_jumps_steals_no_permit_and_makes_no_burst(kind: str, folder: Path, say: Say) -> None:
    """Two equal runs while the wall clock jumps by an hour each way: each key is paid once, every window holds."""
    calls, skew = 400, Skew(folder)
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=4.0) as fake,
        standing(
            KINDS[kind](folder, Judged(fake.url, 64, deadline=30.0, requests_per_minute=PER_SECOND * 60), **skew.env)
        ) as house,
        JudgeClient(house.address) as client,
    ):
        await upload(client, calls)
        runs = await asyncio.gather(client.create_run(spec()), client.create_run(spec()))
        jumping = asyncio.create_task(_jumping(fake, skew, calls))
        ends = await asyncio.gather(*(Watched().watch(house.address, run.name) for run in runs))
        await jumping
        kept = [await verdicts(house.address, run.name) for run in runs]

    lost, most, allowed = sum(calls - len(one) for one in kept), fake.read().most_within(1.0), most_allowed(house)
    say(f"lost {lost} repeated {fake.repeated} (at most 0), at most {most} calls in a second (of {allowed:.0f})")
    assert {end.state for end in ends} == {pb.RUN_STATE_DONE}
    assert lost == 0
    assert most <= allowed
    assert (fake.repeated, sum(end.counts.repeated for end in ends)) == (0, 0)
