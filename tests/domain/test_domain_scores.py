"""Scores of single outputs as labels, and the labels that two scores of one annotator make."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.domain.scores import Score, ScoreScale, score_of, with_scored_pairs

SCALE = ScoreScale(lowest=1.0, highest=5.0)


def score(
    contestant: str, value: float, annotator: str = "ann", prompt: str = "q", turn: int = 1, sample: int = 0
) -> Score:
    return Score(
        prompt_id=prompt,
        contestant=contestant,
        value=value,
        annotator=annotator,
        kind=AnnotatorKind.HUMAN,
        scale=SCALE,
        turn=turn,
        sample=sample,
    )


def labels(*scores: Score) -> list[Label]:
    return [each.label(str(number)) for number, each in enumerate(scores)]


@given(st.decimals(min_value=-3, max_value=100, places=4))
def test_domain_scores_are_the_same_after_their_label(value: float) -> None:
    """A label keeps the score to four decimal places, and its outcome is the nearer end of the scale."""
    scale = ScoreScale(lowest=-3, highest=100)
    given_score = Score(
        prompt_id="q",
        contestant="m",
        value=float(value),
        annotator="a",
        kind=AnnotatorKind.MODEL,
        scale=scale,
        note="n",
    )

    label = given_score.label("1")

    assert score_of(label) == given_score
    assert label.outcome is (Outcome.LEFT if value > 48.5 else Outcome.RIGHT if value < 48.5 else Outcome.TIE)


@pytest.mark.parametrize("lowest", [0.1, 1 / 3, 0, 1e-7, 1234567.25])
def test_domain_scores_scale_has_a_name_that_means_it(lowest: float) -> None:
    scale = ScoreScale(lowest=lowest, highest=1e9)

    assert ScoreScale.named(scale.name) == scale


@pytest.mark.parametrize("name", ["gpt-4", "scale:", "scale:5..1", "scale:a..b", "scale:1..1", "scale:1e--..5"])
def test_domain_scores_other_names_are_no_scale(name: str) -> None:
    label = Label(
        label_id="1",
        prompt_id="q",
        left="m",
        right=name,
        outcome=Outcome.LEFT,
        annotator="a",
        kind=AnnotatorKind.HUMAN,
        probability=0.8,
    )

    assert score_of(label) is None
    assert with_scored_pairs([label]) == [label]


@pytest.mark.parametrize("value", [0.5, -1, 5.01, float("nan")])
def test_domain_scores_outside_the_scale_are_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match=r"is not from 1 to 5"):
        score("m", value).label("1")


def test_domain_scores_with_the_lowest_above_the_highest_are_no_scale() -> None:
    with pytest.raises(InvalidInput, match="is not a scale"):
        ScoreScale(lowest=5, highest=1)


def test_domain_scores_make_the_pairs_of_a_loop() -> None:
    """Each annotator's higher mean score on a prompt and turn wins; no pair crosses annotators, prompts or turns."""
    rng = np.random.default_rng(5)
    scores = [
        score(f"m{model}", int(rng.integers(1, 6)), annotator, f"q{prompt}", turn)
        for annotator in ("ann", "bob")
        for prompt in range(4)
        for turn in (1, 2)
        for model in rng.integers(0, 4, 5)
    ]

    expected = {}
    for annotator in ("ann", "bob"):
        for prompt in range(4):
            for turn in (1, 2):
                values: dict[str, list[float]] = {}
                for each in scores:
                    if (each.annotator, each.prompt_id, each.turn) == (annotator, f"q{prompt}", turn):
                        values.setdefault(each.contestant, []).append(each.value)
                for left, right in combinations(sorted(values), 2):
                    difference = sum(values[left]) / len(values[left]) - sum(values[right]) / len(values[right])
                    outcome = (
                        Outcome.TIE if abs(difference) < 1e-9 else Outcome.LEFT if difference > 0 else Outcome.RIGHT
                    )
                    expected[annotator, f"q{prompt}", turn, left, right] = (outcome, round(abs(difference) / 4, 6))

    pairs = with_scored_pairs(labels(*scores))

    assert len({pair.label_id for pair in pairs}) == len(pairs) == len(expected)
    assert expected == {
        (pair.annotator, pair.prompt_id, pair.turn, pair.left, pair.right): (
            pair.outcome,
            round(pair.strength or 0, 6),
        )
        for pair in pairs
    }


def test_domain_scores_pair_samples_of_different_contestants_only() -> None:
    """Two samples of one contestant are not compared with each other, and other labels come first, unchanged."""
    plain = Label(
        label_id="own", prompt_id="q", left="m", right="n", outcome=Outcome.TIE, annotator="a", kind=AnnotatorKind.GOLD
    )
    scores = labels(score("m", 3), score("m", 5, sample=1), score("n", 4))

    first, *pairs = with_scored_pairs([*scores, plain])

    assert first is plain
    assert [(pair.left_sample, pair.right_sample, pair.outcome, pair.strength) for pair in pairs] == [
        (0, 0, Outcome.RIGHT, 0.25),
        (1, 0, Outcome.LEFT, 0.25),
    ]
