"""Uploading 100,000 small outputs to a real server: rows a second, and how much its memory grows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from time import perf_counter

from figures import Figure, told
from server import Served, served

from judge.api.v1 import dataset_service_pb2 as pb
from judge_client import JudgeClient

PROMPTS, CONTESTANTS = 1_000, 100
MARKS = (10_000, 50_000)
"""Rows after which growth is counted: soon, and once the caches of the store are full."""
GROWTH_MIB = 4
"""The largest batch in flight."""
TEXT = "This is a short answer, of the kind that a model gives to a simple question. " * 3


def figures() -> Iterator[Figure]:
    """Rows a second and growth of resident memory."""
    told(f"uploads: {PROMPTS * CONTESTANTS} outputs")
    with served() as server:
        seconds, grown = asyncio.run(_upload(server))
    yield Figure("uploads", "outputs uploaded", PROMPTS * CONTESTANTS / seconds, "rows/s")
    for mark, most in grown.items():
        mib = most / 2**20
        figure, goal = f"server memory grown since row {mark}", f"<= {GROWTH_MIB} MiB"
        yield Figure("uploads", figure, mib, "MiB", goal=goal, met=mib <= GROWTH_MIB)


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
        begun = perf_counter()
        summary = await client.upload_outputs("bench", rows())
        seconds = perf_counter() - begun
    if summary.accepted != PROMPTS * CONTESTANTS:
        message = f"only {summary.accepted} rows were taken"
        raise RuntimeError(message)
    sizes[PROMPTS * CONTESTANTS] = server.rss
    return seconds, {mark: max(size for at, size in sizes.items() if at >= mark) - sizes[mark] for mark in MARKS}
