"""The mean score of each contestant, as MT-bench publishes it for single answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.names import encode_names
from judge.domain.defaults import LEVEL
from judge.domain.errors import InvalidInput
from judge.domain.scores import Score, ScoreScale
from judge.stats.cluster_intervals import Estimate, mean
from judge.votes.scores import SourceScores
from judge.votes.votes import WHOLE, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanScoreOptions:
    """Which parts have means of their own, within one *part*. Raises InvalidInput for a level outside 0 to 1."""

    by_turn: bool = False
    by_category: bool = False
    level: float = LEVEL
    part: Part = WHOLE

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InvalidInput("level", f"level must be between 0 and 1, but it is {self.level}")


@dataclass(frozen=True, slots=True)
class MeanScoreRow:
    """The mean score of a contestant in a part of the data, on a *scale*."""

    part: Part
    contestant: str
    scale: ScoreScale
    mean: Estimate


def mean_scores(source: SourceScores, options: MeanScoreOptions) -> tuple[MeanScoreRow, ...]:
    """Average the scores of each contestant, those of the whole first, then those of its turns and categories.

    Each score counts once, also several of one annotator for one output. Intervals are over prompts.

    Raises InvalidInput for scores on several scales.
    """
    scales = sorted({score.scale.name for score in source.scores})
    if len(scales) > 1:
        message = f"the scores of {source.source} are on several scales ({', '.join(scales)}): name one annotator"
        raise InvalidInput("source", message, reason="SEVERAL_SCALES")
    scores = [score for score in source.scores if _inside(options.part, score, source)]
    parts = dict.fromkeys((options.part, *sorted(_parts(scores, source, options), key=_order)))
    return tuple(
        row
        for part in parts
        for row in _rows(part, [score for score in scores if _inside(part, score, source)], options.level)
    )


def _parts(scores: Sequence[Score], source: SourceScores, options: MeanScoreOptions) -> Iterator[Part]:
    if options.by_turn:
        yield from (replace(options.part, turn=turn) for turn in {score.turn for score in scores})
    if options.by_category:
        names = {source.categories.get(score.prompt_id, "") for score in scores}
        yield from (replace(options.part, category=name) for name in names)


def _order(part: Part) -> tuple[int, str]:
    return part.turn, part.category


def _inside(part: Part, score: Score, source: SourceScores) -> bool:
    ends = {end for end in (part.left, part.right) if end}
    return (
        part.turn in (0, score.turn)
        and part.category in ("", source.categories.get(score.prompt_id, ""))
        and (not part.tag or part.tag in source.tags.get(score.prompt_id, ()))
        and (not ends or score.contestant in ends)
    )


def _rows(part: Part, scores: Sequence[Score], level: float) -> list[MeanScoreRow]:
    by_contestant: dict[str, list[Score]] = {}
    for score in scores:
        by_contestant.setdefault(score.contestant, []).append(score)
    rows = [_row(part, contestant, own, level) for contestant, own in by_contestant.items()]
    return sorted(rows, key=lambda row: (-(row.mean.value or 0.0), row.contestant))


def _row(part: Part, contestant: str, scores: Sequence[Score], level: float) -> MeanScoreRow:
    scale = scores[0].scale
    values = np.array([score.value for score in scores], dtype=np.float64)
    prompt = encode_names([score.prompt_id for score in scores])[1][0]
    estimate = mean(values, prompt, level, (scale.lowest, scale.highest))
    return MeanScoreRow(part=part, contestant=contestant, scale=scale, mean=estimate)
