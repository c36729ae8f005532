"""The same run by a server on SQLite and by workers on Temporal and PostgreSQL: real processes, an instant judge."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import time

from figures import Figure, interleaved, progress
from server import Served, served_in, server_with_settings

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient

PROMPTS, CONTESTANTS = 1_000, 5
VERDICTS = PROMPTS * (CONTESTANTS * (CONTESTANTS - 1) // 2) * 2
ROUNDS, WORKERS = 5, 2
GOAL = 2.0
SHARED = """
log_json = true
listen = "127.0.0.1:0"
store_url = "{store}"
engine = "temporal"
[temporal]
address = "{address}"
"""


def figures() -> Iterator[Figure]:
    """Measure the time of the run on Temporal relative to the local run."""
    progress(f"runs: {VERDICTS:,} verdicts of an instant judge, by {WORKERS} workers next to one process")
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as folder, contextlib.ExitStack() as stack:
        alone = stack.enter_context(served_in(Path(folder)))
        shared = stack.enter_context(_with_workers())
        for server in (alone, shared):
            asyncio.run(_fill(server.address))
        cache_tags = iter(range(2 * ROUNDS + 2))
        for server in (alone, shared):
            asyncio.run(_run(server.address, next(cache_tags)))
        local, workers = interleaved(
            ROUNDS,
            lambda: asyncio.run(_run(alone.address, next(cache_tags))),
            lambda: asyncio.run(_run(shared.address, next(cache_tags))),
        )
    ratio = workers / local
    yield Figure(
        bench="runs",
        figure=f"Temporal and PostgreSQL, {WORKERS} workers",
        value=VERDICTS / workers,
        unit="verdicts/s",
        peer=f"the local engine on SQLite: {VERDICTS / local:.0f}/s",
        ratio=ratio,
        goal=f"<= {GOAL} x its time",
        met=ratio <= GOAL,
    )


@contextlib.contextmanager
def _with_workers() -> Iterator[Served]:
    """Run a server that executes nothing, and workers, with their own PostgreSQL and Temporal."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from support.postgres import postgres  # noqa: PLC0415  # the real servers of the tests
    from support.temporal_server import temporal  # noqa: PLC0415  # as above

    with (
        tempfile.TemporaryDirectory(prefix="judge-bench-") as folder,
        postgres() as database,
        temporal() as server,
        contextlib.ExitStack() as stack,
    ):
        home = Path(folder)
        text = SHARED.format(store=database.create("bench"), address=server.address)
        front = stack.enter_context(server_with_settings(home, text))
        environment = {**os.environ, "JUDGE_HOME": str(home), "JUDGE_CONFIG": str(home / "judge.toml")}
        for number in range(WORKERS):
            log = stack.enter_context((home / f"worker-{number}.log").open("w"))
            command = [sys.executable, "-m", "judge.cli", "worker"]
            child = stack.enter_context(subprocess.Popen(command, env=environment, stderr=log))
            stack.callback(child.terminate)
        yield front


async def _fill(address: str) -> None:
    async with JudgeClient(address) as client:
        await client.create_dataset("bench")
        await client.upload_prompts(
            "bench", [ds.Prompt(prompt_id=f"p{n}", turns=[f"What is {n}? " * 10]) for n in range(PROMPTS)]
        )
        await client.upload_outputs(
            "bench",
            [
                ds.Output(prompt_id=f"p{n}", contestant=f"m{who}", turns=[f"It is {n}, says {who}. " * (10 + who)])
                for n in range(PROMPTS)
                for who in range(CONTESTANTS)
            ],
        )


async def _run(address: str, cache_tag: int) -> float:
    """Return the seconds from CreateRun to the run's end time. A new *cache_tag* makes all verdicts new."""
    async with JudgeClient(address) as client:
        pairing = pb.Pairing(cache_tag=f"round {cache_tag}")
        spec = pb.RunSpec(dataset="datasets/bench", judges=["judges/longest"], pairing=pairing)
        begin = time()
        run = await client.wait_run((await client.create_run(spec)).name)
        # A watcher sees the end up to half a second later.
        seconds = run.end_time.ToNanoseconds() / 1e9 - begin
    if dict(run.counts.by_status) != {"ok": VERDICTS} or run.counts.calls != VERDICTS:
        message = f"the run ended with {dict(run.counts.by_status)} and {run.counts.calls} calls"
        raise RuntimeError(message)
    return seconds
