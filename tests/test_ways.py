"""The two ways that judge/README.md describes are walked: each file on a way is reached, from at most two others."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient
from support.demo_data import upload_demo

PACKAGE = Path(__file__).parents[1] / "judge"
GUIDE = (PACKAGE / "README.md").read_text("utf-8")
ELSEWHERE = {
    "proto/judge/api/v1/run_service.proto",
    "engines/workflow.py",
    "backends/openai.py",
    "prompts/render.py",
    "execution/batch_runner.py",
    "store/budgets.py",
}
"""Named on a way, but not Python, or only reached with Temporal, a model, its budget or a provider's batches."""
Callers = dict[str, set[str]]


def way(title: str) -> list[str]:
    """Return the files that the section *title* of the guide names, in order."""
    section = GUIDE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    steps = re.findall(r"(?m)^(?:\d+\.|   ).*$", section)
    return re.findall(r"`([a-z_]+/[\w/]+\.(?:py|proto))`", "\n".join(steps))


@contextmanager
def watch_calls(files: set[str]) -> Iterator[Callers]:
    """Record which of *files* call functions of which others, in this thread and in those that it starts."""
    names = {str(PACKAGE / file): file for file in files}
    callers: Callers = defaultdict(set)

    def profile(frame: FrameType, event: str, _: Any) -> None:  # noqa: ANN401  # as the interpreter calls it
        if event != "call" or (file := names.get(frame.f_code.co_filename)) is None:
            return
        callers[file]
        caller = frame.f_back
        while caller is not None and caller.f_code.co_filename not in names:
            caller = caller.f_back
        if caller is not None:
            callers[file].add(names[caller.f_code.co_filename])

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield callers
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.mark.parametrize("title", ["From CreateRun to a stored verdict", "From GetLeaderboard to a rating"])
def test_no_file_is_named_more_than_twice_on_a_way(title: str) -> None:
    """Following a request, a reader opens a file once or twice."""
    files = Counter(way(title))

    assert len(files) >= 8
    assert {file: n for file, n in files.items() if n > 2} == {}
    assert [file for file in files if not (PACKAGE / file).exists() and not (PACKAGE.parent / file).exists()] == []


async def test_both_ways_are_walked(client: JudgeClient) -> None:
    """Each file on a way is reached, and at most two others on the way call it, apart from itself."""
    await upload_demo(client, prompts=6)
    spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/matches-reference"])
    to_verdict, to_rating = (
        set(way(title)) - ELSEWHERE
        for title in ("From CreateRun to a stored verdict", "From GetLeaderboard to a rating")
    )

    # Only threads that start while calls are watched are seen.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    with watch_calls(to_verdict) as verdict_callers:
        await client.wait_run((await client.create_run(spec)).name)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    with watch_calls(to_rating) as rating_callers:
        await client.leaderboard("demo", "judge:matches-reference")

    assert (to_verdict, to_rating) == (set(verdict_callers), set(rating_callers))
    for callers in (verdict_callers, rating_callers):
        assert {file: others - {file} for file, others in callers.items() if len(others - {file}) > 2} == {}
