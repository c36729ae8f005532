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
WARM = 10_000
"""Rows after which the server has loaded and cached what it will."""
GROWTH_MIB = 16
"""A batch in flight is at most 4 MiB, and is held decoded, as nouns and as rows at once."""
TEXT = "This is a short answer, of the kind that a model gives to a simple question. " * 3


def figures() -> Iterator[Figure]:
    """Rows a second and growth of resident memory."""
    told(f"uploads: {PROMPTS * CONTESTANTS} outputs")
    with served() as server:
        seconds, growth = asyncio.run(_upload(server))
    yield Figure("uploads", "outputs uploaded", PROMPTS * CONTESTANTS / seconds, "rows/s")
    mib = growth / 2**20
    yield Figure("uploads", "server memory grown", mib, "MiB", goal=f"<= {GROWTH_MIB} MiB", met=mib <= GROWTH_MIB)


async def _upload(server: Served) -> tuple[float, int]:
    warm, highest = 0, 0

    async def rows() -> AsyncIterator[pb.Output]:
        nonlocal warm, highest
        for at in range(PROMPTS * CONTESTANTS):
            prompt, contestant = divmod(at, CONTESTANTS)
            if at == WARM:
                warm = server.rss
            if at > WARM and not at % 1000:
                highest = max(highest, server.rss)
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
    return seconds, max(highest, server.rss) - warm
