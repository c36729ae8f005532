"""Calls over a socket that no other test makes: direct judgments, listed pairs, stateless agreement."""

from __future__ import annotations

import grpc
import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import judge_service_pb2, outcome_pb2, run_service_pb2, verdict_pb2
from judge.rpc.agreements import AgreementServicer
from judge.rpc.datasets import DatasetServicer
from judge.rpc.judges import JudgeServicer
from judge.rpc.rankings import RankingServicer
from judge.rpc.runs import RunServicer
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import rows, upload_demo

FULL = verdict_pb2.VERDICT_VIEW_FULL
LEFT, HUMAN = outcome_pb2.OUTCOME_LEFT, outcome_pb2.ANNOTATOR_KIND_HUMAN


def _judge_input(order: outcome_pb2.Order.ValueType = outcome_pb2.ORDER_LEFT_FIRST) -> judge_service_pb2.JudgeInput:
    """Return the first prompt of the demo dataset with `concise` against `padded`."""
    prompt = rows("prompts.jsonl")[0]["prompt_id"]
    presentation = outcome_pb2.Presentation(prompt_id=prompt, turn=1, left="concise", right="padded", order=order)
    return judge_service_pb2.JudgeInput(dataset="datasets/demo", presentation=presentation)


async def test_judges_are_listed_and_described(client: JudgeClient) -> None:
    """Every baseline judge is listed with its rubric and fingerprint; an unknown judge is NOT_FOUND."""
    listed = {judge.name async for judge in client.list_judges(page_size=2)}
    longest = await client.get_judge("longest")

    assert {f"judges/{name}" for name in ("first", "longest", "matches-reference", "random")} == listed
    assert (longest.backend, longest.rubric, len(longest.fingerprint)) == ("longest", "brackets", 64)
    with pytest.raises(JudgeClientError) as unknown:
        await client.get_judge("nobody")
    assert unknown.value.code == grpc.StatusCode.NOT_FOUND


async def test_a_preview_shows_the_messages_and_makes_no_call(client: JudgeClient) -> None:
    """A preview of a presentation returns the same messages each time, and stores no verdict."""
    await upload_demo(client)

    preview, second_preview = [await client.preview_prompt("longest", _judge_input()) for _ in range(2)]
    first, second = [
        row["turns"][0] if "turns" in row else row["text"]
        for who in ("concise", "padded")
        for row in rows("outputs.jsonl")
        if (row["prompt_id"], row["contestant"]) == (_judge_input().presentation.prompt_id, who)
    ]
    user = preview.messages[-1].content

    assert preview == second_preview
    assert user.index(first) < user.index(second)
    assert not preview.stored


async def test_one_comparison_is_judged_now_stored_and_reused(client: JudgeClient) -> None:
    """A verdict is judged once, then comes from the store; a run over the same pair pays nothing for it."""
    await upload_demo(client)
    fresh = await client.judge_comparison("longest", _judge_input())
    again = await client.judge_comparison("longest", _judge_input())
    swapped = await client.judge_comparison("longest", _judge_input(outcome_pb2.ORDER_RIGHT_FIRST))
    spec = run_service_pb2.RunSpec(
        dataset="datasets/demo",
        judges=["judges/longest"],
        pairing=run_service_pb2.Pairing(contestants=["concise", "padded"]),
    )
    run = await client.wait_run((await client.create_run(spec)).name)

    assert (fresh.reused, again.reused, swapped.reused) == (False, True, False)
    assert {fresh.outcome, again.outcome, swapped.outcome} == {outcome_pb2.OUTCOME_RIGHT}
    assert (run.counts.reused, run.counts.calls) == (2, run.counts.planned - 2)
    assert (await client.preview_prompt("longest", _judge_input())).stored


async def test_listed_pairs_come_back_with_their_callers_ids(client: JudgeClient) -> None:
    """The id of a listed pair is on both of its verdicts, and nothing else is judged."""
    await upload_demo(client)
    shown = _judge_input().presentation
    pair = pb.ListedComparison(
        comparison_id="mine/1", prompt_id=shown.prompt_id, turn=1, left="padded", right="concise"
    )
    await client.upload_comparisons("demo", [pair])
    spec = run_service_pb2.RunSpec(
        dataset="datasets/demo",
        judges=["judges/longest"],
        pairing=run_service_pb2.Pairing(policy=run_service_pb2.PAIR_POLICY_LISTED),
    )

    run = await client.wait_run((await client.create_run(spec)).name)
    verdicts = [verdict async for verdict in client.list_verdicts(run.name, view=FULL)]

    assert [(v.comparison_id, v.presentation.left, v.outcome) for v in verdicts] == [
        ("mine/1", "padded", outcome_pb2.OUTCOME_LEFT)
    ] * 2


async def test_streamed_labels_agree_as_stored_ones_do(client: JudgeClient) -> None:
    """MeasureAgreement stores nothing and returns the same figures as GetAgreement for the same labels."""
    await client.create_dataset("d")
    await client.upload_prompts("d", [pb.Prompt(prompt_id=f"p{n}", turns=["q"]) for n in range(12)])
    labels = [
        pb.Label(
            label_id=f"{n} {who}",
            prompt_id=f"p{n}",
            turn=1,
            left="a",
            right="b",
            outcome=(1 + (n * step) % 3),  # type: ignore[arg-type]  # the wire's numbers
            annotator=who,
            kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
        )
        for n in range(12)
        for who, step in (("eve", 1), ("ada", 2))
    ]

    measured = await client.measure_agreement(labels, "labels:eve", "labels:ada")
    empty = (await client.get_dataset("d")).labels
    await client.upload_labels("d", labels, source="s")
    stored = await client.agreement("d", "labels:eve", "labels:ada")

    assert empty == 0
    assert measured.figures[0].n == 12
    assert list(measured.figures) == list(stored.figures)


async def test_cancelling_an_ended_run_changes_nothing_and_deleting_its_dataset_deletes_it(client: JudgeClient) -> None:
    await upload_demo(client)
    spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/longest"])
    run = await client.wait_run((await client.create_run(spec)).name)

    cancelled, resumed = await client.cancel_run(run.name), await client.resume_run(run.name)
    await client.wait_run(run.name)
    deleted = await client.delete_dataset("demo")

    assert (deleted.runs, deleted.calls, deleted.replies) == (1, run.counts.calls, run.counts.by_status["ok"])
    assert (cancelled.state, cancelled.revision) == (run_service_pb2.RUN_STATE_DONE, run.revision)
    assert resumed.counts.planned == run.counts.planned
    assert [d async for d in client.list_datasets()] == []
    for gone in (client.get_run(run.name), client.get_dataset("demo")):
        with pytest.raises(JudgeClientError) as missing:
            await gone
        assert missing.value.code == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("servicer", [DatasetServicer, RunServicer, JudgeServicer, RankingServicer, AgreementServicer])
def test_every_method_of_the_api_is_implemented(servicer: type) -> None:
    """Every method of the API is implemented; the base class would answer UNIMPLEMENTED."""
    [base] = servicer.__bases__
    calls = [name for name in vars(base) if name[0].isupper()]

    assert calls
    assert [name for name in calls if name not in vars(servicer)] == []


async def test_an_annotators_labels_are_deleted(client: JudgeClient) -> None:
    """Labels are deleted by the annotator's name, where `*` matches anything, and their ids can be used again."""
    await client.create_dataset("d")
    rows = [_label(f"{who}{n}", who) for who in ("eve", "ella", "Eve", "adam") for n in range(3)]
    before = await client.upload_labels("d", rows, source="s")

    deleted = [await client.delete_labels("d", who) for who in ("e*", "nobody", "adam")]
    there = await client.get_dataset("d")
    again = await client.upload_labels("d", rows, source="s")

    assert deleted == [6, 0, 3]
    assert (there.labels, [annotator.annotator for annotator in there.annotators]) == (3, ["Eve"])
    assert (there.revision, again.accepted, again.duplicates) == (before.revision + 2, 9, 3)


@pytest.mark.parametrize(
    ("dataset", "annotators", "code"),
    [("d", "", grpc.StatusCode.INVALID_ARGUMENT), ("none", "*", grpc.StatusCode.NOT_FOUND)],
)
async def test_deleting_labels_needs_a_pattern_and_a_dataset(
    client: JudgeClient, dataset: str, annotators: str, code: grpc.StatusCode
) -> None:
    """An empty pattern is rejected instead of deleting labels; an unknown dataset is NOT_FOUND."""
    await client.create_dataset("d")

    with pytest.raises(JudgeClientError) as refused:
        await client.delete_labels(dataset, annotators)

    assert refused.value.code == code


def _label(label_id: str, annotator: str) -> pb.Label:
    return pb.Label(
        label_id=label_id, prompt_id="p", left="a", right="b", outcome=LEFT, annotator=annotator, kind=HUMAN
    )
