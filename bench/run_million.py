"""A million verdicts of an instant judge on one SQLite file, by a real server that is killed half-way.

Held: memory stays flat and under 1 GB, the third 100,000 is as fast as the first, the run goes on within a minute of
the server's start, the leaderboard takes under 5 s, and the last page of verdicts comes as fast as the first.
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
from figures import Figure, told
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
"""Calls at once of a judge that computes: the whole of each shard at work."""


@dataclass
class Seen:
    """What a watcher saw of one server's part of a run."""

    begun: float = field(default_factory=perf_counter)
    first: float = 0.0
    """Seconds until the first verdict that was not there before."""
    marks: list[tuple[int, float]] = field(default_factory=list)
    """Verdicts, and the seconds at which there were as many."""
    rss: list[int] = field(default_factory=list)

    def rate(self, low: int, high: int) -> float:
        """Verdicts a second between two counts: the median over pieces, for others use the machine too."""
        counts, seconds = zip(*self.marks, strict=True)
        # A watcher looks twice a second; between two looks the verdicts came evenly, as far as anybody knows.
        at = np.interp(np.arange(low, high + 1, PIECE), counts, seconds)
        return float(np.median(PIECE / np.diff(at)))


def figures(verdicts: int) -> Iterator[Figure]:
    """The figures of one run of about so many verdicts."""
    prompts = max(1, round(verdicts / (2 * PAIRS)))
    total = prompts * PAIRS * 2
    told(f"runs: {total} verdicts of an instant judge on SQLite, the server killed half-way")
    begun = [_begun(prompts) for _ in range(RUNS - 1)] if total // 2 >= 3 * PART else []
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as folder:
        home = Path(folder)
        with served_in(home) as server:
            run, created, before = asyncio.run(_until(server, prompts, total // 2))
            server.process.kill()
        with served_in(home) as server:
            after, ended = asyncio.run(_rest(server, run))
            yield from _of_run(total, created, before, after, ended)
            yield from _third([*begun, before]) if begun else ()
            yield from asyncio.run(_measure_reads(server, run, total))


def _begun(prompts: int) -> Seen:
    """The beginning of such a run by a server of its own."""
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as folder, served_in(Path(folder)) as server:
        return asyncio.run(_until(server, prompts, 3 * PART))[2]


async def _until(server: Served, prompts: int, upto: int) -> tuple[str, float, Seen]:
    """A run as far as *upto* verdicts: its name, the seconds that it took to create it, and what was seen."""
    async with JudgeClient(server.address) as client:
        await _upload(client, prompts)
        spec = run_service_pb2.RunSpec(dataset="datasets/bench", judges=["judges/longest"])
        begun = perf_counter()
        run = (await client.create_run(spec)).name
        created = perf_counter() - begun
        return run, created, await _seen(client, server, run, upto=upto)


async def _rest(server: Served, run: str) -> tuple[Seen, run_service_pb2.Run]:
    async with JudgeClient(server.address) as client:
        seen = await _seen(client, server, run, upto=0)
        return seen, await client.get_run(run)


async def _seen(client: JudgeClient, server: Served, run: str, *, upto: int) -> Seen:
    """Watch until there are *upto* verdicts, or to the end."""
    seen, before = Seen(), -1
    async for now in client.watch_run(run):
        count = now.counts.planned - now.counts.pending
        if 0 <= before < count and not seen.first:
            seen.first = perf_counter() - seen.begun
        before = count if before < 0 else before
        seen.marks.append((count, perf_counter()))
        seen.rss.append(server.rss)
        if upto and count >= upto:
            break
    return seen


def _of_run(total: int, created: float, before: Seen, after: Seen, ended: run_service_pb2.Run) -> Iterator[Figure]:
    lost = total - ended.counts.by_status.get("ok", 0)
    yield Figure("runs", "verdicts lost to a kill", lost, "verdicts", goal="0", met=lost == 0)
    yield Figure(
        "runs",
        "calls repeated after a kill",
        ended.counts.repeated,
        "calls",
        goal=f"<= {IN_FLIGHT}",
        met=ended.counts.repeated <= IN_FLIGHT,
    )
    yield Figure("runs", "CreateRun", created, "s")
    yield Figure("runs", "going on after a kill", after.first, "s", goal="< 60 s", met=after.first < 60)
    peak = max(*before.rss, *after.rss) / MIB
    yield Figure("runs", "server memory, the most", peak, "MiB", goal="< 1024 MiB", met=peak < 1024)
    late = len(after.rss) // 2
    grown = (median(after.rss[-LOOKS:]) - median(after.rss[late : late + LOOKS])) / MIB
    yield Figure("runs", "server memory, last quarter of the run", grown, "MiB more", goal="< 32 MiB", met=grown < 32)


def _third(seen: list[Seen]) -> Iterator[Figure]:
    """Whether a store that has grown is slower: in medians over several runs, for one pair tells of the machine."""
    pairs = [(one.rate(0, PART), one.rate(2 * PART, 3 * PART)) for one in seen]
    ratios = sorted(third / first for first, third in pairs)
    yield Figure(
        "runs",
        "the third 100,000",
        median(third for _, third in pairs),
        "verdicts/s",
        f"the first: {median(first for first, _ in pairs):.0f}/s; ratios {', '.join(f'{one:.2f}' for one in ratios)}",
        median(ratios),
        ">= 0.9 x",
        median(ratios) >= 0.9,
    )


async def _measure_reads(server: Served, run: str, total: int) -> list[Figure]:
    """The leaderboard from the store, and pages at both ends."""
    async with JudgeClient(server.address) as client:
        source = f"run:{run.removeprefix('runs/')}/longest"
        taken = []
        for _ in range(LEADERBOARDS):
            begun = perf_counter()
            leaderboard = await client.leaderboard("bench", source)
            taken.append(perf_counter() - begun)
        ranked = median(taken)
        first = await _page(client, run, 0)
        last = await _page(client, run, total - 1000)
    if len(leaderboard.ratings) != CONTESTANTS:
        message = f"the leaderboard has {len(leaderboard.ratings)} ratings"
        raise RuntimeError(message)
    return [
        Figure("runs", "leaderboard from the store", ranked, "s", goal="< 5 s", met=ranked < 5),
        Figure(
            "runs",
            "ListVerdicts, the last page",
            last,
            "s",
            f"the first: {first:.3f} s",
            last / first,
            "<= 1.5 x",
            last <= 1.5 * first,
        ),
    ]


async def _page(client: JudgeClient, run: str, begin: int) -> float:
    """Seconds for the page of verdicts from position *begin* on; the median of some."""
    asked = run_service_pb2.ListVerdictsRequest(parent=run, page_size=1000, page_token=str(begin - 1))
    taken = []
    for _ in range(LOOKS):
        began = perf_counter()
        await client.runs.ListVerdicts(asked)
        taken.append(perf_counter() - began)
    return median(taken)


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
