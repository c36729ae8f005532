"""A judge's votes beside people's labels on some of the same comparisons, for ratings anchored to the labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats
from judge.columns.names import coded
from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput, Precondition
from judge.domain.outcome import LEFT_SCORE, Selection
from judge.domain.source import Source
from judge.ranking.leaderboard import Anchoring
from judge.stats.errors import NotConverged
from judge.stats.prediction_powered import AnchoredFit, Compared, anchored
from judge.votes.comparisons import ComparisonKey
from judge.votes.sources import label_votes, labelled_at, labels_of
from judge.votes.votes import SourceVotes


@dataclass(frozen=True)
class Labelled:
    """What labels say of comparisons: their mean share for the left, and the probability of being chosen for labels.

    The probability is None where no label says it and none comes from a queue: then they are taken as drawn at random.
    """

    source: str
    left_scores: dict[ComparisonKey, float]
    probability: dict[ComparisonKey, float] | None


def labelled(source: Source, labels: Iterable[Label]) -> Labelled:
    """What *source* takes from *labels*. InvalidInput where the probability of being labelled is not known of all."""
    taken = labels_of(source, labels)
    said: dict[ComparisonKey, list[float]] = {}
    for vote in label_votes(source, taken):
        said.setdefault(vote.key, []).append(LEFT_SCORE[vote.outcome])
    chosen: dict[ComparisonKey, float] = {}
    queued: set[ComparisonKey] = set()
    for label in taken:
        key, _ = labelled_at(label)
        if key not in said:
            continue
        if label.selection is Selection.QUEUE:
            queued.add(key)
        probability = label.selection_probability
        if probability is not None and chosen.setdefault(key, probability) != probability:
            told = f"labels on one comparison of {key.prompt_id!r} were chosen with different probabilities"
            raise InvalidInput("options.anchored_to", told, reason="UNKNOWN_PROBABILITY")
    unknown = said.keys() - chosen.keys()
    if unknown and (chosen or queued):
        raise InvalidInput(
            "options.anchored_to",
            f"{len(unknown)} of {len(said)} labelled comparisons do not say with what probability they were chosen, "
            "and others were not drawn at random: ratings anchored to them would be biased",
            reason="UNKNOWN_PROBABILITY",
        )
    return Labelled(str(source), {w: sum(s) / len(s) for w, s in said.items()}, chosen or None)


def anchor(votes: SourceVotes, told: Labelled, names: Sequence[str]) -> tuple[AnchoredFit, Anchoring]:
    """The ratings of *names* by a judge's *votes*, anchored to what was *told*."""
    number = {name: code for code, name in enumerate(names)}
    judged: dict[ComparisonKey, list[float]] = {}
    for vote in votes.rows:
        if vote.key.left in number and vote.key.right in number:
            left_score = LEFT_SCORE[vote.outcome] if vote.left_score is None else vote.left_score
            judged.setdefault(vote.key, []).append(left_score)
    keys = list(judged)
    many = sum(key in told.left_scores for key in keys)
    if not many:
        message = f"{told.source} has no label on what {votes.source} has an outcome of"
        raise Precondition(message, reason="NO_COMMON_COMPARISONS")
    known = told.probability
    compared = Compared(
        len(names),
        np.array([number[key.left] for key in keys], dtype=np.int32),
        np.array([number[key.right] for key in keys], dtype=np.int32),
        np.array([sum(judged[key]) / len(judged[key]) for key in keys]),
        np.array([told.left_scores.get(key, np.nan) for key in keys]),
        _probabilities(keys, known, many),
        coded([key.prompt_id for key in keys])[1][0],
    )
    try:
        found = anchored(compared)
    except NotConverged as error:
        message = f"{many} labels are too few to anchor ratings to: {error}"
        raise Precondition(message, reason="NOT_CONVERGED") from None
    return found, Anchoring(
        told.source,
        many,
        len(keys),
        found.labelled_prompts,
        round(found.weight, 6),
        round(found.gain, 6),
        round(found.more_labels, 6),
        round(found.more_prompts, 6),
        known is None,
        len(told.left_scores) - many,
    )


def _probabilities(keys: Sequence[ComparisonKey], known: dict[ComparisonKey, float] | None, many: int) -> Floats:
    if known is None:
        return np.full(len(keys), many / len(keys))
    return np.array([known.get(key, 1.0) for key in keys])
