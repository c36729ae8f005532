"""A judge that fails in each of its ways: what becomes of the showings, and of the leaderboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import run_service_pb2
from judge_client import JudgeClient, JudgeClientError
from support.service_process import Endpoint, listening, serving

JUDGE = """
[judges.{name}]
backend = "openai"
model = "m"
base_url = "{url}"
rubric = "brackets"
"""


FAILING = {
    "400": (Endpoint(status=400), "rejected"),
    "none": (Endpoint(text="I would rather not say."), "unreadable"),
    "both": (Endpoint(text="[[A]] or [[B]]"), "unreadable"),
}
"""How a judge fails, by the judge's name, and what its showings become."""


@asynccontextmanager
async def failing(home: Path) -> AsyncIterator[JudgeClient]:
    """A client of a server with those judges."""
    async with AsyncExitStack() as stack:
        text = "log_json = true\n"
        for name, (endpoint, _) in FAILING.items():
            url = await stack.enter_async_context(listening(endpoint))
            text += JUDGE.format(name=name, url=url)
        (home / "judge.toml").write_text(text, "utf-8")
        server = await stack.enter_async_context(serving(home))
        yield await stack.enter_async_context(JudgeClient(server.address))


async def test_law_2_a_failure_is_never_a_score_and_never_a_tie(tmp_path: Path) -> None:
    """Every showing has its status or state in the run's counts, and none of it is ranked."""
    found = {}
    async with asyncio.timeout(120), failing(tmp_path) as client:
        await client.create_dataset("d")
        await client.upload_prompts("d", [pb.Prompt(prompt_id="p", turns=["q"])])
        await client.upload_outputs(
            "d", [pb.Output(prompt_id="p", contestant=who, turns=[f"{who} says"]) for who in "abc"]
        )
        for name in FAILING:
            spec = run_service_pb2.RunSpec(dataset="datasets/d", judges=[f"judges/{name}"])
            run = await client.wait_run((await client.create_run(spec)).name)
            with pytest.raises(JudgeClientError) as refused:
                await client.leaderboard("d", f"run:{run.name.removeprefix('runs/')}/{name}")
            found[name] = run, refused.value.code.name

    for name, (run, code) in found.items():
        assert dict(run.counts.by_status) == {FAILING[name][1]: 6}
        assert run.state == run_service_pb2.RUN_STATE_DONE
        assert code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND")
    assert found.keys() == FAILING.keys()


async def test_law_2_a_presentation_that_is_not_recorded_says_so_and_ends_no_run(client: JudgeClient) -> None:
    """Of a recorded judge one order was uploaded: the other has the state not_recorded, no call was made for it."""
    await client.create_dataset("d")
    await client.upload_prompts("d", [pb.Prompt(prompt_id="p", turns=["q"])])
    await client.upload_outputs("d", [pb.Output(prompt_id="p", contestant=who, turns=[f"{who} says"]) for who in "ab"])
    await client.upload_verdicts(
        "d", [pb.ImportedVerdict(judge="old", prompt_id="p", left="a", right="b", order=1, raw="[[A]]", outcome=1)]
    )
    spec = run_service_pb2.RunSpec(dataset="datasets/d", judges=["judges/old"])

    run = await client.wait_run((await client.create_run(spec)).name)

    assert dict(run.counts.by_status) == {"ok": 1, "not_recorded": 1}
    assert (run.state, run.counts.calls) == (run_service_pb2.RUN_STATE_DONE, 0)
