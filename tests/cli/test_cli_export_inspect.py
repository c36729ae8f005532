"""Scores that Inspect's scorer `precomputed_scores` reads."""

from __future__ import annotations

from judge.cli import export_inspect
from judge.cli.export_votes import ExportedVote, LeftOutVotes, VotedPair


def vote(left: str, right: str, score: float, prompt_id: str = "t/1", sample: int = 0) -> ExportedVote:
    """A vote on two outputs, the right one of which is this sample."""
    return ExportedVote(VotedPair(prompt_id=prompt_id, turn=1, left=(left, 0), right=(right, sample)), "ann", score)


def test_a_score_is_the_mean_over_votes() -> None:
    """Those against the reference alone, if there is one. A task is no part of a sample's id."""
    votes = [
        vote("m", "base", 1.0),
        vote("base", "m", 0.5),
        vote("base", "m", 0.5, prompt_id="u/1"),
        vote("x", "m", 0.0),
    ]
    account = LeftOutVotes()

    (row,) = export_inspect.scores(votes, "m", account, reference="base", task="t")

    assert row == {
        "id": "1",
        "value": 0.75,
        "explanation": "Mean score of 2 votes; a tie counts half.",
        "metadata": {"votes": 2, "reference": "base"},
    }
    assert account.left_out == {"votes on other pairs": 1, "votes on prompts of other tasks": 1}


def test_a_sample_is_an_epoch_from_1() -> None:
    """It is missing if there is only the first sample of each prompt."""
    votes = [vote("base", "m", 0.0, sample=1), vote("base", "m", 1.0)]

    rows = list(export_inspect.scores(votes, "m", LeftOutVotes()))

    assert [(row["id"], row["epoch"], row["value"]) for row in rows] == [("t/1", 2, 1.0), ("t/1", 1, 0.0)]
