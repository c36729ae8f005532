"""A million verdicts of an instant judge on one SQLite file, by a real server that is killed half-way.

The goals: memory stays flat and under 1 GB, the third 100,000 verdicts are as fast as the first, the run resumes
within a minute of the server's start, the leaderboard takes under 5 s, and the last page is as fast as the first.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from figures import Figure, progress
from server import Served, served_in

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import run_service_pb2
from judge.engines.local import WINDOW
from judge.execution.run_executor import SHARD
from judge_client import JudgeClient

CONTESTANTS = 46
PAIRS = CONTESTANTS * (CONTESTANTS - 1) // 2
PART, PIECE = 100_000, 20_000
MIB = 1024 * 1024
LOOKS, LEADERBOARDS, RUNS = 5, 3, 3
IN_FLIGHT = WINDOW * SHARD
"""The most calls in flight of a judge that computes: all presentations of each open shard."""


@dataclass
class Watched:
    """What a watcher saw of the part of a run that one server executed."""

    begin_time: float = field(default_factory=perf_counter)
    first: float = 0.0
    """Seconds until the first new verdict."""
    marks: list[tuple[int, float]] = field(default_factory=list)
    """Numbers of verdicts with the time in seconds at which they were reached."""
    rss: list[int] = field(default_factory=list)

    def rate(self, low: int, high: int) -> float:
        """Return verdicts per second between two counts: a median over pieces, because the machine may be busy."""
        counts, seconds = zip(*self.marks, strict=True)
        # A watcher looks twice a second, so verdicts are interpolated between two looks.
        at = np.interp(np.arange(low, high + 1, PIECE), counts, seconds)
        return float(np.median(PIECE / np.diff(at)))


def figures(verdicts: int) -> Iterator[Figure]:
    """Measure a run of about *verdicts* verdicts."""
    prompts = max(1, round(verdicts / (2 * PAIRS)))
    total = prompts * PAIRS * 2
    progress(f"runs: {total:,} verdicts of an instant judge on SQLite, with the server killed half-way")
    beginnings = [_watch_beginning(prompts) for _ in range(RUNS - 1)] if total // 2 >= 3 * PART else []
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as folder:
        home = Path(folder)
        with served_in(home) as server:
            run, created, before = asyncio.run(_run_until(server, prompts, total // 2))
            server.process.kill()
        with served_in(home) as server:
            after, ended = asyncio.run(_watch_rest(server, run))
            yield from _of_run(total, created, before, after, ended)
            yield from _third([*beginnings, before]) if beginnings else ()
            yield from asyncio.run(_measure_reads(server, run, total))


def _watch_beginning(prompts: int) -> Watched:
    """Watch the beginning of such a run on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as folder, served_in(Path(folder)) as server:
        return asyncio.run(_run_until(server, prompts, 3 * PART))[2]


async def _run_until(server: Served, prompts: int, upto: int) -> tuple[str, float, Watched]:
    """Run until *upto* verdicts. Return the run's name, the seconds that CreateRun took, and what was seen."""
    async with JudgeClient(server.address) as client:
        await _upload(client, prompts)
        spec = run_service_pb2.RunSpec(dataset="datasets/bench", judges=["judges/longest"])
        begin = perf_counter()
        run = (await client.create_run(spec)).name
        created = perf_counter() - begin
        return run, created, await _watch(client, server, run, upto=upto)


async def _watch_rest(server: Served, run: str) -> tuple[Watched, run_service_pb2.Run]:
    async with JudgeClient(server.address) as client:
        seen = await _watch(client, server, run, upto=0)
        return seen, await client.get_run(run)


async def _watch(client: JudgeClient, server: Served, run: str, *, upto: int) -> Watched:
    """Watch a run until *upto* verdicts, or to the end if *upto* is 0."""
    watched, before = Watched(), -1
    async for now in client.watch_run(run):
        count = now.counts.planned - now.counts.pending
        if 0 <= before < count and not watched.first:
            watched.first = perf_counter() - watched.begin_time
        before = count if before < 0 else before
        watched.marks.append((count, perf_counter()))
        watched.rss.append(server.rss)
        if upto and count >= upto:
            break
    return watched


def _of_run(
    total: int, created: float, before: Watched, after: Watched, ended: run_service_pb2.Run
) -> Iterator[Figure]:
    lost = total - ended.counts.by_status.get("ok", 0)
    yield Figure(bench="runs", figure="verdicts lost to a kill", value=lost, unit="verdicts", goal="0", met=lost == 0)
    yield Figure(
        bench="runs",
        figure="calls repeated after a kill",
        value=ended.counts.repeated,
        unit="calls",
        goal=f"<= {IN_FLIGHT}",
        met=ended.counts.repeated <= IN_FLIGHT,
    )
    yield Figure(bench="runs", figure="CreateRun", value=created, unit="s")
    yield Figure(
        bench="runs",
        figure="going on after a kill",
        value=after.first,
        unit="s",
        goal="< 60 s",
        met=after.first < 60,
    )
    peak = max(*before.rss, *after.rss) / MIB
    yield Figure(
        bench="runs",
        figure="server memory, the most",
        value=peak,
        unit="MiB",
        goal="< 1024 MiB",
        met=peak < 1024,
    )
    late = len(after.rss) // 2
    grown = (median(after.rss[-LOOKS:]) - median(after.rss[late : late + LOOKS])) / MIB
    yield Figure(
        bench="runs",
        figure="server memory, last quarter of the run",
        value=grown,
        unit="MiB more",
        goal="< 32 MiB",
        met=grown < 32,
    )


def _third(seen: list[Watched]) -> Iterator[Figure]:
    """Measure whether a large store is slower: medians over several runs, because one run depends on the machine."""
    pairs = [(part.rate(0, PART), part.rate(2 * PART, 3 * PART)) for part in seen]
    ratios = sorted(third / first for first, third in pairs)
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    yield Figure(
        bench="runs",
        figure="the third 100,000",
        value=median(third for _, third in pairs),
        unit="verdicts/s",
        peer=f"the first: {median(first for first, _ in pairs):.0f}/s; ratios {shown}",
        ratio=median(ratios),
        goal=">= 0.9 x",
        met=median(ratios) >= 0.9,
    )


async def _measure_reads(server: Served, run: str, total: int) -> list[Figure]:
    """Measure the leaderboard from the store, and the first and last page of verdicts."""
    async with JudgeClient(server.address) as client:
        source = f"run:{run.removeprefix('runs/')}/longest"
        seconds = []
        for _ in range(LEADERBOARDS):
            begin = perf_counter()
            leaderboard = await client.leaderboard("bench", source)
            seconds.append(perf_counter() - begin)
        leaderboard_seconds = median(seconds)
        first = await _page(client, run, 0)
        last = await _page(client, run, total - 1000)
    if len(leaderboard.ratings) != CONTESTANTS:
        message = f"the leaderboard has {len(leaderboard.ratings)} ratings"
        raise RuntimeError(message)
    return [
        Figure(
            bench="runs",
            figure="leaderboard from the store",
            value=leaderboard_seconds,
            unit="s",
            goal="< 5 s",
            met=leaderboard_seconds < 5,
        ),
        Figure(
            bench="runs",
            figure="ListVerdicts, the last page",
            value=last,
            unit="s",
            peer=f"the first: {first:.3f} s",
            ratio=last / first,
            goal="<= 1.5 x",
            met=last <= 1.5 * first,
        ),
    ]


async def _page(client: JudgeClient, run: str, begin: int) -> float:
    """Return the median seconds of a page of verdicts that starts at position *begin*."""
    request = run_service_pb2.ListVerdictsRequest(parent=run, page_size=1000, page_token=str(begin - 1))
    seconds = []
    for _ in range(LOOKS):
        start = perf_counter()
        await client.runs.ListVerdicts(request)
        seconds.append(perf_counter() - start)
    return median(seconds)


async def _upload(client: JudgeClient, prompts: int) -> None:
    await client.create_dataset("bench")
    await client.upload_prompts(
        "bench", [pb.Prompt(prompt_id=f"p{n}", turns=[f"What is {n}? " * 10]) for n in range(prompts)]
    )
    await client.upload_outputs(
        "bench",
        [
            pb.Output(
                prompt_id=f"p{n}", contestant=f"m{who}", turns=[f"It is {n}, says {who}. " * (10 + (who * 7 + n) % 13)]
            )
            for n in range(prompts)
            for who in range(CONTESTANTS)
        ],
    )
