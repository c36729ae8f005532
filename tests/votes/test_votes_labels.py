"""Labels become votes; a label's probability is its left score where votes are soft."""

from __future__ import annotations

import pytest

from judge.domain.dataset import Label
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.domain.source import Source
from judge.votes.sources import label_votes


def label(label_id: str, left: str, right: str, probability: float | None) -> Label:
    return Label(
        label_id=label_id,
        prompt_id="q",
        left=left,
        right=right,
        outcome=Outcome.LEFT,
        annotator="w",
        kind=AnnotatorKind.MODEL,
        probability=probability,
    )


LABELS = [label("1", "a", "b", 0.9), label("2", "b", "a", 0.75), label("3", "a", "b", None)]


def test_votes_soft_labels_have_their_probabilities() -> None:
    """The score is that of the smaller name, whichever side it was on; without a probability, the outcome counts."""
    votes = label_votes(Source.parse("labels:w"), LABELS, soft=True)
    assert [vote.left_score for vote in votes] == [0.9, 0.25, None]


@pytest.mark.parametrize(("source", "soft"), [("labels:w", False), ("labels:w@plurality", True)])
def test_votes_other_labels_have_their_outcomes(source: str, *, soft: bool) -> None:
    """Votes that are merged are whole ones."""
    assert [vote.left_score for vote in label_votes(Source.parse(source), LABELS, soft=soft)] in ([None] * 3, [None])
