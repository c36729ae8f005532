"""From a judge's verdicts to votes: statuses are counted, orders reconciled, repeats averaged within an order first.

A comparison that was shown in both orders, and has no outcome in one of them, is incomplete and gives no vote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from judge.columns.arrays import Codes, Flags, Floats
from judge.domain.outcome import PER_ORDER, ItemState, Order, Preference, Reconcile, VerdictStatus
from judge.ports.verdict_columns import STATUSES, VerdictColumns
from judge.stats.battles import TIE
from judge.votes.comparisons import ComparisonIndex
from judge.votes.verdicts_by_order import ORDERS, ByOrder, outcome_codes
from judge.votes.vote_table import VoteTable
from judge.votes.votes import WHOLE, SourceVotes, Taking


@dataclass(frozen=True, slots=True, eq=False)
class JudgeVerdicts:
    """The stored verdicts of a judge and, for a run, how many were planned and the state of those never started."""

    name: str
    verdicts: VerdictColumns
    planned: int = 0
    interim: bool = False
    never_started: ItemState | None = None
    adaptive: bool = False
    rounds: str = ""
    uniform_sample: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class PromptAttributes:
    """The categories and the tags of a dataset's prompts, by prompt id."""

    categories: Mapping[str, str]
    tags: Mapping[str, tuple[str, ...]]


def judge_votes(judge: JudgeVerdicts, source: str, taking: Taking, attributes: PromptAttributes) -> SourceVotes:
    """The votes that *taking* makes of a judge's verdicts."""
    verdicts, partial = judge.verdicts, taking.part != WHOLE
    keys, flipped = _orient(verdicts)
    kept = taking.part.among(keys, attributes.categories, attributes.tags)
    status = verdicts.status[kept]
    counts = np.bincount(status, minlength=len(STATUSES)).tolist()
    statuses = Counter({name: count for name, count in zip(STATUSES, counts, strict=True) if count})
    planned = 0 if partial else judge.planned
    if planned > status.size:
        statuses[judge.never_started.name.lower() if judge.never_started else "pending"] += planned - status.size
    distinct, item = keys.among(kept).distinct()
    order = np.where(flipped, len(Order) + 1 - verdicts.order, verdicts.order)[kept].astype(np.int8)
    left_score = _left_scores(verdicts, kept, order, soft=taking.reconcile is Reconcile.SOFT)
    if taking.unreadable_as_tie:
        left_score = np.where(np.isnan(left_score), 0.5, left_score)
    weight = None if taking.decisive == 1 else _weights(verdicts.strength[kept], taking.decisive)
    by_order = ByOrder(
        keys=distinct, item=item, order=order, left_score=left_score, weight=weight, answer=verdicts.answer[kept]
    )
    return SourceVotes(
        source=source,
        rows=reconcile_orders(by_order, taking.reconcile, judge.name),
        categories=attributes.categories,
        tags=attributes.tags,
        usable=statuses["ok"],
        planned=max(status.size, planned),
        by_status=dict(sorted(statuses.items())),
        parser=taking.parser or "own",
        interim=judge.interim,
        behind={judge.name: by_order},
        adaptive=judge.adaptive,
        rounds=judge.rounds,
        uniform_sample=judge.uniform_sample,
    )


def _orient(verdicts: VerdictColumns) -> tuple[ComparisonIndex, Flags]:
    """The comparison of each verdict with the smaller name on the left, and whether that swapped the two sides."""
    left, right, left_sample, right_sample = (
        verdicts.left,
        verdicts.right,
        verdicts.left_sample,
        verdicts.right_sample,
    )
    flipped = (right < left) | ((right == left) & (right_sample < left_sample))
    keys = ComparisonIndex(
        prompt_ids=verdicts.prompt_ids,
        contestants=verdicts.contestants,
        prompt=verdicts.prompt,
        turn=verdicts.turn,
        left=np.where(flipped, right, left),
        right=np.where(flipped, left, right),
        left_sample=np.where(flipped, right_sample, left_sample),
        right_sample=np.where(flipped, left_sample, right_sample),
    )
    return keys, flipped


def _left_scores(verdicts: VerdictColumns, kept: Flags, order: Codes, *, soft: bool) -> Floats:
    """Each verdict's left score: 1, 0.5 or 0, or if *soft*, its probability if it has one; NaN without an outcome."""
    preference = verdicts.preference[kept]
    left_first = order == Order.LEFT_FIRST
    left_score = np.where((preference == Preference.FIRST) == left_first, 1.0, 0.0)
    left_score[preference == Preference.TIE] = 0.5
    if soft:
        first = verdicts.probability_first[kept]
        left_score = np.where(np.isnan(first), left_score, np.where(left_first, first, 1.0 - first))
    left_score[(verdicts.status[kept] != VerdictStatus.OK) | (preference == 0)] = np.nan
    return left_score


def _weights(strength: Floats, decisive: float) -> Floats:
    """Weights from 1, for a strength of one half or less, linearly to *decisive*, for full strength."""
    return 1 + (decisive - 1) * np.maximum(2 * np.nan_to_num(strength) - 1, 0.0)


def reconcile_orders(by_order: ByOrder, reconcile: Reconcile, judge: str) -> VoteTable:
    """One vote per comparison from its two orders, or one per order if each counts on its own."""
    if reconcile in PER_ORDER:
        return _vote_per_order(by_order, judge, in_both=reconcile is Reconcile.BOTH)
    means, shown = by_order.means, by_order.shown
    known = ~np.isnan(means)
    usable = (known == shown).all(axis=1)
    left_score = np.where(known, means, 0.0).sum(axis=1)[usable] / known[usable].sum(axis=1)
    outcomes = np.where(known, outcome_codes(means), -1)[usable]
    same = (outcomes[:, 0] == outcomes[:, 1]) | (outcomes < 0).any(axis=1)
    outcome = (
        outcome_codes(left_score)
        if reconcile is Reconcile.SOFT
        else np.where(same, outcomes.max(axis=1), TIE).astype(np.int8)
    )
    votes = _votes(by_order.keys, np.flatnonzero(usable), outcome, judge)
    if by_order.weights_of_both is not None:
        votes = replace(votes, weight=np.where(outcome == TIE, 1.0, by_order.weights_of_both[usable]))
    if reconcile is Reconcile.SOFT:
        return replace(votes, left_score=left_score)
    return votes.among(same) if reconcile is Reconcile.DROP else votes


def _vote_per_order(by_order: ByOrder, judge: str, *, in_both: bool) -> VoteTable:
    means = by_order.means
    if in_both:
        means = np.where(np.isnan(means).any(axis=1, keepdims=True), np.nan, means)
    means = means.ravel()
    cell = np.flatnonzero(~np.isnan(means))
    outcome = outcome_codes(means[cell])
    votes = _votes(by_order.keys, cell // ORDERS, outcome, judge)
    weight = None if by_order.weights is None else np.where(outcome == TIE, 1.0, by_order.weights.ravel()[cell])
    first = (cell % ORDERS == Order.LEFT_FIRST - 1).astype(np.int8)
    return replace(votes, left_first=first, weight=weight)


def _votes(keys: ComparisonIndex, item: NDArray[np.integer], outcome: Codes, judge: str) -> VoteTable:
    at = item.astype(np.int32)
    return VoteTable(
        keys=keys, annotators=(judge,), item=at, annotator=np.zeros(at.size, dtype=np.int32), outcome=outcome
    )
