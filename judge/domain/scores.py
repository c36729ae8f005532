"""Scores of single outputs, such as 8 of 10 points, and the labels that they are.

A score is stored as a label that compares its output with a scale. The scale takes the place of the contestant on the
right, and the probability that left is better says where on the scale the score lies. So a score goes wherever a label
goes, and counts as one there.

A ranking needs comparisons. Two scores that one annotator gave to the outputs of two contestants at one turn of one
prompt make a label: the higher score wins, equal ones are a tie, and the strength is their distance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, count

from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, whole

_SCALE = "scale:"
_NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_NAME = re.compile(rf"{_SCALE}{_NUMBER}\.\.{_NUMBER}")
_PLACES = 9
"""The decimal places of scores and means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreScale:
    """The lowest and the highest score that there is. Raises InvalidInput if they are no scale."""

    lowest: float = 0.0
    highest: float = 10.0

    def __post_init__(self) -> None:
        if not -math.inf < self.lowest < self.highest < math.inf:
            raise InvalidInput("scale", f"{self.lowest:g}..{self.highest:g} is not a scale", reason="INVALID_SCALE")

    @property
    def name(self) -> str:
        """What the scale is called in the place of a contestant."""
        return f"{_SCALE}{_text(self.lowest)}..{_text(self.highest)}"

    @staticmethod
    def named(name: str) -> ScoreScale | None:
        """Return the scale that has this *name*; None if it is the name of a contestant.

        >>> ScoreScale.named("scale:1..5"), ScoreScale.named("gpt-4")
        (ScoreScale(lowest=1.0, highest=5.0), None)
        """
        match = _NAME.fullmatch(name) if name.startswith(_SCALE) else None
        if match is None or not float(match[1]) < float(match[2]) < math.inf:
            return None
        return ScoreScale(lowest=float(match[1]), highest=float(match[2]))

    def share(self, value: float) -> float:
        """Return where on the scale a score lies, from 0 to 1. Raises InvalidInput for a score outside it."""
        if not self.lowest <= value <= self.highest:
            message = f"the score {value:g} is not from {self.lowest:g} to {self.highest:g}"
            raise InvalidInput("score", message, reason="INVALID_SCORE")
        return (value - self.lowest) / (self.highest - self.lowest)

    def value(self, share: float) -> float:
        """Return the score that lies at a *share* of the scale.

        >>> ScoreScale().value(ScoreScale().share(7.3))
        7.3
        """
        return round(self.lowest + share * (self.highest - self.lowest), _PLACES)


def _text(number: float) -> str:
    return f"{number:g}" if float(f"{number:g}") == number else repr(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What an annotator gave to one output, a *value* on a *scale*."""

    prompt_id: str
    contestant: str
    value: float
    annotator: str
    kind: AnnotatorKind
    scale: ScoreScale
    turn: int = 1
    sample: int = 0
    note: str = ""

    def label(self, label_id: str) -> Label:
        """Return the label that is stored for the score. Raises InvalidInput for a value outside the scale.

        >>> score = Score(prompt_id="q", contestant="m", value=8, annotator="a", kind=AnnotatorKind.MODEL,
        ...     scale=ScoreScale())
        >>> label = score.label("1")
        >>> label.right, label.probability, score_of(label) == score
        ('scale:0..10', 0.8, True)
        """
        share = self.scale.share(self.value)
        return Label(
            label_id=label_id,
            prompt_id=self.prompt_id,
            left=self.contestant,
            right=self.scale.name,
            outcome=whole(share),
            annotator=self.annotator,
            kind=self.kind,
            turn=self.turn,
            left_sample=self.sample,
            probability=share,
            note=self.note,
        )


def score_of(label: Label) -> Score | None:
    """Return the score that a *label* is; None if it compares two outputs."""
    scale = ScoreScale.named(label.right)
    if scale is None or label.probability is None:
        return None
    return Score(
        prompt_id=label.prompt_id,
        contestant=label.left,
        value=scale.value(label.probability),
        annotator=label.annotator,
        kind=label.kind,
        scale=scale,
        turn=label.turn,
        sample=label.left_sample,
        note=label.note,
    )


def with_scored_pairs(labels: Iterable[Label]) -> list[Label]:
    """Return the *labels* that compare two outputs, and after them those that two scores of one annotator make.

    Several scores of one annotator for one output count once, by their mean.
    """
    plain: list[Label] = []
    scores: list[Score] = []
    for label in labels:
        score = score_of(label) if label.right.startswith(_SCALE) else None
        if score is None:
            plain.append(label)
        else:
            scores.append(score)
    return [*plain, *_pairs(scores)] if scores else plain


_Scored = tuple[str, AnnotatorKind, ScoreScale, str, int]
"""An annotator with the kind and the scale, a prompt and a turn."""
_Mean = tuple[str, int, float]
"""A contestant, a sample, and the mean of its scores."""


def _pairs(scores: Iterable[Score]) -> Iterator[Label]:
    groups: dict[_Scored, dict[tuple[str, int], list[float]]] = {}
    for score in scores:
        group = groups.setdefault((score.annotator, score.kind, score.scale, score.prompt_id, score.turn), {})
        group.setdefault((score.contestant, score.sample), []).append(score.value)
    numbers = count(1)
    for key, group in groups.items():
        means = [(*side, math.fsum(values) / len(values)) for side, values in sorted(group.items())]
        for left, right in combinations(means, 2):
            if left[0] != right[0]:
                yield _pair(key, next(numbers), left, right)


def _pair(scored: _Scored, number: int, left: _Mean, right: _Mean) -> Label:
    annotator, kind, scale, prompt_id, turn = scored
    difference = round(left[2] - right[2], _PLACES)
    return Label(
        label_id=f"scores-{number}",
        prompt_id=prompt_id,
        left=left[0],
        right=right[0],
        outcome=whole(0.5 + difference),
        annotator=annotator,
        kind=kind,
        turn=turn,
        left_sample=left[1],
        right_sample=right[1],
        strength=abs(difference) / (scale.highest - scale.lowest),
    )
