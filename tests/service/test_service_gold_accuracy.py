"""Accuracy against gold labels over the wire: what counts as gold, orders, parts of the data, labels as a source."""

from __future__ import annotations

import pytest

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1.outcome_pb2 import (
    ANNOTATOR_KIND_GOLD,
    ANNOTATOR_KIND_HUMAN,
    ORDER_LEFT_FIRST,
    ORDER_RIGHT_FIRST,
    OUTCOME_LEFT,
    OUTCOME_RIGHT,
    OUTCOME_TIE,
    VERDICT_STATUS_UNREADABLE,
    AnnotatorKind,
    Order,
)
from judge_client import JudgeClient, JudgeClientError

NAMED = {"left": OUTCOME_LEFT, "right": OUTCOME_RIGHT, "tie": OUTCOME_TIE}
VERDICTS = {
    ("p0", "left"): ("left", "left"),
    ("p1", "left"): ("left", "tie"),
    ("p2", "right"): ("left", "left"),
    ("p3", "right"): ("right", None),
    ("p4", "tie"): ("tie", "left"),
    ("p5", "left"): (),
}
"""By prompt and gold label, the judge's outcome with left first and with right first; None is unreadable."""


def label(
    prompt: str,
    outcome: str,
    annotator: str = "gold",
    kind: AnnotatorKind.ValueType = ANNOTATOR_KIND_GOLD,
    number: int = 0,
) -> ds.Label:
    # Left of the label is the name that sorts last, so that it is turned round on the way.
    turned = {"left": OUTCOME_RIGHT, "right": OUTCOME_LEFT, "tie": OUTCOME_TIE}
    return ds.Label(
        label_id=f"{prompt}-{annotator}-{number}",
        prompt_id=prompt,
        left="zeta",
        right="alpha",
        outcome=turned[outcome],
        annotator=annotator,
        kind=kind,
    )


def verdict(prompt: str, order: Order.ValueType, outcome: str | None) -> ds.ImportedVerdict:
    fields = ds.ImportedVerdict(prompt_id=prompt, left="alpha", right="zeta", order=order, judge="j")
    if outcome is None:
        fields.status = VERDICT_STATUS_UNREADABLE
    else:
        fields.outcome = NAMED[outcome]
    return fields


@pytest.fixture
async def service(client: JudgeClient) -> JudgeClient:
    """A service with gold labels on two categories, votes of people, and a judge with gaps."""
    await client.create_dataset("d")
    prompts = [prompt for prompt, _ in VERDICTS]
    await client.upload_prompts(
        "d",
        [ds.Prompt(prompt_id=name, turns=["q"], category="odd" if int(name[1]) % 2 else "even") for name in prompts],
    )
    gold = [label(*key) for key in VERDICTS]
    people = [label(prompt, "left", name, ANNOTATOR_KIND_HUMAN) for prompt in prompts for name in ("ann", "bob")]
    await client.upload_labels("d", [*gold, *people], source="labels")
    orders = (ORDER_LEFT_FIRST, ORDER_RIGHT_FIRST)
    verdicts = [
        verdict(prompt, order, outcome)
        for (prompt, _), outcomes in VERDICTS.items()
        for order, outcome in zip(orders, outcomes, strict=False)
    ]
    await client.upload_verdicts("d", verdicts)
    return client


def counts(report: pb.AgreementReport, category: str = "") -> dict[str, tuple[int, int, int]]:
    """Right, of how many, and of how many with an outcome, by rule."""
    return {
        pb.GoldRule.Name(row.rule).removeprefix("GOLD_RULE_"): (
            row.correct,
            row.accuracy.n,
            row.accuracy_with_outcome.n,
        )
        for row in report.gold_accuracy
        if row.slice.category == category
    }


async def test_service_gold_accuracy_by_each_rule_and_category(service: JudgeClient) -> None:
    """A gold target gives the accuracy by each rule; categories and the whole add up, whatever the reconciling."""
    report = await service.agreement("d", "judge:j", "labels:gold", pb.AgreementOptions(by_category=True))
    soft = await service.agreement("d", "judge:j@soft", "labels:gold", pb.AgreementOptions(by_category=True))

    assert counts(report) == {
        "LEFT_FIRST": (4, 6, 5),
        "RIGHT_FIRST": (1, 6, 4),
        "AVERAGE": (5, 12, 9),
        "BOTH_ORDERS": (1, 6, 4),
        "ORDER_AGREEMENT": (2, 6, 4),
        "SUM_OVER_ORDERS": (4, 6, 5),
    }
    assert counts(report, "even")["SUM_OVER_ORDERS"] == (2, 3, 3)
    assert counts(report, "odd")["SUM_OVER_ORDERS"] == (2, 3, 2)
    average = next(row for row in report.gold_accuracy if row.rule == pb.GOLD_RULE_AVERAGE)
    assert (average.incorrect, average.neither, average.unreadable, average.missing) == (2, 2, 1, 2)
    assert average.accuracy.value == pytest.approx(5 / 12)
    assert average.accuracy.prompts == 6
    assert list(soft.gold_accuracy) == list(report.gold_accuracy)


async def test_service_gold_accuracy_only_against_gold(service: JudgeClient) -> None:
    """People's votes are no gold, unless the option says so, and then they must be merged."""
    gold = pb.AgreementOptions(gold=True)
    plain = await service.agreement("d", "judge:j", "people@plurality")
    asked = await service.agreement("d", "judge:j", "people@plurality", gold)

    assert not plain.gold_accuracy
    assert counts(asked)["LEFT_FIRST"] == (3, 6, 5)
    with pytest.raises(JudgeClientError, match="has several votes on a comparison: merge them"):
        await service.agreement("d", "judge:j", "people", gold)
    with pytest.raises(JudgeClientError, match="accuracy is measured against a target"):
        await service.agreement("d", "people", "", gold)


async def test_service_gold_accuracy_of_people(service: JudgeClient) -> None:
    """A source without orders has its votes counted; both said left on each of six prompts."""
    report = await service.agreement("d", "people", "labels:gold")

    assert counts(report) == {"AVERAGE": (6, 12, 12), "SUM_OVER_ORDERS": (3, 6, 6)}


async def test_service_gold_accuracy_leaves_out_contradictory_labels(service: JudgeClient) -> None:
    """Two equal gold labels are one, and two that differ are none, which a note says."""
    more = [label("p0", "left", number=1), label("p1", "right", number=1)]
    await service.upload_labels("d", more, source="more")

    report = await service.agreement("d", "judge:j", "labels:gold")

    assert counts(report)["SUM_OVER_ORDERS"] == (3, 5, 4)
    assert report.notes[0].startswith("1 comparison is left out of the accuracy")


async def test_service_gold_accuracy_of_streamed_labels(client: JudgeClient) -> None:
    """Streamed labels of kind gold are gold too."""
    rows = [label(f"p{n}", "left") for n in range(6)]
    rows += [label(f"p{n}", "left" if n else "tie", "ann", ANNOTATOR_KIND_HUMAN) for n in range(4)]

    report = await client.measure_agreement(rows, "people", "labels:gold")

    assert counts(report)["AVERAGE"] == (3, 6, 4)
