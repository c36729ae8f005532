"""The comparisons on which two sources disagree, those from which most can be learned first.

Many votes against a sure judge come first: the target's votes for its own most frequent outcome, less those for what
the source says, times how sure the source is. An annotator with r votes on a comparison counts 1 / r with each. A
source that says tie is half as sure as one that says left or right outright.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from itertools import repeat

from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput
from judge.domain.outcome import LEFT_SCORE, Outcome, Reconcile
from judge.domain.source import Source, SourceKind
from judge.domain.verdict import Verdict
from judge.planning.inputs import all_labels
from judge.planning.text_pages import text_pages
from judge.ports.store import Store
from judge.votes.comparisons import ComparisonKey
from judge.votes.sources import labels_of, oriented_key, verdicts_on, votes_of
from judge.votes.votes import Part, SourceVotes, Taking

TEXTS_OF = 10
"""The number of rows whose texts are loaded together."""
_TIE_SURE = 0.5
_PLACES = 9
_SLIGHT = 1e-6
"""Sums of weights are rounded, because three times a third is not always exactly 1."""


@dataclass(frozen=True)
class Disagreement:
    """A comparison on which the outcome of the source differs from that of most of the target's votes.

    *left_score* is the source's; *votes* counts the target's votes by outcome. The texts, the source's *verdicts* and
    the target's *labels* or *target_verdicts* are empty until `load_details` adds them.
    """

    key: ComparisonKey
    category: str
    source: Outcome
    target: Outcome
    left_score: float
    votes: Mapping[Outcome, int]
    informative: float
    prompt: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = field(default=())
    labels: tuple[Label, ...] = field(default=())
    target_verdicts: tuple[Verdict, ...] = field(default=())


def find_disagreements(source: SourceVotes, target: SourceVotes, least: int = 1) -> list[Disagreement]:
    """The comparisons on which *source* and most of *target*'s votes disagree, the most informative first.

    Comparisons with votes of fewer than *least* of the target's annotators are left out. Raises InvalidInput if the
    source has several votes on one comparison.
    """
    by_key = {vote.key: vote for vote in source.rows}
    if len(by_key) < len(source.rows):
        raise InvalidInput(
            "source",
            f"source {source.source} has several votes on a comparison; use {source.source}@plurality to make them one",
        )
    counts: dict[ComparisonKey, Counter[Outcome]] = {}
    weights: dict[ComparisonKey, dict[Outcome, float]] = {}
    for vote, vote_weight in zip(target.rows, _weights(target), strict=True):
        counts.setdefault(vote.key, Counter())[vote.outcome] += 1
        by_outcome = weights.setdefault(vote.key, dict.fromkeys(Outcome, 0.0))
        by_outcome[vote.outcome] = round(by_outcome[vote.outcome] + vote_weight, _PLACES)
    rows = []
    for key, votes in weights.items():
        if key not in by_key or sum(votes.values()) < least - _SLIGHT:
            continue
        mine = by_key[key]
        most = max(votes.values())
        leading = [outcome for outcome, weight in votes.items() if weight == most]
        theirs = leading[0] if len(leading) == 1 else Outcome.TIE
        if theirs is mine.outcome or most == votes[mine.outcome]:
            continue
        left_score = LEFT_SCORE[mine.outcome] if mine.left_score is None else mine.left_score
        sure = _TIE_SURE if mine.outcome is Outcome.TIE else 2 * abs(left_score - 0.5)
        rows.append(
            Disagreement(
                key=key,
                category=source.categories.get(key.prompt_id, ""),
                source=mine.outcome,
                target=theirs,
                left_score=left_score,
                votes=dict(counts[key]),
                informative=round((most - votes[mine.outcome]) * sure, 6),
            )
        )
    return sorted(rows, key=lambda row: (-row.informative, astuple(row.key)))


def _weights(votes: SourceVotes) -> Iterable[float]:
    """How much each vote counts: 1 / r for r votes of one annotator on a comparison."""
    weight = votes.rows.columns.weight
    return repeat(1.0, len(votes.rows)) if weight is None else weight.tolist()


async def load_disagreements(
    store: Store, tenant: str, dataset: str, source: Source, target: Source, part: Part, least: int
) -> list[Disagreement]:
    """Load the votes of both sources and find all disagreements, without texts."""
    taking = Taking(Reconcile.SOFT, part=part)
    mine, theirs = [await votes_of(store, tenant, dataset, side, taking) for side in (source, target)]
    return find_disagreements(mine, theirs, least)


async def load_details(
    store: Store, tenant: str, dataset: str, source: Source, target: Source, rows: Sequence[Disagreement]
) -> AsyncGenerator[Disagreement]:
    """Yield *rows* with the texts of the comparisons, the verdicts of sources that are judges, and the target's labels.

    Texts are loaded for a few rows at a time, so that a caller that has enough of them stops.
    """
    keys = {row.key for row in rows}
    revision = await store.revision(tenant, dataset)
    index = await store.dataset_index(tenant, dataset, revision, prompt_ids={key.prompt_id for key in keys})
    prompts = {prompt.prompt_id: prompt.row for prompt in index.prompts}
    outputs = index.named()

    def row_of(key: ComparisonKey, *, left: bool) -> int | None:
        name, sample = (key.left, key.left_sample) if left else (key.right, key.right_sample)
        output = outputs.get((key.prompt_id, name, sample))
        return None if output is None else output.row

    outputs_of = {key: (row_of(key, left=True), row_of(key, left=False)) for key in keys}
    labels: dict[ComparisonKey, list[Label]] = {}
    if target.kind in (SourceKind.PEOPLE, SourceKind.LABELS):
        everything = [label async for _, label in all_labels(store, tenant, dataset, revision)]
        for label in labels_of(target, everything):
            key, _ = oriented_key(label)
            if key in keys:
                labels.setdefault(key, []).append(label)

    def prompt_rows(row: Disagreement) -> list[int]:
        return [prompts[row.key.prompt_id]] if row.key.prompt_id in prompts else []

    def output_rows(row: Disagreement) -> list[int]:
        return [end for end in outputs_of[row.key] if end is not None]

    async for some in text_pages(store, rows, prompt_rows, output_rows, rows=TEXTS_OF):
        prompt_texts = await store.prompt_texts({number for row in some for number in prompt_rows(row)})
        shown = {row.key for row in some}
        verdicts, others = [await verdicts_on(store, tenant, dataset, side, shown) for side in (source, target)]
        texts = await store.output_texts({number for row in some for number in output_rows(row)})
        for row in some:
            prompt = prompt_texts.get(prompts.get(row.key.prompt_id, -1))
            left, right = (texts[end].output.texts if end in texts else () for end in outputs_of[row.key])
            yield replace(
                row,
                prompt=prompt.prompt.texts if prompt else (),
                left=left,
                right=right,
                verdicts=tuple(verdicts.get(row.key, ())),
                labels=tuple(labels.get(row.key, ())),
                target_verdicts=tuple(others.get(row.key, ())),
            )
