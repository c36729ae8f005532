"""Invalid input over a real socket: the error names the cause, and nothing is stored in part."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor

from judge.api.v1 import (
    agreement_service_pb2,
    dataset_service_pb2,
    judge_service_pb2,
    outcome_pb2,
    ranking_service_pb2,
    run_service_pb2,
)
from judge.api.v1 import dataset_service_pb2 as pb
from judge_client import JudgeClient, JudgeClientError
from judge_client.batches import each
from judge_client.calls import upload

LARGE = 10 * 1024 * 1024
LEFT, HUMAN = outcome_pb2.OUTCOME_LEFT, outcome_pb2.ANNOTATOR_KIND_HUMAN
SERVICES = (
    agreement_service_pb2,
    dataset_service_pb2,
    judge_service_pb2,
    ranking_service_pb2,
    run_service_pb2,
)


async def _fill(client: JudgeClient) -> None:
    """Create a dataset `d` of one two-turn prompt with two outputs."""
    await client.create_dataset("d")
    await client.upload_prompts("d", [pb.Prompt(prompt_id="p", turns=["q", "and?"])])
    await client.upload_outputs(
        "d", [pb.Output(prompt_id="p", contestant=who, turns=[f"{who} says", "more"]) for who in "ab"]
    )


def _spec(*judges: str, **pairing: Any) -> run_service_pb2.RunSpec:  # noqa: ANN401  # fields of Pairing
    named = [f"judges/{name}" for name in judges or ("longest",)]
    return run_service_pb2.RunSpec(dataset="datasets/d", judges=named, pairing=run_service_pb2.Pairing(**pairing))


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (pb.Output(prompt_id="none", contestant="c", turns=["x"]), "prompt_id", "UNKNOWN_PROMPT"),
        (pb.Output(prompt_id="p", contestant="a", turns=["other", "more"]), "sample", "OUTPUT_DIFFERS"),
        (pb.Output(prompt_id="p", contestant="c", turns=[]), "turns", "MISSING_TURN"),
        (pb.Output(prompt_id="p", contestant="c", turns=["x" * LARGE]), "turns", "TEXT_TOO_LONG"),
        (pb.Output(prompt_id="p", contestant="c", turns=["x", "y", "z"]), "turn", "EXTRA_TURN"),
    ],
    ids=["no prompt", "other text", "no turn", "10 MB", "a turn too many"],
)
async def test_an_invalid_output_is_named_and_the_others_are_stored(
    client: JudgeClient, row: pb.Output, field: str, reason: str
) -> None:
    """The rejection has the row, its field and the reason; the valid row is stored, the invalid one is not."""
    await _fill(client)
    good = pb.Output(prompt_id="p", contestant="good", turns=["x", "y"])

    summary = await client.upload_outputs("d", [good, row])

    [rejection] = summary.rejections
    assert (rejection.row + rejection.batch, rejection.reason) == (1, reason)
    assert field in rejection.field
    assert (summary.accepted, summary.rejected) == (1, 1)
    assert (await client.get_dataset("d")).outputs == 3


async def test_an_upload_replaces_a_different_text_on_request(client: JudgeClient) -> None:
    await _fill(client)
    row = pb.Output(prompt_id="p", contestant="a", turns=["other", "more"])

    summary = await client.upload_outputs("d", [row], replace=True)

    assert (summary.replaced, summary.rejected) == (1, 0)
    assert (await client.get_dataset("d")).outputs == 2


async def test_a_label_between_a_contestant_and_itself_is_rejected(client: JudgeClient) -> None:
    await _fill(client)
    row = pb.Label(label_id="1", prompt_id="p", left="a", right="a", outcome=LEFT, annotator="x", kind=HUMAN)

    summary = await client.upload_labels("d", [row], source="s")

    assert "itself" in summary.rejections[0].message
    assert (await client.get_dataset("d")).labels == 0


async def test_a_broken_stream_stores_whole_batches_and_may_be_sent_again(client: JudgeClient) -> None:
    """Batches before the one that broke the stream are stored; sent again, their rows count as duplicates."""
    await _fill(client)
    outputs = [pb.Output(prompt_id="p", contestant=f"c{n}", turns=["x", "y"]) for n in range(1500)]

    messages = [
        pb.UploadOutputsRequest(dataset="datasets/d", outputs=outputs[:1000]),
        pb.UploadOutputsRequest(outputs=outputs[:1001]),
    ]

    with pytest.raises(JudgeClientError, match="1,001 rows"):
        await upload(client.datasets.UploadOutputs, each(messages))
    stored = (await client.get_dataset("d")).outputs - 2
    summary = await client.upload_outputs("d", outputs)

    assert stored == 1000
    assert (summary.duplicates, summary.accepted) == (1000, 500)


@pytest.mark.parametrize(
    ("spec", "code", "phrase"),
    [
        (_spec("nobody"), grpc.StatusCode.NOT_FOUND, "nobody"),
        (_spec("http://127.0.0.1/v1"), grpc.StatusCode.NOT_FOUND, "there is no judge"),
        (_spec(contestants=["a", "zoe"]), grpc.StatusCode.INVALID_ARGUMENT, "zoe"),
        (_spec(policy=run_service_pb2.PAIR_POLICY_LISTED), grpc.StatusCode.FAILED_PRECONDITION, "leave 0 pairs"),
        (_spec(contestants=["a"]), grpc.StatusCode.FAILED_PRECONDITION, "leave 0 pairs"),
        (_spec(categories=["none"]), grpc.StatusCode.INVALID_ARGUMENT, "none"),
    ],
    ids=["judge", "a URL for a judge", "contestant", "nothing listed", "one contestant", "category"],
)
async def test_an_impossible_run_is_rejected(
    client: JudgeClient, spec: run_service_pb2.RunSpec, code: grpc.StatusCode, phrase: str
) -> None:
    """The error names the cause, and no run is created."""
    await _fill(client)

    with pytest.raises(JudgeClientError, match=phrase) as refused:
        await client.create_run(spec)

    assert refused.value.code == code
    assert [run async for run in client.list_runs()] == []


async def test_a_request_id_is_one_run(client: JudgeClient) -> None:
    """A repeated request id returns its run; with different settings it is ALREADY_EXISTS and names the run."""
    await _fill(client)
    run = await client.create_run(_spec(), "mine")
    await client.wait_run(run.name)

    again = await client.create_run(_spec(), "mine")
    with pytest.raises(JudgeClientError, match=run.name.removeprefix("runs/")) as reused:
        await client.create_run(_spec("first"), "mine")

    assert (again.name, again.state) == (run.name, run_service_pb2.RUN_STATE_DONE)
    assert (reused.value.code, reused.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


@pytest.mark.parametrize(
    ("method", "streams"),
    [
        ("DatasetService/GetDataset", False),
        ("RunService/CreateRun", False),
        ("RunService/WatchRun", False),
        ("DatasetService/UploadOutputs", True),
        ("RankingService/RankBattles", True),
    ],
)
@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x02\xc3\x28"], ids=["no protobuf", "no UTF-8"])
async def test_an_undecodable_body_is_an_invalid_argument(
    client: JudgeClient, method: str, body: bytes, *, streams: bool
) -> None:
    """A body that is no message, or has text that is not UTF-8, is INVALID_ARGUMENT with a reason."""
    make: Any = client.channel.stream_unary if streams else client.channel.unary_unary
    if method.endswith("WatchRun"):
        make = client.channel.unary_stream
    call = make(f"/judge.api.v1.{method}")(each([body]) if streams else body)

    assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert b"UNDECODABLE" in dict(await call.trailing_metadata())["grpc-status-details-bin"]


def test_law_7_no_request_has_a_field_for_an_address_a_key_or_a_template() -> None:
    """A client can only name a judge: no request has a field for a URL, a key or a template."""
    forbidden = {"url", "uri", "key", "path", "template", "endpoint", "credential", "host", "header", "headers"}
    seen: dict[str, set[str]] = {}

    def walk(message: Descriptor) -> None:
        if message.full_name not in seen:
            # An entry of a map has the fields key and value, whatever it maps.
            is_entry = message.GetOptions().map_entry
            seen[message.full_name] = set() if is_entry else {field.name for field in message.fields}
            for field in message.fields:
                if field.message_type is not None:
                    walk(field.message_type)

    for module in SERVICES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                walk(method.input_type)

    assert len(seen) > 40
    assert [
        (name, field) for name, fields in seen.items() for field in fields if forbidden & set(field.split("_"))
    ] == []


@pytest.mark.parametrize(
    "pairing",
    [
        {"repeats": 2**31 - 1},
        {"repeats": 2**31 - 1, "policy": run_service_pb2.PAIR_POLICY_ADAPTIVE, "count": 1},
        {"cache_tag": "x" * 257},
        {"cache_tag": "a\0b"},
    ],
    ids=["repeats", "adaptive repeats", "long tag", "NUL in tag"],
)
async def test_a_run_that_is_refused_does_not_exist(client: JudgeClient, pairing: dict[str, Any]) -> None:
    """A run that is too large is invalid and creates nothing, and runs can still be listed."""
    await _fill(client)

    with pytest.raises(JudgeClientError) as caught:
        await client.create_run(_spec(**pairing))

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [run async for run in client.list_runs()] == []
