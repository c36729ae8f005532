"""A small run next to a very large one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import mean

from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient
from support.call_journal import fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, LocalService, running_service
from support.watched_run import RunWatcher, spec, upload

TINY, SMALL, LARGE_TIMES = 20, 100, 10
TIMES = 2
CONCURRENCY = 8


async def _seconds(client: JudgeClient, address: str, cache_tag: str, dataset: str = "small") -> float:
    """Run *dataset* with this cache tag and return its duration in seconds by the server's clock."""
    run = await client.create_run(spec(dataset, pairing=pb.Pairing(cache_tag=cache_tag)))
    ended = await RunWatcher().watch(address, run.name)
    assert (ended.state, ended.counts.by_status["ok"]) == (pb.RUN_STATE_DONE, ended.counts.planned)
    return ended.end_time.ToNanoseconds() / 1e9 - ended.create_time.ToNanoseconds() / 1e9


async def test_a_small_run_beside_a_large_one_takes_at_most_twice_its_time(folder: Path, calls: int, say: Say) -> None:
    """A run of 100 calls next to 100,000 of the same judge takes at most twice its time alone, in means of two runs.

    A call takes half a second on average, so the judge's slots are what the two runs share.
    """
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=1.0) as fake,
        running_service(LocalService(folder, JudgeConfig(fake.url, CONCURRENCY))) as service,
        JudgeClient(service.address) as client,
    ):
        await upload(client, TINY, "tiny")
        await upload(client, SMALL, "small")
        await upload(client, calls, "large")
        await _seconds(client, service.address, "warm", "tiny")
        alone = [await _seconds(client, service.address, f"alone-{n}") for n in range(TIMES)]
        large = await client.create_run(spec("large", pairing=pb.Pairing(repeats=LARGE_TIMES)))
        await fake.wait_for_calls(TINY + SMALL * TIMES + SMALL // 2)
        beside = [await _seconds(client, service.address, f"beside-{n}") for n in range(TIMES)]
        still = await client.get_run(large.name)
        await client.cancel_run(large.name)
        ended = await RunWatcher().watch(service.address, large.name)

    lost = fake.read().answered - (TINY + 2 * TIMES * SMALL + ended.counts.by_status["ok"])
    ratio = mean(beside) / mean(alone)
    say(
        f"lost {lost} repeated {fake.repeated} (at most 0), {SMALL} calls in {mean(alone):.2f} s alone, "
        f"{mean(beside):.2f} s beside {large.counts.planned}: {ratio:.2f} x (at most 2)"
    )
    assert (still.state, still.counts.planned) == (pb.RUN_STATE_RUNNING, calls * LARGE_TIMES)
    assert (lost, fake.repeated, fake.max_in_flight) == (0, 0, CONCURRENCY)
    assert ratio <= 2
