"""A judge that fails in different ways: the status of the presentations, and the leaderboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import outcome_pb2, run_service_pb2
from judge_client import JudgeClient, JudgeClientError
from support.service_process import Endpoint, listening, serving

LEFT, LEFT_FIRST = outcome_pb2.OUTCOME_LEFT, outcome_pb2.ORDER_LEFT_FIRST
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
"""The endpoint of each failing judge, by the judge's name, and the status of its presentations."""


@asynccontextmanager
async def failing(home: Path) -> AsyncIterator[JudgeClient]:
    """Run a server with the failing judges and yield a client."""
    async with AsyncExitStack() as stack:
        text = "log_json = true\n"
        for name, (endpoint, _) in FAILING.items():
            url = await stack.enter_async_context(listening(endpoint))
            text += JUDGE.format(name=name, url=url)
        (home / "judge.toml").write_text(text, "utf-8")
        server = await stack.enter_async_context(serving(home))
        yield await stack.enter_async_context(JudgeClient(server.address))


async def test_law_2_a_failure_is_never_a_score_and_never_a_tie(tmp_path: Path) -> None:
    """Every failed presentation is counted by its status, and none is ranked."""
    outcomes = {}
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
            outcomes[name] = run, refused.value.code.name

    for name, (run, code) in outcomes.items():
        assert dict(run.counts.by_status) == {FAILING[name][1]: 6}
        assert run.state == run_service_pb2.RUN_STATE_DONE
        assert code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND")
    assert outcomes.keys() == FAILING.keys()


async def test_law_2_a_presentation_that_is_not_recorded_says_so_and_ends_no_run(client: JudgeClient) -> None:
    """If a recorded judge has only one order, the other is counted as not_recorded, without a call; the run ends."""
    await client.create_dataset("d")
    await client.upload_prompts("d", [pb.Prompt(prompt_id="p", turns=["q"])])
    await client.upload_outputs("d", [pb.Output(prompt_id="p", contestant=who, turns=[f"{who} says"]) for who in "ab"])
    await client.upload_verdicts(
        "d",
        [
            pb.ImportedVerdict(
                judge="old", prompt_id="p", left="a", right="b", order=LEFT_FIRST, raw="[[A]]", outcome=LEFT
            )
        ],
    )
    spec = run_service_pb2.RunSpec(dataset="datasets/d", judges=["judges/old"])

    run = await client.wait_run((await client.create_run(spec)).name)

    assert dict(run.counts.by_status) == {"ok": 1, "not_recorded": 1}
    assert (run.state, run.counts.calls) == (run_service_pb2.RUN_STATE_DONE, 0)
