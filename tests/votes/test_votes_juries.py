"""Juries combine the stored verdicts of several judges when a report is requested."""

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
from judge.votes.vote_table import Vote, VoteTable
from judge.votes.votes import SourceVotes
from judge_client import JudgeClient
from support.demo_data import upload_demo

LEFT, RIGHT, TIE = Outcome.LEFT, Outcome.RIGHT, Outcome.TIE


def votes_of(*outcomes: Outcome | None) -> SourceVotes:
    """Return the votes of a judge on the comparisons p0, p1, ...; None is a verdict without an outcome."""
    keys = [ComparisonKey(prompt_id=f"p{n}", turn=1, left="a", right="b") for n in range(len(outcomes))]
    rows = VoteTable.of([Vote(key, outcome) for key, outcome in zip(keys, outcomes, strict=True) if outcome])
    n = len(keys)
    nothing, item = np.full(n, np.nan), np.arange(n, dtype=np.int32)
    behind = ByOrder(
        keys=ComparisonIndex.of(keys),
        item=item,
        order=np.ones(n, dtype=np.int8),
        left_score=nothing,
        weight=None,
        answer=np.zeros(n, dtype=np.int64),
    )
    return SourceVotes(
        source="judge:x",
        rows=rows,
        categories={},
        tags={},
        usable=len(rows),
        planned=n,
        behind={"x": behind},
    )


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
def test_a_jury_votes_by_its_rule(jury: str, outcomes: tuple[Outcome | None, ...], expected: Outcome | None) -> None:
    """The most weight, more than half of it, or the mean decides, if enough members have an outcome."""
    votes = jury_votes(Source.parse(jury), [votes_of(outcome) for outcome in outcomes])

    assert [vote.outcome for vote in votes.rows] == ([expected] if expected else [])
    assert (votes.usable, votes.planned, sum(votes.by_status.values())) == (int(expected is not None), 1, 1)


def test_the_mean_of_a_jury_is_a_soft_outcome() -> None:
    votes = jury_votes(Source.parse("jury:a*3+b@mean"), [votes_of(LEFT), votes_of(RIGHT)])

    assert [vote.left_score for vote in votes.rows] == [0.75]


def test_the_order_of_a_jurys_comparisons_does_not_depend_on_its_members_order() -> None:
    """Law 5: a method that depends on the order of votes gives the same result whichever member is named first."""
    a, b = votes_of(LEFT, RIGHT, LEFT), votes_of(LEFT, RIGHT, RIGHT)

    forth = jury_votes(Source.parse("jury:a+b"), [a, b])
    back = jury_votes(Source.parse("jury:b+a"), [b, a])

    assert [(v.key, v.outcome) for v in forth.rows] == [(v.key, v.outcome) for v in back.rows]


@pytest.mark.parametrize("text", ["jury:a+b>=2@plurality", "jury:a*2+b+c>=1@mean", "jury:a+b+c>=3@majority"])
def test_a_jurys_text_is_what_it_was_parsed_from(text: str) -> None:
    assert str(Source.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jury:a", "two different judges"),
        ("jury:a+a", "two different judges"),
        ("jury:a+", "cannot be a member"),
        ("jury:a*0+b", "cannot be a member"),
        ("jury:a*many+b", "cannot be a member"),
        ("jury:a+b>=3", "from 1 to 2"),
        ("jury:a+b>=0", "from 1 to 2"),
    ],
)
def test_an_invalid_jury_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Source.parse(text)


async def test_a_jury_ranks_the_comparisons_of_its_members(client: JudgeClient) -> None:
    """The leaderboard has the jury's name and coverage, and two bad judges outvote a good one."""
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


def test_a_run_is_a_source_by_its_id_and_by_its_resource_name() -> None:
    assert Source.parse("run:runs/r1/gpt") == Source.parse("run:r1/gpt")
    assert str(Source.parse("run:runs/r1")) == "run:r1"
