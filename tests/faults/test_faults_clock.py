"""Rate limits as the provider counts them, also while system clocks jump."""

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
from support.call_journal import FakeProvider, fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, ServiceProcesses, running_service
from support.postgres import postgres
from support.temporal_server import TemporalServer
from support.temporal_service import Servers, TemporalService
from support.watched_run import RunWatcher, spec, upload, verdicts

PER_SECOND = 40
HOUR = 3600


class Skew:
    """Processes with the environment `env` read a system clock that is off by an offset; their other clocks are right.

    They read the offset once a second. Reading it on every call would make a server fifty times slower.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        spec_of_libfaketime = importlib.util.find_spec("libfaketime")
        assert spec_of_libfaketime is not None, "libfaketime is not installed; this test needs it"
        library = Path(str(spec_of_libfaketime.origin)).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
        assert library.is_file(), f"{library} does not exist; this test needs it"
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
        """Set the offset of the clock in seconds."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n", "ascii")
        new.replace(self._file)


def most_allowed(service: ServiceProcesses) -> float:
    """Return the most calls that may begin within a second: the account's limit plus one permit for each worker."""
    return PER_SECOND * (1.0 + LEASE_SECONDS * len(service.workers))


async def test_every_window_of_an_account_holds(kind: Kind, folder: Path, say: Say) -> None:
    """However many workers share an account, no second has more calls than its limit plus one permit per worker."""
    calls = 600
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=0.05) as fake,
        running_service(
            kind(folder, JudgeConfig(fake.url, 64, requests_per_minute=PER_SECOND * 60), workers=4)
        ) as service,
        JudgeClient(service.address) as client,
    ):
        await upload(client, calls)
        run = await client.create_run(spec())
        ended = await RunWatcher().watch(service.address, run.name)
        kept = await verdicts(service.address, run.name)

    lost, most, allowed = calls - len(kept), fake.read().most_within(1.0), most_allowed(service)
    say(f"lost {lost} repeated {fake.repeated} (at most 0), at most {most} calls in a second (of {allowed:.0f})")
    assert (ended.state, lost, fake.repeated) == (pb.RUN_STATE_DONE, 0, 0)
    assert most <= allowed


async def jump_clocks(fake: FakeProvider, skews: list[Skew], calls: int) -> None:
    """Set one clock after another forward, back and right again, and the first one forward when the last call begins.

    By then each run waits for calls of the other run. A run that believes the clock would make those calls again.
    """
    jumps = [(skew, seconds) for skew in skews for seconds in (HOUR, -HOUR, 0)] + [(skews[0], HOUR)]
    for number, (skew, seconds) in enumerate(jumps, 1):
        await fake.wait_for_calls(calls * number // len(jumps))
        skew.by(seconds)


async def _two_runs(service: ServiceProcesses, fake: FakeProvider, skews: list[Skew], calls: int, say: Say) -> None:
    """Check that two equal runs pay each key once and respect the rate limit while clocks jump."""
    async with JudgeClient(service.address) as client:
        await upload(client, calls)
        runs = await asyncio.gather(client.create_run(spec()), client.create_run(spec()))
        jumping = asyncio.create_task(jump_clocks(fake, skews, calls))
        ends = await asyncio.gather(*(RunWatcher().watch(service.address, run.name) for run in runs))
        await jumping
        kept = [await verdicts(service.address, run.name) for run in runs]

    lost, most, allowed = (
        sum(calls - len(stored) for stored in kept),
        fake.read().most_within(1.0),
        most_allowed(service),
    )
    say(f"lost {lost} repeated {fake.repeated} (at most 0), at most {most} calls in a second (of {allowed:.0f})")
    assert {end.state for end in ends} == {pb.RUN_STATE_DONE}
    assert lost == 0
    assert most <= allowed
    assert (fake.repeated, sum(end.counts.repeated for end in ends)) == (0, 0)


async def test_a_clock_that_jumps_steals_no_permit_and_makes_no_burst(kind: Kind, folder: Path, say: Say) -> None:
    """No call is repeated or too early when a worker's and then the server's system clock jumps an hour each way."""
    calls, skews = 600, {name: Skew(folder / f"{name}.skew") for name in ("worker-0", "serve")}
    judge_config, env = (
        partial(JudgeConfig, requests_per_minute=PER_SECOND * 60),
        {name: skews[name].env for name in skews},
    )
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=4.0) as fake,
        running_service(kind(folder, judge_config(fake.url, 64, deadline=30.0), env=env)) as service,
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
    """No call is repeated or too early when the clock of PostgreSQL, which all workers use, jumps an hour each way."""
    calls, skew = 600, Skew(open_folder / "skew")
    with postgres(skew.env) as skewed:
        async with asyncio.timeout(PATIENCE), fake_provider(folder, slowest=4.0) as fake:
            judge_config = JudgeConfig(fake.url, 64, deadline=30.0, requests_per_minute=PER_SECOND * 60)
            async with running_service(
                TemporalService(folder, judge_config, servers=Servers(skewed, temporal_server))
            ) as service:
                await _two_runs(service, fake, [skew], calls, say)
                with psycopg.connect(service.store_url) as connection:
                    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
        assert row is not None
        assert abs(float(row[0]) - time.time() - HOUR) < HOUR / 60
