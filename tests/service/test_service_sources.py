"""Sources with their own rule: for a judge's two orders or for ties among people's votes; and invalid rules."""

from __future__ import annotations

import pytest

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import outcome_pb2
from judge.api.v1.leaderboard_pb2 import RANKING_METHOD_WIN_RATE
from judge.api.v1.ranking_service_pb2 import RankingOptions
from judge_client import JudgeClient, JudgeClientError

LEFT, RIGHT, TIE = outcome_pb2.OUTCOME_LEFT, outcome_pb2.OUTCOME_RIGHT, outcome_pb2.OUTCOME_TIE
ORDERS = (outcome_pb2.ORDER_LEFT_FIRST, outcome_pb2.ORDER_RIGHT_FIRST)
VOTES = {0: (LEFT, RIGHT), 1: (LEFT, LEFT, RIGHT), 2: (LEFT, TIE, RIGHT), 3: (TIE, RIGHT), 4: (RIGHT,)}
"""People's votes by prompt."""


@pytest.fixture
async def service(client: JudgeClient) -> JudgeClient:
    """Two contestants on ten prompts; the judge's orders differ on every other one, and people sometimes disagree."""
    await client.create_dataset("d")
    await client.upload_prompts("d", [ds.Prompt(prompt_id=f"p{n}", turns=[f"question {n}"]) for n in range(10)])
    outputs = [ds.Output(prompt_id=f"p{n}", contestant=name, turns=[f"{name} {n}"]) for n in range(10) for name in "ab"]
    await client.upload_outputs("d", outputs)
    kind = outcome_pb2.ANNOTATOR_KIND_HUMAN
    labels = [
        ds.Label(
            label_id=f"{n}-{who}",
            annotator=f"person-{who}",
            kind=kind,
            outcome=outcome,
            prompt_id=f"p{n}",
            turn=1,
            left="a",
            right="b",
        )
        for n, votes in VOTES.items()
        for who, outcome in enumerate(votes)
    ]
    await client.upload_labels("d", labels, source="people")
    verdicts = [
        ds.ImportedVerdict(
            judge="j",
            order=order,
            outcome=RIGHT if n % 2 and order == ORDERS[1] else LEFT,
            prompt_id=f"p{n}",
            turn=1,
            left="a",
            right="b",
        )
        for n in range(10)
        for order in ORDERS
    ]
    await client.upload_verdicts("d", verdicts)
    return client


@pytest.mark.parametrize("rule", ["tie", "drop", "each", "both", "soft"])
async def test_a_judge_may_have_its_own_rule_for_two_orders(service: JudgeClient, rule: str) -> None:
    """A rule in the source's name acts like the same rule in the options, and overrides them.

    With each, the two orders of a comparison are two votes of one judge, which count once.
    """
    code = outcome_pb2.Reconcile.Value(f"RECONCILE_{rule.upper()}")
    other = outcome_pb2.RECONCILE_DROP if rule == "tie" else outcome_pb2.RECONCILE_TIE
    by_option = await service.agreement("d", "judge:j", "people", pb.AgreementOptions(reconcile=code))
    by_name = await service.agreement("d", f"judge:j@{rule}", "people", pb.AgreementOptions(reconcile=other))

    assert by_name.figures[0].n == by_option.figures[0].n == {"tie": 11, "drop": 6}.get(rule, 11)
    assert [figure.agree for figure in by_name.figures] == [figure.agree for figure in by_option.figures]
    assert by_name.figures[0].source == f"judge:j@{rule}"


async def test_a_judge_may_be_compared_with_itself_under_another_rule(service: JudgeClient) -> None:
    """Where the orders differ, one rule gives a tie and the other nothing, so they agree on the rest."""
    report = await service.agreement("d", "judge:j@drop", "judge:j@tie")
    assert (report.both, report.target_only, report.figures[0].rate) == (5, 5, 1.0)


@pytest.mark.parametrize(
    ("merge", "outcomes"),
    [
        ("plurality", {0: TIE, 1: LEFT, 2: TIE, 3: TIE, 4: RIGHT}),
        ("plurality-drop", {1: LEFT, 4: RIGHT}),
        ("majority", {1: LEFT, 4: RIGHT}),
    ],
)
async def test_a_tie_for_most_is_what_the_source_says(
    service: JudgeClient, merge: str, outcomes: dict[int, outcome_pb2.Outcome.ValueType]
) -> None:
    figure = (
        await service.agreement("d", "people", f"people@{merge}", pb.AgreementOptions(ties=pb.TIES_WITH))
    ).figures[0]
    columns = [sum(figure.confusion[column::3]) for column in range(3)]
    votes = {n: len(VOTES[n]) for n in outcomes}
    assert columns == [sum(votes[n] for n in votes if outcomes[n] == outcome) for outcome in (LEFT, RIGHT, TIE)]


async def test_a_split_plurality_is_ranked_by_its_parts_and_not_compared(service: JudgeClient) -> None:
    """Each comparison counts as one battle that is split among its votes; half of each tie counts as a win."""
    leaderboard = await service.leaderboard(
        "d", "people@plurality-split", RankingOptions(method=RANKING_METHOD_WIN_RATE, reference_contestant="a")
    )
    rates = {row.contestant: row.rating for row in leaderboard.ratings}
    wins = 1 / 2 + 0 + 1 / 3 + 1 / 2 + 1 + (1 / 3 + 1 / 2) / 2
    assert rates["b"] == pytest.approx(wins / 5, abs=1e-6)
    with pytest.raises(JudgeClientError, match="agreement counts whole votes, but people@plurality-split has"):
        await service.agreement("d", "judge:j", "people@plurality-split")


@pytest.mark.parametrize(
    "source", ["judge:j@plurality", "run:r/j@majority", "people@soft", "labels:", "jury:j+k@split"]
)
async def test_a_rule_that_does_not_fit_its_source_is_rejected(service: JudgeClient, source: str) -> None:
    with pytest.raises(JudgeClientError, match=r"is none of judge:NAME|can have @.*, not @|has no verdicts"):
        await service.agreement("d", source, "people")


async def test_labels_without_outputs_are_compared_and_ranked_and_what_needs_texts_says_so(client: JudgeClient) -> None:
    """With labels alone, agreement and leaderboards work, but disagreements have no texts and bias needs outputs."""
    await client.create_dataset("bare")
    labels = [
        ds.Label(
            label_id=f"{n}-{who}",
            prompt_id=f"p{n}",
            turn=1,
            left="ab"[n % 2],
            right="c",
            outcome=(LEFT, RIGHT)[(n + who) % 3 == 0],
            annotator=f"person-{who}",
            kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
        )
        for n in range(20)
        for who in range(3)
    ]
    await client.upload_labels("bare", labels, source="people")
    report = await client.agreement("bare", "labels:person-0", "labels:person-[12]")
    assert report.figures[0].n == 40
    assert "nan" not in str(report).lower()
    assert len((await client.leaderboard("bare", "people")).ratings) == 3
    rows = [row async for row in client.list_disagreements("bare", "labels:person-0", "labels:person-1")]
    assert rows
    assert all(not row.prompt and not row.left for row in rows)
    swayed = await client.agreement("bare", "labels:person-0", "labels:person-1", pb.AgreementOptions(bias=True))
    assert (
        swayed.bias.reason
        == "'a' has no output for prompt 'p0', sample 0; upload it, or leave out style, bias, and length control"
    )
