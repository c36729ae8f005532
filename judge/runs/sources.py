"""From a source's text to votes: one row for each outcome on a comparison, oriented with the smaller name on the left.

Verdicts on two orders are reconciled here, by the report's parameter; repeats are averaged within an order first. A
comparison that was shown in both orders, and has no verdict in one of them, is incomplete and gives no vote.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import partial

import numpy as np

from judge.domain.dataset import Label
from judge.domain.errors import InvalidInput, NotFound
from judge.domain.outcome import AnnotatorKind, ItemState, Order, Outcome, Reconcile
from judge.domain.source import Merge, Source, SourceKind
from judge.domain.verdict import SOURCE_PARSER, Reading, Verdict
from judge.ports.store import Store, VerdictQuery
from judge.runs.work import PAGE, all_labels
from judge.stats.votes import Votes as Coded
from judge.stats.votes import majority, plurality

LEFT_SHARE = {Outcome.LEFT: 1.0, Outcome.RIGHT: 0.0, Outcome.TIE: 0.5}


@dataclass(frozen=True, slots=True)
class Where:
    """A comparison by its names, left being the smaller."""

    prompt_id: str
    turn: int
    left: str
    right: str
    left_sample: int = 0
    right_sample: int = 0


@dataclass(frozen=True, slots=True)
class Vote:
    """One outcome on a comparison. *share* is how much of it goes to the left, other than whole only if soft.

    *left_first* says what was shown first, where each order is a vote of its own.
    """

    where: Where
    outcome: Outcome
    annotator: str = ""
    share: float | None = None
    left_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """A comparison's outcome in each order, where both were shown; None where there is no verdict."""

    where: Where
    left_first: Outcome | None
    right_first: Outcome | None


@dataclass(frozen=True)
class Votes:
    """What a source says: its votes in stored order, the two orders of its comparisons, and its coverage."""

    source: str
    rows: tuple[Vote, ...]
    categories: Mapping[str, str]
    tags: Mapping[str, tuple[str, ...]]
    usable: int
    planned: int
    by_status: Mapping[str, int] = field(default_factory=dict)
    orders: tuple[Orders, ...] = ()
    reading: str = ""
    interim: bool = False
    comparisons: frozenset[Where] = frozenset()
    """Of a judge: all that it has verdicts on, usable or not."""
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the data a figure covers; empty fields do not narrow."""

    category: str = ""
    turn: int = 0
    left: str = ""
    right: str = ""
    tag: str = ""

    def takes(self, where: Where, categories: Mapping[str, str], tags: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether the comparison at *where* belongs to it."""
        ends = {end for end in (self.left, self.right) if end}
        return (
            (not self.category or categories.get(where.prompt_id, "") == self.category)
            and (not self.turn or where.turn == self.turn)
            and ends <= {where.left, where.right}
            and (not self.tag or self.tag in tags.get(where.prompt_id, ()))
        )


WHOLE = Part()
"""All of the data."""


async def votes_of(
    store: Store, tenant: str, dataset: str, source: Source, reconcile: Reconcile, reading: str, part: Part
) -> Votes:
    """What *source* says of *dataset*, of the *part* asked for; a run's is its own where none is named."""
    if source.kind is SourceKind.RUN and not dataset:
        dataset = (await store.run(tenant, source.run)).spec.dataset
    if not dataset:
        raise InvalidInput("dataset", f"source {source} needs a dataset")
    votes = await _votes_of(store, tenant, dataset, source, reconcile, reading, part)
    return replace(votes, dataset=dataset)


async def _votes_of(
    store: Store, tenant: str, dataset: str, source: Source, reconcile: Reconcile, reading: str, part: Part
) -> Votes:
    summary = await store.dataset(tenant, dataset)
    board = await store.board(tenant, dataset, summary.revision)
    categories = {prompt.prompt_id: prompt.category for prompt in board.prompts}
    tags = {prompt.prompt_id: prompt.tags for prompt in board.prompts}
    if source.kind in (SourceKind.PEOPLE, SourceKind.LABELS):
        labels = [label async for _, label in all_labels(store, tenant, dataset, summary.revision)]

        def said() -> Votes:
            rows = tuple(vote for vote in label_votes(source, labels) if part.takes(vote.where, categories, tags))
            return Votes(str(source), rows, categories, tags, usable=len(rows), planned=len(rows), reading="label")

        return await asyncio.to_thread(said)
    known = partial(_judge_votes, reconcile=reconcile, reading=reading, part=part, categories=categories, tags=tags)
    if source.kind is SourceKind.JURY:
        if reconcile is Reconcile.EACH:
            raise InvalidInput(
                "options.reconcile", "a jury has one outcome a comparison; reconcile its members' orders"
            )
        if source.merge is Merge.MEAN and reconcile is Reconcile.TIE:
            # A mean of probabilities: a member whose orders part is in the middle, as far as they part.
            known = partial(known, reconcile=Reconcile.SOFT)
        members = [Source(SourceKind.JUDGE, name=member.judge) for member in source.members]
        said_by = [await _judged(store, tenant, dataset, member) for member in members]
        return await asyncio.to_thread(lambda: _jury_votes(source, [*map(known, said_by, members)]))
    return await asyncio.to_thread(known, await _judged(store, tenant, dataset, source), source)


def label_votes(source: Source, labels: Iterable[Label]) -> list[Vote]:
    """The votes that *source* takes from *labels*, in their order. NotFound if it takes none."""
    taken = [
        label
        for label in labels
        if (label.kind is AnnotatorKind.HUMAN if source.kind is SourceKind.PEOPLE else source.takes(label.annotator))
    ]
    if not taken:
        raise NotFound(f"source {source} matches no label", reason="EMPTY_SOURCE")
    rows = []
    for label in taken:
        where, flipped = oriented(
            label.prompt_id, label.turn, (label.left, label.left_sample), (label.right, label.right_sample)
        )
        rows.append(Vote(where, label.outcome.flipped if flipped else label.outcome, label.annotator))
    return merged(rows, source.merge)


def oriented(prompt_id: str, turn: int, left: tuple[str, int], right: tuple[str, int]) -> tuple[Where, bool]:
    """The comparison with the smaller name on the left, and whether that turned it round."""
    flipped = right < left
    if flipped:
        left, right = right, left
    return Where(prompt_id, turn, left[0], right[0], left[1], right[1]), flipped


def merged(rows: Sequence[Vote], merge: Merge) -> list[Vote]:
    """*rows* as they are, or one vote a comparison: the plurality (a tie for most is a tie) or the majority."""
    if merge is Merge.NONE:
        return list(rows)
    items: dict[Where, int] = {}
    item = np.array([items.setdefault(vote.where, len(items)) for vote in rows], dtype=np.int32)
    outcome = np.array([vote.outcome - 1 for vote in rows], dtype=np.int8)
    votes = Coded(item, outcome, item, np.zeros(len(rows), dtype=np.int32))
    one = plurality(votes) if merge is Merge.PLURALITY else majority(votes)
    wheres = list(items)
    return [
        Vote(wheres[at], Outcome(code + 1), f"@{merge}")
        for at, code in zip(one.item.tolist(), one.outcome.tolist(), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is stored of a judge: its verdicts, and of a run how many were planned and what became of the rest."""

    name: str
    verdicts: Sequence[Verdict]
    planned: int = 0
    interim: bool = False
    rest: ItemState | None = None


async def _judged(store: Store, tenant: str, dataset: str, source: Source) -> _Judged:
    if source.kind is not SourceKind.RUN:
        return _Judged(source.name, await store.judge_verdicts(tenant, dataset, source.name))
    run = await store.run(tenant, source.run)
    names = [judge.name for judge in run.judges]
    name = source.name or (names[0] if len(names) == 1 else "")
    if name not in names:
        raise NotFound(f"run {source.run} has the judges {', '.join(names)}; name one as run:{source.run}/JUDGE")
    verdicts = await _run_verdicts(store, run.row, name)
    return _Judged(name, verdicts, run.counts.planned // len(names), not run.state.ended, run.rest)


def _judge_votes(
    judged: _Judged,
    source: Source,
    *,
    reconcile: Reconcile,
    reading: str,
    part: Part,
    categories: Mapping[str, str],
    tags: Mapping[str, tuple[str, ...]],
) -> Votes:
    planned, rest = judged.planned, judged.rest
    narrowed = part != WHOLE
    kept = [verdict for verdict in judged.verdicts if part.takes(_where(verdict)[0], categories, tags)]
    statuses = Counter(_status(verdict, reading) for verdict in kept)
    if planned and not narrowed and planned > len(kept):
        statuses[rest.name.lower() if rest else "pending"] += planned - len(kept)
    grouped: dict[Where, dict[Order, list[float | None]]] = {}
    for verdict in kept:
        where, flipped = _where(verdict)
        order = Order(3 - verdict.showing.order) if flipped else verdict.showing.order
        share = _share(verdict, reading, flipped=flipped, soft=reconcile is Reconcile.SOFT)
        grouped.setdefault(where, {}).setdefault(order, []).append(share)
    orders = tuple(_orders(where, by_order) for where, by_order in grouped.items() if len(by_order) == len(Order))
    rows = [
        replace(vote, annotator=judged.name)
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
    )


def _jury_votes(jury: Source, members: Sequence[Votes]) -> Votes:
    """One vote for each comparison on which enough *members* have an outcome; others are counted as too_few_members."""
    said: dict[Where, list[tuple[float, Vote]]] = {}
    for member, votes in zip(jury.members, members, strict=True):
        said.update((where, []) for where in votes.comparisons - said.keys())
        for vote in votes.rows:
            said[vote.where].append((member.weight, vote))
    rows: list[Vote] = []
    statuses: Counter[str] = Counter()
    for where in sorted(said, key=astuple):
        enough = len(said[where]) >= jury.least
        found = _agreed(where, said[where], jury) if enough else None
        statuses["ok" if found else "no_majority" if enough else "too_few_members"] += 1
        rows += [found] if found else []
    one = members[0]
    return Votes(
        str(jury),
        tuple(rows),
        one.categories,
        one.tags,
        len(rows),
        len(said),
        dict(sorted(statuses.items())),
        reading=one.reading,
        interim=any(votes.interim for votes in members),
    )


def _agreed(where: Where, votes: Sequence[tuple[float, Vote]], jury: Source) -> Vote | None:
    """What a jury says of a comparison; None where no outcome has more than half of the weight and it must."""
    whole = sum(weight for weight, _ in votes)
    if jury.merge is Merge.MEAN:
        shares = [(w, LEFT_SHARE[vote.outcome] if vote.share is None else vote.share) for w, vote in votes]
        share = round(sum(weight * share for weight, share in shares) / whole, 12)
        return Vote(where, _whole(share), str(jury), share)
    weights = dict.fromkeys(Outcome, 0.0)
    for weight, vote in votes:
        weights[vote.outcome] += weight
    most = max(weights.values())
    leading = [outcome for outcome, weight in weights.items() if weight == most]
    if jury.merge is Merge.MAJORITY:
        return Vote(where, leading[0], str(jury)) if most > whole / 2 else None
    return Vote(where, leading[0] if len(leading) == 1 else Outcome.TIE, str(jury))


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


def _share(verdict: Verdict, reading: str, *, flipped: bool, soft: bool) -> float | None:
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


def _whole(share: float) -> Outcome:
    return Outcome.LEFT if share > 0.5 else Outcome.RIGHT if share < 0.5 else Outcome.TIE  # noqa: PLR2004  # half


def _orders(where: Where, by_order: Mapping[Order, Sequence[float | None]]) -> Orders:
    left, right = (_mean(by_order[order]) for order in Order)
    return Orders(where, None if left is None else _whole(left), None if right is None else _whole(right))


def _reconciled(where: Where, by_order: Mapping[Order, Sequence[float | None]], reconcile: Reconcile) -> list[Vote]:
    shares = [_mean(by_order[order]) for order in sorted(by_order)]
    told = [share for share in shares if share is not None]
    if reconcile is Reconcile.EACH:
        each = ((order, _mean(by_order[order])) for order in sorted(by_order))
        return [
            Vote(where, _whole(share), left_first=order is Order.LEFT_FIRST)
            for order, share in each
            if share is not None
        ]
    if len(told) < len(shares):
        return []
    if reconcile is Reconcile.SOFT:
        share = sum(told) / len(told)
        return [Vote(where, _whole(share), share=share)]
    outcomes = {_whole(share) for share in told}
    if len(outcomes) == 1:
        return [Vote(where, outcomes.pop())]
    return [] if reconcile is Reconcile.DROP else [Vote(where, Outcome.TIE)]
