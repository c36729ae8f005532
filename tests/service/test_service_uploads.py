"""Uploads over a real socket: what a message may hold."""

from __future__ import annotations

import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import outcome_pb2
from judge_client import JudgeClient, JudgeClientError
from judge_client.batches import each
from judge_client.calls import upload

MANY = 1001


async def test_a_message_of_too_many_label_rows_is_refused_whole(client: JudgeClient) -> None:
    """At most 1,000 label rows a message; none of a larger one is stored."""
    await client.create_dataset("d")
    rows = [
        pb.Label(label_id=str(i), prompt_id="p", left="a", right="b", outcome=1, annotator="x", kind=1)
        for i in range(MANY)
    ]
    message = pb.UploadLabelsRequest(dataset="datasets/d", source="s", labels=rows)

    with pytest.raises(JudgeClientError, match="1,001 rows") as refused:
        await upload(client.datasets.UploadLabels, each([message]))

    assert refused.value.reason == "BATCH_TOO_LARGE"
    assert (await client.get_dataset("d")).labels == 0


async def test_columns_may_hold_more_than_rows(client: JudgeClient) -> None:
    """More than 1,000 labels come in one message as columns."""
    await client.create_dataset("d")
    columns = pb.LabelColumns(
        names=["a", "b", "p", "x"],
        left=[0] * MANY,
        right=[1] * MANY,
        prompt=[2] * MANY,
        annotator=[3] * MANY,
        outcome=[outcome_pb2.OUTCOME_LEFT] * MANY,
        kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
    )
    message = pb.UploadLabelsRequest(dataset="datasets/d", source="s", columns=columns)

    reply = await upload(client.datasets.UploadLabels, each([message]))

    assert reply.summary.accepted == MANY
