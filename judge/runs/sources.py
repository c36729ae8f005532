"""From a source's text to votes.

Verdicts on two orders are reconciled here, by the report's parameter; repeats are averaged within an order first. A
comparison that was shown in both orders, and has no verdict in one of them, is incomplete and gives no vote.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput, NotFound
from judge.domain.outcome import AnnotatorKind, ItemState, Order, Outcome, Reconcile
from judge.domain.run import PairPolicy, Run
from judge.domain.source import Merge, Source, SourceKind
from judge.domain.verdict import SOURCE_PARSER, Reading, Verdict
from judge.ports.board import BoardPrompt
from judge.ports.store import Store, VerdictQuery
from judge.runs.juries import jury_votes
from judge.runs.rounds import build_rounds, catch_up
from judge.runs.table import merged
from judge.runs.votes import LEFT_SHARE, WHOLE, Orders, Taking, Vote, Votes, Where, whole
from judge.runs.work import PAGE, all_labels


async def votes_of(store: Store, tenant: str, dataset: str, source: Source, taking: Taking) -> Votes:
    """What *source* says of *dataset*; a run's is its own where none is named."""
    if source.kind is SourceKind.RUN and not dataset:
        dataset = (await store.run(tenant, source.run)).spec.dataset
    if not dataset:
        raise InvalidInput("dataset", f"source {source} needs a dataset")
    return replace(await _votes_of(store, tenant, dataset, source, taking), dataset=dataset)


async def _votes_of(store: Store, tenant: str, dataset: str, source: Source, taking: Taking) -> Votes:
    revision = await store.revision(tenant, dataset)
    prompts = await store.board_prompts(tenant, dataset, revision)
    categories = dict(zip(prompts.prompt_id, prompts.category, strict=True))
    tags = dict(zip(prompts.prompt_id, prompts.tags, strict=True))
    if source.kind in (SourceKind.PEOPLE, SourceKind.LABELS):
        labels = [label async for _, label in all_labels(store, tenant, dataset, revision)]

        def said() -> Votes:
            rows = tuple(
                vote for vote in label_votes(source, labels) if taking.part.takes(vote.where, categories, tags)
            )
            return Votes(str(source), rows, categories, tags, usable=len(rows), planned=len(rows), reading="label")

        return await asyncio.to_thread(said)
    known = partial(_judge_votes, taking=taking, categories=categories, tags=tags)
    if source.kind is SourceKind.JURY:
        if taking.reconcile is Reconcile.EACH:
            raise InvalidInput(
                "options.reconcile", "a jury has one outcome a comparison; reconcile its members' orders"
            )
        if source.merge is Merge.MEAN and taking.reconcile is Reconcile.TIE:
            # A mean of probabilities: a member whose orders part is in the middle, as far as they part.
            known = partial(known, taking=replace(taking, reconcile=Reconcile.SOFT))
        members = [Source(SourceKind.JUDGE, name=member.judge) for member in source.members]
        said_by = [await _judged(store, tenant, dataset, member) for member in members]
        return await asyncio.to_thread(lambda: jury_votes(source, [*map(known, said_by, members)]))
    return await asyncio.to_thread(known, await _judged(store, tenant, dataset, source), source)


def labels_of(source: Source, labels: Iterable[Label]) -> list[Label]:
    """The labels that *source* takes, in their order. NotFound if it takes none."""
    taken = [
        label
        for label in labels
        if (label.kind is AnnotatorKind.HUMAN if source.kind is SourceKind.PEOPLE else source.takes(label.annotator))
    ]
    if not taken:
        raise NotFound(f"source {source} matches no label", reason="EMPTY_SOURCE")
    return taken


def label_votes(source: Source, labels: Iterable[Label]) -> Sequence[Vote]:
    """The votes that *source* takes from *labels*, in their order. NotFound if it takes none."""
    rows = []
    for label in labels_of(source, labels):
        where, flipped = labelled_at(label)
        rows.append(Vote(where, label.outcome.flipped if flipped else label.outcome, label.annotator))
    return merged(rows, source.merge)


def labelled_at(label: Label) -> tuple[Where, bool]:
    """The comparison that *label* is on, and whether that turned it round."""
    return oriented(label.prompt_id, label.turn, (label.left, label.left_sample), (label.right, label.right_sample))


def oriented(prompt_id: str, turn: int, left: tuple[str, int], right: tuple[str, int]) -> tuple[Where, bool]:
    """The comparison with the smaller name on the left, and whether that turned it round."""
    flipped = right < left
    if flipped:
        left, right = right, left
    return Where(prompt_id, turn, left[0], right[0], left[1], right[1]), flipped


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is stored of a judge: its verdicts, and of a run how many were planned and what became of the rest."""

    name: str
    verdicts: Sequence[Verdict]
    planned: int = 0
    interim: bool = False
    rest: ItemState | None = None
    adaptive: bool = False
    rounds: str = ""
    by_lot: frozenset[tuple[str, str, str]] = frozenset()


async def _judged(store: Store, tenant: str, dataset: str, source: Source) -> _Judged:
    if source.kind is not SourceKind.RUN:
        verdicts: Sequence[Verdict] = await store.judge_verdicts(tenant, dataset, source.name)
        return _Judged(source.name, verdicts, adaptive=await _adaptively(store, tenant, dataset, source.name))
    run = await store.run(tenant, source.run)
    name = _judge_in(run, source)
    return await _with_lots(store, tenant, run, _in_run(run, name, await _run_verdicts(store, run.row, name)))


def _judge_in(run: Run, source: Source) -> str:
    names = [judge.name for judge in run.judges]
    name = source.name or (names[0] if len(names) == 1 else "")
    if name not in names:
        raise NotFound(f"run {source.run} has the judges {', '.join(names)}; name one as run:{source.run}/JUDGE")
    return name


def _in_run(run: Run, name: str, verdicts: Sequence[Verdict]) -> _Judged:
    return _Judged(name, verdicts, run.counts.planned // len(run.judges), not run.state.ended, run.rest)


def run_votes(
    run: Run, source: Source, verdicts: Sequence[Verdict], prompts: Iterable[BoardPrompt], taking: Taking
) -> Votes:
    """What a *source* of *run* says by these *verdicts*, in the order of its plan, without a store."""
    if (source.kind, source.run) != (SourceKind.RUN, run.run_id):
        raise InvalidInput("source", f"source {source} is none of run {run.run_id}", reason="INVALID_SOURCE")
    name = _judge_in(run, source)
    asked = tuple(prompts)
    votes = _judge_votes(
        _in_run(run, name, [verdict for verdict in verdicts if verdict.judge == name]),
        source,
        taking=taking,
        categories={prompt.prompt_id: prompt.category for prompt in asked},
        tags={prompt.prompt_id: prompt.tags for prompt in asked},
    )
    return replace(votes, dataset=run.spec.dataset)


async def _with_lots(store: Store, tenant: str, run: Run, judged: _Judged) -> _Judged:
    """*judged* with what an adaptive run drew by lot."""
    if run.spec.pairing.policy is not PairPolicy.ADAPTIVE:
        return judged
    rounds = await build_rounds(store, tenant, run.spec, run.dataset_revision)
    await catch_up(store, run.row, rounds)
    by_lot = frozenset((prompt, min(ends), max(ends)) for prompt, *ends in rounds.by_lot())
    return replace(judged, adaptive=True, rounds=rounds.so_far, by_lot=by_lot)


async def _adaptively(store: Store, tenant: str, dataset: str, judge: str) -> bool:
    """Whether some run of *judge* over *dataset* was adaptive."""
    before = 0
    while page := await store.runs(tenant, dataset, before, PAGE):
        for run in page:
            if run.spec.pairing.policy is PairPolicy.ADAPTIVE and judge in run.spec.judges:
                return True
        before = page[-1].row
    return False


async def verdicts_on(
    store: Store, tenant: str, dataset: str, source: Source, wheres: Collection[Where]
) -> dict[Where, list[Verdict]]:
    """The verdicts behind a judge's, a run's or a jury's votes on some comparisons; nothing of labels."""
    if source.kind in (SourceKind.PEOPLE, SourceKind.LABELS):
        return {}
    judges = [Source(SourceKind.JUDGE, name=member.judge) for member in source.members] or [source]
    found: dict[Where, list[Verdict]] = {}
    for judge in judges:
        for verdict in (await _judged(store, tenant, dataset, judge)).verdicts:
            where, _ = _where(verdict)
            if where in wheres:
                found.setdefault(where, []).append(verdict)
    return found


def _judge_votes(
    judged: _Judged,
    source: Source,
    *,
    taking: Taking,
    categories: Mapping[str, str],
    tags: Mapping[str, tuple[str, ...]],
) -> Votes:
    planned, rest = judged.planned, judged.rest
    reconcile, reading, part = source.reconcile or taking.reconcile, taking.reading, taking.part
    narrowed = part != WHOLE
    kept = [verdict for verdict in judged.verdicts if part.takes(_where(verdict)[0], categories, tags)]
    statuses = Counter(_status(verdict, reading) for verdict in kept)
    if planned and not narrowed and planned > len(kept):
        statuses[rest.name.lower() if rest else "pending"] += planned - len(kept)
    grouped: dict[Where, dict[Order, list[float | None]]] = {}
    weights: dict[Where, dict[Order, list[float]]] = {}
    for verdict in kept:
        where, flipped = _where(verdict)
        order = Order(3 - verdict.showing.order) if flipped else verdict.showing.order
        share = share_of(verdict, reading, flipped=flipped, soft=reconcile is Reconcile.SOFT)
        if share is None and taking.unreadable_as_tie:
            share = LEFT_SHARE[Outcome.TIE]
        grouped.setdefault(where, {}).setdefault(order, []).append(share)
        if taking.decisive != 1 and share is not None:
            weights.setdefault(where, {}).setdefault(order, []).append(_weight(verdict, reading, taking.decisive))
    orders = tuple(_orders(where, by_order) for where, by_order in grouped.items() if len(by_order) == len(Order))
    rows = [
        replace(vote, annotator=judged.name, weight=_weight_of(vote, weights.get(where, {})))
        for where, by_order in grouped.items()
        for vote in _reconciled(where, by_order, reconcile)
    ]
    return Votes(
        str(source),
        tuple(rows),
        categories,
        tags,
        statuses["ok"],
        max(len(kept), planned if not narrowed else 0),
        dict(sorted(statuses.items())),
        orders,
        reading or "own",
        judged.interim,
        frozenset(grouped),
        shares={judged.name: grouped},
        calls=frozenset(verdict.answer for verdict in kept if verdict.answer),
        adaptive=judged.adaptive,
        rounds=judged.rounds,
        by_lot=judged.by_lot,
    )


def _weight_of(vote: Vote, by_order: Mapping[Order, Sequence[float]]) -> float:
    """How many votes this one counts: the mean of its verdicts; a tie is one."""
    if vote.outcome is Outcome.TIE or not by_order:
        return 1.0
    if vote.left_first is None:
        told = [weight for weights in by_order.values() for weight in weights]
    else:
        told = list(by_order[Order.LEFT_FIRST if vote.left_first else Order.RIGHT_FIRST])
    return sum(told) / len(told)


def _weight(verdict: Verdict, reading: str, decisive: float) -> float:
    """*decisive* for a verdict of full strength, 1 for half of it or less, and in between in between."""
    chosen = chosen_reading(verdict, reading)
    strength = chosen.strength if chosen is not None and chosen.strength is not None else 0.0
    return 1 + (decisive - 1) * max(2 * strength - 1, 0.0)


async def _run_verdicts(store: Store, row: int, judge: str) -> list[Verdict]:
    found: list[Verdict] = []
    after = -1
    while page := await store.verdicts(row, VerdictQuery(judges=(judge,)), after=after, limit=PAGE):
        found.extend(page)
        after = page[-1].position
    return found


def _where(verdict: Verdict) -> tuple[Where, bool]:
    showing = verdict.showing
    return oriented(
        showing.prompt_id, showing.turn, (showing.left, showing.left_sample), (showing.right, showing.right_sample)
    )


def chosen_reading(verdict: Verdict, reading: str) -> Reading | None:
    """The reading called *reading*: empty for the one that counts, `source`, or a parser's name without version."""
    if not reading:
        return verdict.reading
    named = [r for r in verdict.readings if r.parser == reading or r.parser.partition("/")[0] == reading]
    return named[-1] if named else None


def _status(verdict: Verdict, reading: str) -> str:
    if verdict.reply is None:
        return verdict.state.name.lower() if verdict.state else "pending"
    if verdict.reply.status.name != "OK" and reading != SOURCE_PARSER:
        return verdict.reply.status.name.lower()
    chosen = chosen_reading(verdict, reading)
    return chosen.status.name.lower() if chosen else "unread"


def share_of(verdict: Verdict, reading: str = "", *, flipped: bool = False, soft: bool = False) -> float | None:
    """How much of a verdict goes to the left: all, half or nothing, or if *soft*, its probability where it has one."""
    if _status(verdict, reading) != "ok":
        return None
    chosen = chosen_reading(verdict, reading)
    if chosen is None or chosen.preference is None:
        return None
    order = verdict.showing.order
    if soft and chosen.probability_first is not None:
        left_first = (order is Order.LEFT_FIRST) != flipped
        return chosen.probability_first if left_first else 1.0 - chosen.probability_first
    outcome = chosen.preference.outcome(order)
    return LEFT_SHARE[outcome.flipped if flipped else outcome]


def _mean(shares: Sequence[float | None]) -> float | None:
    told = [share for share in shares if share is not None]
    return sum(told) / len(told) if told else None


def _orders(where: Where, by_order: Mapping[Order, Sequence[float | None]]) -> Orders:
    left, right = (_mean(by_order[order]) for order in Order)
    return Orders(where, None if left is None else whole(left), None if right is None else whole(right))


def both_orders(by_order: Mapping[Order, Sequence[float | None]]) -> Outcome | None:
    """The one outcome of the orders shown: a tie where they part, None where one of them has none."""
    shares = [_mean(by_order[order]) for order in sorted(by_order)]
    outcomes = {whole(share) for share in shares if share is not None}
    if None in shares or not outcomes:
        return None
    return outcomes.pop() if len(outcomes) == 1 else Outcome.TIE


def _reconciled(where: Where, by_order: Mapping[Order, Sequence[float | None]], reconcile: Reconcile) -> list[Vote]:
    shares = [_mean(by_order[order]) for order in sorted(by_order)]
    told = [share for share in shares if share is not None]
    if reconcile is Reconcile.EACH:
        each = ((order, _mean(by_order[order])) for order in sorted(by_order))
        return [
            Vote(where, whole(share), left_first=order is Order.LEFT_FIRST)
            for order, share in each
            if share is not None
        ]
    if len(told) < len(shares):
        return []
    if reconcile is Reconcile.SOFT:
        share = sum(told) / len(told)
        return [Vote(where, whole(share), share=share)]
    if reconcile is Reconcile.DROP and len({whole(share) for share in told}) > 1:
        return []
    outcome = both_orders(by_order)
    return [] if outcome is None else [Vote(where, outcome)]
