"""Prompts and outputs of messages over a real socket: stored, read, judged, and refused if a judge takes no images."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import judge_service_pb2, outcome_pb2, verdict_pb2
from judge.api.v1 import run_service_pb2 as pb
from judge.app.local import running
from judge.config.settings import JudgeSettings
from judge.domain.dataset import Output, Prompt
from judge.domain.messages import ChatMessage, ChatTurn, Document, Image, Role, TextPart, ToolCall, ToolResult
from judge.rpc import rows
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import settings
from support.postgres import Postgres
from support.provider import KEY, Provider, ProviderCall
from support.provider_server import serving_provider

SYSTEM = ChatMessage(Role.SYSTEM, (TextPart("Be brief."),))
ASKED = ChatTurn((SYSTEM, ChatMessage(Role.USER, (Document(text="D", title="T"), TextPart("Why?")))))
PICTURE = ChatTurn((ChatMessage(Role.USER, (TextPart("What?"), Image(bytes(range(256)), "image/png"))),))
AGENT = ChatTurn(
    (
        ChatMessage(Role.ASSISTANT, (ToolCall(name="look", arguments="{}", call_id="c"),)),
        ChatMessage(Role.TOOL, (ToolResult(text="blue", call_id="c"),)),
        ChatMessage(Role.ASSISTANT, (TextPart("Blue."),)),
    )
)
PROMPTS = [Prompt("text", ("q",)), Prompt("chat", (ASKED, "and?"))]
PICTURES = [Prompt("picture", (PICTURE,)), Prompt("picture 2", (PICTURE,))]


@pytest.fixture(params=["file", "shared"])
async def client(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[JudgeClient]:
    """A client of a service on each kind of store, whose judges `blind` and `seeing` call a provider."""
    monkeypatch.setenv("FAR_KEY", KEY)

    def reply(asked: ProviderCall) -> str:
        request.node.asked.append(asked)
        return "[[A]]"

    request.node.asked = []
    async with serving_provider(Provider(reply)) as url:
        far: dict[str, Any] = {
            "backend": "openai",
            "model": "m",
            "base_url": url,
            "rubric": "brackets",
            "key_env": "FAR_KEY",
        }
        judges = {
            "blind": JudgeSettings.model_validate(far),
            "seeing": JudgeSettings.model_validate({**far, "capabilities": {"images": True}}),
        }
        made = settings(**judges)
        if request.param == "file":
            async with (
                running(made, store_url=f"sqlite:///{tmp_path / 'judge.db'}", listen=None) as address,
                JudgeClient(address) as connected,
            ):
                yield connected
            return
        server: Postgres = request.getfixturevalue("server")
        with server.fresh() as store:
            async with running(made, store_url=store, listen=None) as address, JudgeClient(address) as connected:
                yield connected


async def fill(client: JudgeClient, prompts: list[Prompt]) -> list[Output]:
    """Upload *prompts*, each with an output of an agent and one of texts; return the outputs."""
    outputs = [
        Output(prompt.prompt_id, name, (turn, *("more" for _ in prompt.turns[1:])))
        for prompt in prompts
        for name, turn in (("agent", AGENT), ("plain", "Blue."))
    ]
    await client.create_dataset("d")
    assert not (await client.upload_prompts("d", map(rows.prompt, prompts))).rejected
    assert not (await client.upload_outputs("d", map(rows.output, outputs))).rejected
    return outputs


def spec(judge: str) -> pb.RunSpec:
    return pb.RunSpec(dataset="datasets/d", judges=[f"judges/{judge}"], pairing=pb.Pairing(orders=pb.ORDER_POLICY_ONE))


async def test_messages_are_read_as_they_were_uploaded(client: JudgeClient) -> None:
    """Again, too, they are duplicates; other messages of the same text are not the same prompt."""
    outputs = await fill(client, [*PROMPTS, *PICTURES])

    read = [batch async for batch in client.read_dataset("d")]
    again = await client.upload_prompts("d", [row for batch in read for row in batch.prompts])
    text = await client.upload_prompts("d", [ds.Prompt(prompt_id="picture", turns=[PICTURE.text])])

    assert [row for batch in read for row in batch.prompts] == [rows.prompt(row) for row in (*PROMPTS, *PICTURES)]
    assert [row for batch in read for row in batch.outputs] == [rows.output(row) for row in outputs]
    assert again.duplicates == 4
    assert [rejection.reason for rejection in text.rejections] == ["PROMPT_DIFFERS"]


async def test_a_judge_is_shown_roles_and_tools(client: JudgeClient, request: pytest.FixtureRequest) -> None:
    """A run over chats, and a second one, whose verdicts are all stored already."""
    await fill(client, PROMPTS)

    run = await client.create_run(spec("blind"))
    ended = await client.wait_run(run.name)
    again = await client.wait_run((await client.create_run(spec("blind"))).name)

    asked = [call.user for call in request.node.asked]
    assert len(asked) == 2
    chat = next(text for text in asked if "question_1, system" in text)
    for marker in ("question_1, user, document", "_1, assistant, tool call", "_1, tool, tool result"):
        assert marker in chat
    verdicts = [each async for each in client.list_verdicts(run.name, view=verdict_pb2.VERDICT_VIEW_FULL)]
    assert {verdict.status for verdict in verdicts} == {outcome_pb2.VERDICT_STATUS_OK}
    assert (ended.state, again.state) == (pb.RUN_STATE_DONE, pb.RUN_STATE_DONE)


async def test_a_run_with_images_needs_a_judge_that_takes_them(
    client: JudgeClient, request: pytest.FixtureRequest
) -> None:
    """The error says which judge does not, and how many prompts have images. Baseline judges see only texts."""
    await fill(client, [*PROMPTS, *PICTURES])

    with pytest.raises(JudgeClientError, match=r"judge 'blind' takes no images, and 2 of the prompts") as refused:
        await client.create_run(spec("blind"))
    baseline = await client.wait_run((await client.create_run(spec("longest"))).name)
    ended = await client.wait_run((await client.create_run(spec("seeing"))).name)

    assert refused.value.reason == "NO_IMAGES"
    assert (baseline.state, ended.state) == (pb.RUN_STATE_DONE, pb.RUN_STATE_DONE)
    bodies = [str(call.body) for call in request.node.asked]
    # Both prompts have the same content, so they are one call.
    assert sum("data:image/png;base64,AAECAwQ" in body for body in bodies) == 1


async def test_an_adaptive_run_with_images_is_refused_too(client: JudgeClient) -> None:
    """Before its first round, whichever pairs that would have."""
    await fill(client, [*PROMPTS, *PICTURES])
    adaptive = spec("blind")
    adaptive.pairing.MergeFrom(pb.Pairing(policy=pb.PAIR_POLICY_ADAPTIVE, count=1, round_size=1))

    with pytest.raises(JudgeClientError, match=r"2 of the prompts"):
        await client.create_run(adaptive)


async def test_a_preview_has_a_line_for_an_image(client: JudgeClient) -> None:
    """It says what would be sent, without the bytes."""
    await fill(client, PICTURES)
    shown = outcome_pb2.Presentation(prompt_id="picture", turn=1, left="agent", right="plain")
    given = judge_service_pb2.JudgeInput(dataset="datasets/d", presentation=shown)

    preview = await client.preview_prompt("seeing", given)

    assert "image/png, 256 bytes" in preview.messages[1].content
