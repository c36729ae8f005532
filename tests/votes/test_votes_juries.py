"""Juries: formed when reported, from verdicts that are there."""

from __future__ import annotations

import numpy as np
import pytest

from judge.api.v1 import leaderboard_pb2, ranking_service_pb2, run_service_pb2
from judge.domain.errors import InvalidInput
from judge.domain.outcome import Outcome
from judge.domain.source import Source
from judge.votes.comparisons import ComparisonIndex, ComparisonKey
from judge.votes.juries import jury_votes
from judge.votes.verdicts_by_order import ByOrder
from judge.votes.votes import SourceVotes, Vote
from judge_client import JudgeClient
from support.demo_data import upload_demo

LEFT, RIGHT, TIE = Outcome.LEFT, Outcome.RIGHT, Outcome.TIE


def said(*outcomes: Outcome | None) -> SourceVotes:
    """What a judge says of the comparisons p0, p1, ...; None where its verdict is of no use."""
    keys = [ComparisonKey(f"p{n}", 1, "a", "b") for n in range(len(outcomes))]
    rows = tuple(Vote(key, outcome) for key, outcome in zip(keys, outcomes, strict=True) if outcome)
    n = len(keys)
    nothing, item = np.full(n, np.nan), np.arange(n, dtype=np.int32)
    behind = ByOrder(
        ComparisonIndex.of(keys), item, np.ones(n, dtype=np.int8), nothing, None, np.zeros(n, dtype=np.int64)
    )
    return SourceVotes("judge:x", rows, {}, {}, len(rows), n, behind={"x": behind})


@pytest.mark.parametrize(
    ("jury", "outcomes", "expected"),
    [
        ("jury:a+b+c", (LEFT, LEFT, RIGHT), LEFT),
        ("jury:a+b+c", (LEFT, RIGHT, TIE), TIE),
        ("jury:a+b+c", (LEFT, RIGHT, None), TIE),
        ("jury:a*3+b+c", (LEFT, RIGHT, RIGHT), LEFT),
        ("jury:a+b+c@majority", (LEFT, LEFT, RIGHT), LEFT),
        ("jury:a+b+c@majority", (LEFT, RIGHT, TIE), None),
        ("jury:a+b+c@majority", (LEFT, RIGHT, None), None),
        ("jury:a+b+c", (LEFT, None, None), None),
        ("jury:a+b+c>=1", (LEFT, None, None), LEFT),
        ("jury:a+b+c>=3", (LEFT, LEFT, None), None),
        ("jury:a+b+c@mean", (LEFT, LEFT, RIGHT), LEFT),
        ("jury:a+b+c@mean", (LEFT, RIGHT, TIE), TIE),
    ],
)
def test_a_jury_says(jury: str, outcomes: tuple[Outcome | None, ...], expected: Outcome | None) -> None:
    """Most weight, or more than half of it, or the mean, of the members that have an outcome, if they are enough."""
    votes = jury_votes(Source.parse(jury), [said(outcome) for outcome in outcomes])

    assert [vote.outcome for vote in votes.rows] == ([expected] if expected else [])
    assert (votes.usable, votes.planned, sum(votes.by_status.values())) == (int(expected is not None), 1, 1)


def test_the_mean_of_a_jury_is_a_soft_outcome() -> None:
    votes = jury_votes(Source.parse("jury:a*3+b@mean"), [said(LEFT), said(RIGHT)])

    assert [vote.left_score for vote in votes.rows] == [0.75]


def test_the_order_of_a_jurys_comparisons_does_not_depend_on_its_members_order() -> None:
    """Law 5: an order-dependent method gives the same whoever is named first."""
    one, two = said(LEFT, RIGHT, LEFT), said(LEFT, RIGHT, RIGHT)

    forth = jury_votes(Source.parse("jury:a+b"), [one, two])
    back = jury_votes(Source.parse("jury:b+a"), [two, one])

    assert [(v.key, v.outcome) for v in forth.rows] == [(v.key, v.outcome) for v in back.rows]


@pytest.mark.parametrize("text", ["jury:a+b>=2@plurality", "jury:a*2+b+c>=1@mean", "jury:a+b+c>=3@majority"])
def test_a_jurys_text_is_what_it_was_parsed_from(text: str) -> None:
    assert str(Source.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("jury:a", "two different judges"),
        ("jury:a+a", "two different judges"),
        ("jury:a+", "cannot be a member"),
        ("jury:a*0+b", "cannot be a member"),
        ("jury:a*many+b", "cannot be a member"),
        ("jury:a+b>=3", "from 1 to 2"),
        ("jury:a+b>=0", "from 1 to 2"),
        ("jury:a+b@median", "@median"),
    ],
)
def test_a_jury_that_cannot_be_is_named(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Source.parse(text)


async def test_a_jury_ranks_what_its_members_judged(client: JudgeClient) -> None:
    """Over the wire: the jury's name and coverage are on the board; two bad judges outvote a good one."""
    await upload_demo(client)
    names = ("longest", "first", "matches-reference")
    spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=[f"judges/{name}" for name in names])
    await client.wait_run((await client.create_run(spec)).name)
    options = ranking_service_pb2.RankingOptions(degenerate=ranking_service_pb2.DEGENERATE_LARGEST)

    jury = await client.leaderboard("demo", f"jury:{'+'.join(names)}", options)
    heavy = await client.leaderboard("demo", "jury:longest+first+matches-reference*5", options)
    alone = await client.leaderboard("demo", "judge:matches-reference", options)

    def ratings(leaderboard: leaderboard_pb2.Leaderboard) -> list[tuple[str, float]]:
        return [(rating.contestant, rating.rating) for rating in leaderboard.ratings]

    assert jury.source == "jury:longest+first+matches-reference>=2@plurality"
    assert (jury.coverage.usable, jury.coverage.planned) == (480, 480)
    assert ratings(heavy) == ratings(alone) != ratings(jury)


def test_a_run_is_a_source_by_its_number_and_by_its_resource_name() -> None:
    assert Source.parse("run:runs/r1/gpt") == Source.parse("run:r1/gpt")
    assert str(Source.parse("run:runs/r1")) == "run:r1"
