"""A soft vote makes two weighted battles, and is counted once."""

from __future__ import annotations

import numpy as np

from judge.domain.outcome import Outcome
from judge.ranking.battles import battle_design
from judge.ranking.options import RankOptions
from judge.ranking.rank import rank
from judge.votes.comparisons import ComparisonKey
from judge.votes.vote_table import Vote, VoteTable
from judge.votes.votes import SourceVotes


def votes(*left_scores: float) -> SourceVotes:
    """Votes on comparisons of a with b, or of a with c for each third one, each on a prompt of its own."""
    rows = [
        Vote(
            ComparisonKey(f"q{i}", 1, left="a", right="c" if i % 3 == 0 else "b"),
            Outcome.LEFT if score > 0.5 else Outcome.RIGHT,
            left_score=score,
        )
        for i, score in enumerate(left_scores)
    ]
    n = len(rows)
    return SourceVotes(source="labels:m", rows=VoteTable.of(rows), categories={}, tags={}, usable=n, planned=n)


def test_the_n_of_a_leaderboard_counts_soft_votes_once() -> None:
    """Also if some are certain, and in the whole as for each contestant."""
    soft = votes(0.9, 0.2, 0.7, 1.0, 0.4, 0.3, 0.0)

    design = battle_design(soft, RankOptions())
    leaderboard = rank(design, RankOptions())

    assert (design.battles.n, design.n_votes) == (12, 7)
    assert {row.contestant: (row.n, row.prompts) for row in leaderboard.ratings} == {
        "a": (7, 7),
        "b": (4, 4),
        "c": (3, 3),
    }
    assert leaderboard.battles == 7
    b, c = (design.battles.contestants.index(name) for name in "bc")
    assert design.among([0, b]).n_votes == 4
    assert design.among([0, c]).n_votes == 3
    assert np.isclose(np.asarray(design.battles.weight).sum(), 7)
