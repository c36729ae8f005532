"""Clocks that jump, and the windows of an account as the provider counts them."""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from judge.api.v1 import run_service_pb2 as pb
from judge.execution.rate_limits import LEASE_SECONDS
from judge_client import JudgeClient
from support.call_journal import Faked, faked
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, ServiceProcesses, standing
from support.postgres import postgres
from support.temporal_server import TemporalServer
from support.temporal_service import Servers, TemporalService
from support.watched_run import Watched, spec, upload, verdicts

PER_SECOND = 40
HOUR = 3600


class Skew:
    """Processes under `env` read a wall clock that is wrong by what was last said; their other clocks are right.

    They look once a second what was said: a look at every reading makes a server fifty times as slow.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
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


def most_allowed(service: ServiceProcesses) -> float:
    """The most calls that may begin within a second: the account's limit, and a permit's worth for each worker."""
    return PER_SECOND * (1.0 + LEASE_SECONDS * len(service.workers))


async def test_every_window_of_an_account_holds(kind: Kind, folder: Path, say: Say) -> None:
    """However many workers share an account, no second sees more than its limit and one permit for each of them."""
    calls = 600
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=0.05) as fake,
        standing(kind(folder, JudgeConfig(fake.url, 64, requests_per_minute=PER_SECOND * 60), workers=4)) as service,
        JudgeClient(service.address) as client,
    ):
        await upload(client, calls)
        run = await client.create_run(spec())
        ended = await Watched().watch(service.address, run.name)
        kept = await verdicts(service.address, run.name)

    lost, most, allowed = calls - len(kept), fake.read().most_within(1.0), most_allowed(service)
    say(f"lost {lost} repeated {fake.repeated} (at most 0), at most {most} calls in a second (of {allowed:.0f})")
    assert (ended.state, lost, fake.repeated) == (pb.RUN_STATE_DONE, 0, 0)
    assert most <= allowed


async def _jumping(fake: Faked, skews: list[Skew], calls: int) -> None:
    """One clock after another goes forward, back and right again, and the first goes forward when the last call begins.

    Then each run waits for the calls that are the other's: whoever takes an hour for the truth makes them again.
    """
    jumps = [(skew, seconds) for skew in skews for seconds in (HOUR, -HOUR, 0)] + [(skews[0], HOUR)]
    for number, (skew, seconds) in enumerate(jumps, 1):
        await fake.reached(calls * number // len(jumps))
        skew.by(seconds)


async def _two_runs(service: ServiceProcesses, fake: Faked, skews: list[Skew], calls: int, say: Say) -> None:
    """Two equal runs while clocks jump: each key is paid once, every window holds."""
    async with JudgeClient(service.address) as client:
        await upload(client, calls)
        runs = await asyncio.gather(client.create_run(spec()), client.create_run(spec()))
        jumping = asyncio.create_task(_jumping(fake, skews, calls))
        ends = await asyncio.gather(*(Watched().watch(service.address, run.name) for run in runs))
        await jumping
        kept = [await verdicts(service.address, run.name) for run in runs]

    lost, most, allowed = sum(calls - len(one) for one in kept), fake.read().most_within(1.0), most_allowed(service)
    say(f"lost {lost} repeated {fake.repeated} (at most 0), at most {most} calls in a second (of {allowed:.0f})")
    assert {end.state for end in ends} == {pb.RUN_STATE_DONE}
    assert lost == 0
    assert most <= allowed
    assert (fake.repeated, sum(end.counts.repeated for end in ends)) == (0, 0)


async def test_a_clock_that_jumps_steals_no_permit_and_makes_no_burst(kind: Kind, folder: Path, say: Say) -> None:
    """A worker's wall clock jumps by an hour each way, then the server's."""
    calls, skews = 600, {name: Skew(folder / f"{name}.skew") for name in ("worker-0", "serve")}
    judge_config, env = (
        partial(JudgeConfig, requests_per_minute=PER_SECOND * 60),
        {name: skews[name].env for name in skews},
    )
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=4.0) as fake,
        standing(kind(folder, judge_config(fake.url, 64, deadline=30.0), env=env)) as service,
    ):
        jumping = [skews[child.name] for child in (service.workers[0], service.fronts[0])]
        await _two_runs(service, fake, jumping, calls, say)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine may read."""
    with tempfile.TemporaryDirectory(prefix="judge-skew-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


async def test_a_database_whose_clock_jumps_steals_no_permit_and_makes_no_burst(
    folder: Path, open_folder: Path, temporal_server: TemporalServer, say: Say
) -> None:
    """PostgreSQL's wall clock jumps by an hour each way, which all workers go by."""
    calls, skew = 600, Skew(open_folder / "skew")
    with postgres(skew.env) as skewed:
        async with asyncio.timeout(PATIENCE), faked(folder, slowest=4.0) as fake:
            judge_config = JudgeConfig(fake.url, 64, deadline=30.0, requests_per_minute=PER_SECOND * 60)
            async with standing(
                TemporalService(folder, judge_config, servers=Servers(skewed, temporal_server))
            ) as service:
                await _two_runs(service, fake, [skew], calls, say)
                with psycopg.connect(service.store_url) as connection:
                    told = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
        assert told is not None
        assert abs(float(told[0]) - time.time() - HOUR) < HOUR / 60
