"""Load the votes of a source from a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import replace

from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput, NotFound
from judge.domain.outcome import PER_ORDER, AnnotatorKind, Reconcile
from judge.domain.run import PairPolicy, Run
from judge.domain.scores import with_scored_pairs
from judge.domain.source import Merge, Source, SourceKind
from judge.domain.verdict import Verdict
from judge.planning.inputs import PAGE, all_labels
from judge.planning.rounds import Rounds, load_rounds
from judge.ports.dataset_index import IndexedPrompt
from judge.ports.parsed_verdicts import as_columns, without_texts
from judge.ports.records import VerdictQuery
from judge.ports.run_rows import RunQuery
from judge.ports.store import Store
from judge.ports.verdict_columns import VerdictColumns
from judge.votes.comparisons import ComparisonKey
from judge.votes.from_verdicts import JudgeVerdicts, PromptAttributes, judge_votes
from judge.votes.juries import jury_votes
from judge.votes.shared_codes import merge_votes
from judge.votes.vote_table import Vote, VoteTable
from judge.votes.votes import SourceVotes, Taking


async def votes_of(store: Store, tenant: str, dataset: str, source: Source, taking: Taking) -> SourceVotes:
    """Load the votes of *source* on *dataset*; for a run, *dataset* may be empty and is then the run's own.

    Raises InvalidInput if no dataset is known, and NotFound if the source matches nothing.
    """
    if source.kind is SourceKind.RUN and not dataset:
        dataset = (await store.run(tenant, source.run)).spec.dataset
    if not dataset:
        raise InvalidInput("dataset", f"source {source} needs a dataset")
    return replace(await _load_votes(store, tenant, dataset, source, taking), dataset=dataset)


async def _load_votes(store: Store, tenant: str, dataset: str, source: Source, taking: Taking) -> SourceVotes:
    revision = await store.revision(tenant, dataset)
    prompts = await store.prompt_index(tenant, dataset, revision)
    categories = dict(zip(prompts.prompt_id, prompts.category, strict=True))
    tags = dict(zip(prompts.prompt_id, prompts.tags, strict=True))
    if source.kind in (SourceKind.PEOPLE, SourceKind.LABELS):
        labels = [label async for _, label in all_labels(store, tenant, dataset, revision)]

        def votes_from_labels() -> SourceVotes:
            matching = labels_of(source, labels)
            votes = _votes(source, matching, soft=taking.reconcile is Reconcile.SOFT)
            rows = votes.among(taking.part.among(votes.keys, categories, tags)[votes.item])
            return SourceVotes(
                source=str(source),
                rows=rows,
                categories=categories,
                tags=tags,
                usable=len(rows),
                planned=len(rows),
                parser="label",
                gold=all(label.kind is AnnotatorKind.GOLD for label in matching),
            )

        return await asyncio.to_thread(votes_from_labels)
    attributes = PromptAttributes(categories, tags)
    if source.kind is SourceKind.JURY:
        if taking.reconcile in PER_ORDER:
            raise InvalidInput(
                "options.reconcile",
                "a jury has one vote per comparison: choose a reconcile other than each and both",
            )
        if source.merge is Merge.MEAN and taking.reconcile is Reconcile.TIE:
            # The mean of soft votes keeps how far a member's two orders differ.
            taking = replace(taking, reconcile=Reconcile.SOFT)
        members = [Source(SourceKind.JUDGE, name=member.judge) for member in source.members]
        member_votes = [
            await _load_judge_votes(store, tenant, dataset, member, taking, attributes) for member in members
        ]
        return await asyncio.to_thread(jury_votes, source, member_votes)
    return await _load_judge_votes(store, tenant, dataset, source, taking, attributes)


async def _load_judge_votes(
    store: Store, tenant: str, dataset: str, source: Source, taking: Taking, attributes: PromptAttributes
) -> SourceVotes:
    judge_verdicts = await _load_verdicts(store, tenant, dataset, source, taking.parser)
    return await asyncio.to_thread(judge_votes, judge_verdicts, str(source), _taking(source, taking), attributes)


def _taking(source: Source, taking: Taking) -> Taking:
    """*taking* with the reconcile that *source* names, if it names one."""
    return replace(taking, reconcile=source.reconcile) if source.reconcile else taking


def labels_of(source: Source, labels: Iterable[Label]) -> list[Label]:
    """The labels of two outputs that *source* matches, in their order, and those that its scores make.

    Raises NotFound if there are none.
    """
    matching = with_scored_pairs(
        label
        for label in labels
        if (label.kind is AnnotatorKind.HUMAN if source.kind is SourceKind.PEOPLE else source.takes(label.annotator))
    )
    if not matching:
        raise NotFound(f"source {source} matches no label of two outputs", reason="EMPTY_SOURCE")
    return matching


def label_votes(source: Source, labels: Iterable[Label], *, soft: bool = False) -> VoteTable:
    """The votes of *source* from *labels*, in their order. Raises NotFound if it matches none.

    If *soft*, the left score of a label with a probability is that probability, unless several are merged.
    """
    return _votes(source, labels_of(source, labels), soft=soft)


def _votes(source: Source, labels: Iterable[Label], *, soft: bool) -> VoteTable:
    rows = []
    for label in labels:
        key, flipped = oriented_key(label)
        outcome = label.outcome.flipped if flipped else label.outcome
        left_score = label.probability if soft else None
        if left_score is not None and flipped:
            left_score = 1 - left_score
        rows.append(Vote(key=key, outcome=outcome, annotator=label.annotator, left_score=left_score))
    return merge_votes(VoteTable.of(rows), source.merge)


def oriented_key(label: Label) -> tuple[ComparisonKey, bool]:
    """The comparison of *label* with the smaller name on the left, and whether that swapped the two sides."""
    return orient(label.prompt_id, label.turn, (label.left, label.left_sample), (label.right, label.right_sample))


def orient(prompt_id: str, turn: int, left: tuple[str, int], right: tuple[str, int]) -> tuple[ComparisonKey, bool]:
    """The comparison with the smaller name on the left, and whether that swapped the two sides."""
    flipped = right < left
    if flipped:
        left, right = right, left
    key = ComparisonKey(
        prompt_id=prompt_id,
        turn=turn,
        left=left[0],
        right=right[0],
        left_sample=left[1],
        right_sample=right[1],
    )
    return key, flipped


async def _load_verdicts(store: Store, tenant: str, dataset: str, source: Source, parser: str) -> JudgeVerdicts:
    if source.kind is not SourceKind.RUN:
        adaptive = await _has_adaptive_run(store, tenant, dataset, source.name)
        if parser:
            verdicts = await store.judge_verdicts(tenant, dataset, source.name)
            columns = await asyncio.to_thread(as_columns, verdicts, parser)
        else:
            columns = await store.judge_columns(tenant, dataset, source.name)
        return JudgeVerdicts(source.name, columns, adaptive=adaptive)
    run = await store.run(tenant, source.run)
    name = _judge_in(run, source)
    if parser:
        pages = _verdict_pages(store, run.row, VerdictQuery(judges=(name,)))
        light = [without_texts(verdict) async for page in pages for verdict in page]
        columns = await asyncio.to_thread(as_columns, light, parser)
    else:
        columns = await store.run_columns(run.row, [judge.name for judge in run.judges].index(name))
    return _with_uniform_sample(_in_run(run, name, columns), await _load_rounds(store, tenant, run))


def _judge_in(run: Run, source: Source) -> str:
    names = [judge.name for judge in run.judges]
    name = source.name or (names[0] if len(names) == 1 else "")
    if name not in names:
        raise NotFound(f"run {source.run} has the judges {', '.join(names)}; name one as run:{source.run}/JUDGE")
    return name


def _in_run(run: Run, name: str, verdicts: VerdictColumns) -> JudgeVerdicts:
    return JudgeVerdicts(
        name=name,
        verdicts=verdicts,
        planned=run.counts.planned // len(run.judges),
        interim=not run.state.ended,
        never_started=run.never_started,
    )


def run_votes(
    run: Run,
    source: Source,
    verdicts: Sequence[Verdict],
    prompts: Iterable[IndexedPrompt],
    taking: Taking,
    rounds: Rounds | None = None,
) -> SourceVotes:
    """The votes of a *source* of *run* from its *verdicts* in the order of the plan, without a store.

    *rounds* are the run's rounds, if it is adaptive. Raises InvalidInput for a source of another run.
    """
    if (source.kind, source.run) != (SourceKind.RUN, run.run_id):
        raise InvalidInput("source", f"source {source} does not belong to run {run.run_id}", reason="INVALID_SOURCE")
    name = _judge_in(run, source)
    rows = tuple(prompts)
    columns = as_columns([verdict for verdict in verdicts if verdict.judge == name], taking.parser)
    attributes = PromptAttributes(
        {prompt.prompt_id: prompt.category for prompt in rows}, {prompt.prompt_id: prompt.tags for prompt in rows}
    )
    judge_verdicts = _with_uniform_sample(_in_run(run, name, columns), rounds)
    votes = judge_votes(judge_verdicts, str(source), _taking(source, taking), attributes)
    return replace(votes, dataset=run.spec.dataset)


async def _load_rounds(store: Store, tenant: str, run: Run) -> Rounds | None:
    """Load the rounds of *run*, if it is adaptive."""
    if run.spec.pairing.policy is not PairPolicy.ADAPTIVE:
        return None
    return await load_rounds(store, tenant, run)


def _with_uniform_sample(judge_verdicts: JudgeVerdicts, rounds: Rounds | None) -> JudgeVerdicts:
    """*judge_verdicts* with the uniform sample of an adaptive run's *rounds*."""
    if rounds is None:
        return judge_verdicts
    uniform_sample = frozenset((prompt, min(ends), max(ends)) for prompt, *ends in rounds.uniform_sample())
    return replace(judge_verdicts, adaptive=True, rounds=rounds.so_far, uniform_sample=uniform_sample)


async def _has_adaptive_run(store: Store, tenant: str, dataset: str, judge: str) -> bool:
    """Whether some run of *judge* over *dataset* was adaptive."""
    before = 0
    while page := await store.runs(tenant, RunQuery(dataset), before, PAGE):
        for run in page:
            if run.spec.pairing.policy is PairPolicy.ADAPTIVE and judge in run.spec.judges:
                return True
        before = page[-1].row
    return False


async def verdicts_on(
    store: Store, tenant: str, dataset: str, source: Source, keys: Collection[ComparisonKey]
) -> dict[ComparisonKey, list[Verdict]]:
    """Load the verdicts behind the votes of a judge, a run or a jury on *keys*; labels have none."""
    if source.kind in (SourceKind.PEOPLE, SourceKind.LABELS):
        return {}
    judges = [Source(SourceKind.JUDGE, name=member.judge) for member in source.members] or [source]
    by_key: dict[ComparisonKey, list[Verdict]] = {}
    for judge in judges:
        for verdict in await _load_verdict_list(store, tenant, dataset, judge, {key.prompt_id for key in keys}):
            key = _key(verdict)
            if key in keys:
                by_key.setdefault(key, []).append(verdict)
    return by_key


async def _load_verdict_list(
    store: Store, tenant: str, dataset: str, source: Source, prompt_ids: Collection[str]
) -> list[Verdict]:
    if source.kind is not SourceKind.RUN:
        return await store.judge_verdicts(tenant, dataset, source.name, prompt_ids=prompt_ids)
    run = await store.run(tenant, source.run)
    pages = _verdict_pages(store, run.row, VerdictQuery(judges=(_judge_in(run, source),), prompt_ids=prompt_ids))
    return [verdict async for page in pages for verdict in page]


async def _verdict_pages(store: Store, row: int, query: VerdictQuery) -> AsyncIterator[list[Verdict]]:
    after = -1
    while page := await store.verdicts(row, query, after=after, limit=PAGE):
        yield page
        after = page[-1].position


def _key(verdict: Verdict) -> ComparisonKey:
    presentation = verdict.presentation
    left, right = (presentation.left, presentation.left_sample), (presentation.right, presentation.right_sample)
    return orient(presentation.prompt_id, presentation.turn, left, right)[0]
