"""Upload 100,000 small outputs to a real server: rows per second and growth of the server's memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from time import perf_counter

from figures import Figure, progress
from server import Served, served

from judge.api.v1 import dataset_service_pb2 as pb
from judge_client import JudgeClient

PROMPTS, CONTESTANTS = 1_000, 100
MARKS = (10_000, 50_000)
"""Rows after which growth is measured: soon, and once the store's caches are full."""
GROWTH_MIB = 4
"""The allowed growth, which the largest batch in flight needs."""
TEXT = "This is a short answer, of the kind that a model gives to a simple question. " * 3


def figures() -> Iterator[Figure]:
    """Measure rows per second and the growth of resident memory."""
    progress(f"uploads: {PROMPTS * CONTESTANTS} outputs")
    with served() as server:
        seconds, grown = asyncio.run(_upload(server))
    rate = PROMPTS * CONTESTANTS / seconds
    yield Figure(bench="uploads", figure="outputs uploaded", value=rate, unit="rows/s")
    for mark, most in grown.items():
        mib = most / 2**20
        figure, goal = f"server memory grown since row {mark}", f"<= {GROWTH_MIB} MiB"
        met = mib <= GROWTH_MIB
        yield Figure(bench="uploads", figure=figure, value=mib, unit="MiB", goal=goal, met=met)


async def _upload(server: Served) -> tuple[float, dict[int, int]]:
    sizes: dict[int, int] = {}

    async def rows() -> AsyncIterator[pb.Output]:
        for at in range(PROMPTS * CONTESTANTS):
            prompt, contestant = divmod(at, CONTESTANTS)
            if not at % 1000:
                sizes[at] = server.rss
            yield pb.Output(prompt_id=f"p{prompt}", contestant=f"m{contestant}", turns=[f"{at} {TEXT}"])

    async with JudgeClient(server.address) as client:
        await client.create_dataset("bench")
        await client.upload_prompts("bench", [pb.Prompt(prompt_id=f"p{n}", turns=[f"{n}?"]) for n in range(PROMPTS)])
        begin = perf_counter()
        summary = await client.upload_outputs("bench", rows())
        seconds = perf_counter() - begin
    if summary.accepted != PROMPTS * CONTESTANTS:
        message = f"only {summary.accepted:,} of {PROMPTS * CONTESTANTS:,} rows were accepted"
        raise RuntimeError(message)
    sizes[PROMPTS * CONTESTANTS] = server.rss
    return seconds, {mark: max(size for at, size in sizes.items() if at >= mark) - sizes[mark] for mark in MARKS}
