"""Anchor the ratings by a judge to people's labels on some of the same comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats
from judge.columns.names import encode_names
from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput, Precondition
from judge.domain.outcome import LEFT_SCORE, Selection
from judge.domain.source import Source
from judge.ranking.leaderboard import Anchoring
from judge.stats.errors import NotConverged
from judge.stats.prediction_powered import AnchoredFit, ComparisonColumns, anchored_fit
from judge.votes.comparisons import ComparisonKey
from judge.votes.sources import label_votes, labels_of, oriented_key
from judge.votes.votes import SourceVotes


@dataclass(frozen=True)
class AnchorLabels:
    """Labels that ratings are anchored to: by comparison, their mean left score and the probability of a label.

    *probability* is None if no label gives a probability and none comes from a queue. The labeled comparisons then
    count as drawn at random.
    """

    source: str
    left_scores: dict[ComparisonKey, float]
    probability: dict[ComparisonKey, float] | None


def anchor_labels(source: Source, labels: Iterable[Label]) -> AnchorLabels:
    """The labels of *source*, by comparison.

    Raises InvalidInput UNKNOWN_PROBABILITY if the selection probability is known for some comparisons only, or if
    labels from a queue have none.
    """
    own_labels = labels_of(source, labels)
    left_scores: dict[ComparisonKey, list[float]] = {}
    for vote in label_votes(source, own_labels):
        left_scores.setdefault(vote.key, []).append(LEFT_SCORE[vote.outcome])
    return AnchorLabels(
        source=str(source),
        left_scores={key: sum(scores) / len(scores) for key, scores in left_scores.items()},
        probability=_selection_probabilities(own_labels, left_scores.keys()),
    )


def _selection_probabilities(
    labels: Iterable[Label], keys: Iterable[ComparisonKey]
) -> dict[ComparisonKey, float] | None:
    keys = set(keys)
    probabilities: dict[ComparisonKey, float] = {}
    any_queued = False
    for label in labels:
        key, _ = oriented_key(label)
        if key not in keys:
            continue
        any_queued |= label.selection is Selection.QUEUE
        probability = label.selection_probability
        if probability is not None and probabilities.setdefault(key, probability) != probability:
            message = (
                f"labels on one comparison of prompt {key.prompt_id!r} have different selection probabilities: "
                f"{probabilities[key]} and {probability}"
            )
            raise InvalidInput("options.anchored_to", message, reason="UNKNOWN_PROBABILITY")
    unknown = keys - probabilities.keys()
    if unknown and (probabilities or any_queued):
        raise InvalidInput(
            "options.anchored_to",
            f"the selection probability of {len(unknown):,} of {len(keys):,} labeled comparisons is unknown, "
            "and others were not drawn at random, so ratings anchored to these labels would be biased; "
            "upload the labels with their selection_probability",
            reason="UNKNOWN_PROBABILITY",
        )
    return probabilities or None


def anchor(votes: SourceVotes, labels: AnchorLabels, names: Sequence[str]) -> tuple[AnchoredFit, Anchoring]:
    """The ratings of the contestants *names* by a judge's *votes*, anchored to *labels*.

    Raises Precondition NO_COMMON_COMPARISONS if no labeled comparison has a vote, and NOT_CONVERGED if there are too
    few labels.
    """
    code = {name: i for i, name in enumerate(names)}
    judged = {key: mean for key, mean in votes.rows.means().items() if key.left in code and key.right in code}
    keys = list(judged)
    n_labeled = sum(key in labels.left_scores for key in keys)
    if not n_labeled:
        message = (
            f"{labels.source} has no label on a comparison that {votes.source} has an outcome for ({votes.coverage})"
        )
        raise Precondition(message, reason="NO_COMMON_COMPARISONS")
    compared = ComparisonColumns(
        m=len(names),
        left=np.array([code[key.left] for key in keys], dtype=np.int32),
        right=np.array([code[key.right] for key in keys], dtype=np.int32),
        judged=np.array(list(judged.values())),
        labeled=np.array([labels.left_scores.get(key, np.nan) for key in keys]),
        probability=_probabilities(keys, labels.probability, n_labeled),
        cluster=encode_names([key.prompt_id for key in keys])[1][0],
    )
    try:
        fit = anchored_fit(compared)
    except NotConverged as error:
        message = f"{n_labeled:,} labels are too few to anchor ratings to: {error}"
        raise Precondition(message, reason="NOT_CONVERGED") from None
    return fit, Anchoring(
        source=labels.source,
        labeled=n_labeled,
        comparisons=len(keys),
        prompts=fit.labeled_prompts,
        weight=round(fit.weight, 6),
        gain=round(fit.gain, 6),
        more_labels=round(fit.more_labels, 6),
        more_prompts=round(fit.more_prompts, 6),
        assumed_random=labels.probability is None,
        unused=len(labels.left_scores) - n_labeled,
    )


def _probabilities(keys: Sequence[ComparisonKey], known: dict[ComparisonKey, float] | None, n_labeled: int) -> Floats:
    if known is None:
        return np.full(len(keys), n_labeled / len(keys))
    return np.array([known.get(key, 1.0) for key in keys])
