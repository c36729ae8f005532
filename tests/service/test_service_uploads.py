"""Uploads over a real socket: how many rows a message may have."""

from __future__ import annotations

import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import outcome_pb2
from judge_client import JudgeClient, JudgeClientError
from judge_client.batches import each
from judge_client.calls import upload

N_ROWS = 1001
LEFT, HUMAN = outcome_pb2.OUTCOME_LEFT, outcome_pb2.ANNOTATOR_KIND_HUMAN


async def test_a_message_of_too_many_label_rows_is_refused_whole(client: JudgeClient) -> None:
    """A message with more than 1,000 label rows is rejected, and none of its rows is stored."""
    await client.create_dataset("d")
    rows = [
        pb.Label(label_id=str(i), prompt_id="p", left="a", right="b", outcome=LEFT, annotator="x", kind=HUMAN)
        for i in range(N_ROWS)
    ]
    message = pb.UploadLabelsRequest(dataset="datasets/d", source="s", labels=rows)

    with pytest.raises(JudgeClientError, match="1,001 rows") as refused:
        await upload(client.datasets.UploadLabels, each([message]))

    assert refused.value.reason == "BATCH_TOO_LARGE"
    assert (await client.get_dataset("d")).labels == 0


async def test_columns_may_hold_more_than_rows(client: JudgeClient) -> None:
    """A message may have more than 1,000 labels as columns."""
    await client.create_dataset("d")
    columns = pb.LabelColumns(
        names=["a", "b", "p", "x"],
        left=[0] * N_ROWS,
        right=[1] * N_ROWS,
        prompt=[2] * N_ROWS,
        annotator=[3] * N_ROWS,
        outcome=[outcome_pb2.OUTCOME_LEFT] * N_ROWS,
        kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
    )
    message = pb.UploadLabelsRequest(dataset="datasets/d", source="s", columns=columns)

    reply = await upload(client.datasets.UploadLabels, each([message]))

    assert reply.summary.accepted == N_ROWS
