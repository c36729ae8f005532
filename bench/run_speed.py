"""A run of 10,000 comparisons in both orders with an instant judge on a real server, next to the bare driver."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from figures import Figure, progress
from server import Served, served

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import run_service_pb2
from judge_client import JudgeClient

PROMPTS, CONTESTANTS = 1_000, 5
VERDICTS = PROMPTS * (CONTESTANTS * (CONTESTANTS - 1) // 2) * 2
GROUP, ROW_BYTES = 256, 350
CPU_MS = 0.5


def figures() -> Iterator[Figure]:
    """Measure verdicts per second next to a bare loop over the driver, and the service's CPU per verdict."""
    progress(f"runs: {VERDICTS:,} verdicts of an instant judge")
    with served() as server:
        seconds, cpu = asyncio.run(_run(server))
    bare = VERDICTS / _bare_driver()
    rate = VERDICTS / seconds
    yield Figure(
        bench="runs",
        figure="verdicts",
        value=rate,
        unit="1/s",
        peer=f"sqlite3, {GROUP} rows a commit: {bare:.0f}/s",
        ratio=rate / bare,
    )
    each = cpu / VERDICTS * 1000
    yield Figure(
        bench="runs",
        figure="CPU of the service per verdict",
        value=each,
        unit="ms",
        goal=f"< {CPU_MS} ms",
        met=each < CPU_MS,
    )


async def _run(server: Served) -> tuple[float, float]:
    async with JudgeClient(server.address) as client:
        await client.create_dataset("bench")
        prompts = [pb.Prompt(prompt_id=f"p{n}", turns=[f"What is {n}? " * 10]) for n in range(PROMPTS)]
        outputs = [
            pb.Output(prompt_id=f"p{n}", contestant=f"m{who}", turns=[f"It is {n}, says {who}. " * (10 + who)])
            for n in range(PROMPTS)
            for who in range(CONTESTANTS)
        ]
        await client.upload_prompts("bench", prompts)
        await client.upload_outputs("bench", outputs)
        begin, cpu = perf_counter(), server.cpu_seconds
        spec = run_service_pb2.RunSpec(dataset="datasets/bench", judges=["judges/longest"])
        run = await client.wait_run((await client.create_run(spec)).name)
        spent = perf_counter() - begin, server.cpu_seconds - cpu
    if run.counts.by_status.get("ok") != VERDICTS:
        message = f"the run ended with {dict(run.counts.by_status)}"
        raise RuntimeError(message)
    return spent


def _bare_driver() -> float:
    """Return the seconds to write as many rows of similar size with the driver alone, in groups, with full sync."""
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as folder:
        database = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE answer (id INTEGER PRIMARY KEY, a INT, b INT, c INT, d INT, raw TEXT)")
        database.execute("CREATE UNIQUE INDEX by_key ON answer (a, b, c, d)")
        begin = perf_counter()
        for group in range(0, VERDICTS, GROUP):
            rows = [(1, n, n + 1, n + 2, "x" * ROW_BYTES) for n in range(group, min(group + GROUP, VERDICTS))]
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO answer (a, b, c, d, raw) VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")
        seconds = perf_counter() - begin
        database.close()
    return seconds
