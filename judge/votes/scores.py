"""Load the scores of single outputs from a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judge.domain.errors import InvalidInput, NotFound
from judge.domain.outcome import AnnotatorKind
from judge.domain.scores import Score, score_of
from judge.domain.source import Merge, Source, SourceKind
from judge.planning.inputs import all_labels
from judge.ports.store import Store


@dataclass(frozen=True)
class SourceScores:
    """The scores of a *source*, and the categories and tags of prompts by prompt id."""

    source: str
    scores: Sequence[Score]
    categories: Mapping[str, str]
    tags: Mapping[str, tuple[str, ...]]


async def load_scores(store: Store, tenant: str, dataset: str, source: Source) -> SourceScores:
    """Load the scores that the annotators of *source* gave.

    Raises InvalidInput for a source that has no scores by its kind, and NotFound if there are none.
    """
    if source.kind not in (SourceKind.PEOPLE, SourceKind.LABELS) or source.merge is not Merge.NONE:
        message = f"scores are of people or labels:PATTERN, not of {source}"
        raise InvalidInput("source", message, reason="INVALID_SOURCE")
    revision = await store.revision(tenant, dataset)
    prompts = await store.prompt_index(tenant, dataset, revision)
    scores = [
        score
        async for _, label in all_labels(store, tenant, dataset, revision)
        if (score := score_of(label)) is not None and _matches(source, score)
    ]
    if not scores:
        raise NotFound(f"source {source} matches no score of a single output", reason="EMPTY_SOURCE")
    return SourceScores(
        source=str(source),
        scores=scores,
        categories=dict(zip(prompts.prompt_id, prompts.category, strict=True)),
        tags=dict(zip(prompts.prompt_id, prompts.tags, strict=True)),
    )


def _matches(source: Source, score: Score) -> bool:
    if source.kind is SourceKind.PEOPLE:
        return score.kind is AnnotatorKind.HUMAN
    return source.takes(score.annotator)
