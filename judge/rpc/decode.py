"""From the wire to the nouns. What is wrong is named by its field."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

from judge.agreement.options import AgreeOptions
from judge.api.v1 import (
    agreement_service_pb2,
    dataset_service_pb2,
    judge_service_pb2,
    outcome_pb2,
    ranking_service_pb2,
    run_service_pb2,
    verdict_pb2,
)
from judge.domain.dataset import ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.names import resource_id
from judge.domain.outcome import (
    AnnotatorKind,
    ItemState,
    Order,
    Outcome,
    Reconcile,
    Selection,
    TieKind,
    VerdictStatus,
)
from judge.domain.run import Budget, OrderPolicy, Pairing, PairPolicy, RunSpec, TurnPolicy
from judge.domain.source import Source
from judge.ports.records import VerdictQuery
from judge.ranking.options import RankOptions
from judge.stats.scorecard import MAX_T
from judge.votes.votes import Part

E_ = TypeVar("E_", bound=IntEnum)


def enum(kind: type[E_], value: int, field: str) -> E_:
    """The member; InvalidInput if it is not said or not known."""
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(member.name for member in kind)
        raise InvalidInput(field, f"{field} must be one of {known}", reason="INVALID_ENUM") from None


def optional_enum(kind: type[E_], value: int, field: str) -> E_ | None:
    """The member, or None if it is not said."""
    return enum(kind, value, field) if value else None


def page_size(asked: int) -> int:
    """A page's size: 100 unless said, at most 1,000."""
    if asked < 0:
        raise InvalidInput("page_size", "page_size cannot be negative")
    return min(asked or 100, 1000)


def page_token(token: str, empty: int) -> int:
    """Where a page of numbers starts."""
    if not token:
        return empty
    try:
        return int(token)
    except ValueError:
        raise InvalidInput("page_token", "page_token is none that this service gave out") from None


def prompt(row: dataset_service_pb2.Prompt) -> Prompt:
    """A prompt."""
    return Prompt(row.prompt_id, tuple(row.turns), row.category, tuple(row.tags), tuple(row.reference))


def output(row: dataset_service_pb2.Output) -> Output:
    """An output."""
    return Output(row.prompt_id, row.contestant, tuple(row.turns), row.sample)


def label(row: dataset_service_pb2.Label) -> Label:
    """A label; turn 0 is the first."""
    return Label(
        label_id=row.label_id,
        prompt_id=row.prompt_id,
        left=row.left,
        right=row.right,
        outcome=enum(Outcome, row.outcome, "outcome"),
        annotator=row.annotator,
        kind=enum(AnnotatorKind, row.kind, "kind"),
        turn=row.turn or 1,
        left_sample=row.left_sample,
        right_sample=row.right_sample,
        probability=row.probability if row.HasField("probability") else None,
        strength=row.strength if row.HasField("strength") else None,
        tie_kind=optional_enum(TieKind, row.tie_kind, "tie_kind"),
        note=row.note,
        selection=optional_enum(Selection, row.selection, "selection"),
        selection_probability=row.selection_probability if row.HasField("selection_probability") else None,
    )


def imported_verdict(row: dataset_service_pb2.ImportedVerdict) -> ImportedVerdict:
    """A verdict made elsewhere."""
    return ImportedVerdict(
        prompt_id=row.prompt_id,
        left=row.left,
        right=row.right,
        order=enum(Order, row.order, "order"),
        judge=row.judge,
        turn=row.turn or 1,
        raw=row.raw if row.HasField("raw") else None,
        outcome=optional_enum(Outcome, row.outcome, "outcome"),
        status=optional_enum(VerdictStatus, row.status, "status"),
        reason=row.reason,
        repeat=row.repeat,
    )


def listed(row: dataset_service_pb2.ListedComparison) -> ListedComparison:
    """An explicit pair."""
    return ListedComparison(
        row.comparison_id, row.prompt_id, row.left, row.right, row.turn, row.left_sample, row.right_sample
    )


def run_spec(spec: run_service_pb2.RunSpec) -> RunSpec:
    """What a run would be."""
    if not spec.judges:
        raise InvalidInput("run.judges", "a run needs at least one judge", reason="MISSING_JUDGE")
    judges = tuple(resource_id("judges", "run.judges", name) for name in spec.judges)
    if len(set(judges)) != len(judges):
        raise InvalidInput("run.judges", "a judge is named twice; use pairing.repeats to judge more than once")
    return RunSpec(
        dataset=resource_id("datasets", "run.dataset", spec.dataset),
        judges=judges,
        pairing=pairing(spec.pairing),
        budget=Budget(spec.budget.cost_micros, spec.budget.calls),
    )


def pairing(said: run_service_pb2.Pairing) -> Pairing:
    """What to compare."""
    if min(said.count, said.prompts, said.turn, said.repeats, said.seed) < 0:
        raise InvalidInput("run.pairing", "count, prompts, turn, repeats and seed cannot be negative")
    return Pairing(
        policy=optional_enum(PairPolicy, said.policy, "pairing.policy") or PairPolicy.ALL,
        reference_contestant=said.reference_contestant,
        count=said.count,
        contestants=tuple(said.contestants),
        categories=tuple(said.categories),
        tags=tuple(said.tags),
        prompts=said.prompts,
        turns=optional_enum(TurnPolicy, said.turns, "pairing.turns") or TurnPolicy.LAST,
        turn=said.turn,
        orders=optional_enum(OrderPolicy, said.orders, "pairing.orders") or OrderPolicy.BOTH,
        repeats=said.repeats or 1,
        seed=said.seed,
        cache_tag=said.cache_tag,
        round_size=said.round_size,
        top=said.top,
        precision=said.precision,
        separated=said.separated,
    )


def verdict_query(said: verdict_pb2.VerdictFilter) -> VerdictQuery:
    """What narrows a run's verdicts."""
    return VerdictQuery(
        judges=tuple(resource_id("judges", "filter.judges", name) for name in said.judges),
        contestants=tuple(said.contestants),
        prompt_ids=tuple(said.prompt_ids),
        categories=tuple(said.categories),
        statuses=tuple(enum(VerdictStatus, value, "filter.statuses") for value in said.statuses),
        states=tuple(enum(ItemState, value, "filter.states") for value in said.states),
        outcomes=tuple(enum(Outcome, value, "filter.outcomes") for value in said.outcomes),
    )


def part(said: outcome_pb2.Slice) -> Part:
    """The part of the data asked for."""
    return Part(said.category, said.turn, said.left, said.right, said.tag)


def rank_options(said: ranking_service_pb2.RankingOptions) -> RankOptions:
    """How to rank."""
    anchor = (said.anchor.contestant, said.anchor.rating) if said.HasField("anchor") else None
    return RankOptions(
        method=said.method or "bradley-terry",
        k=said.k or 4.0,
        start=said.start or 1000.0,
        level=said.level or 0.95,
        reference=said.reference_contestant,
        reconcile=optional_enum(Reconcile, said.reconcile, "options.reconcile") or Reconcile.TIE,
        by_category=said.by_category,
        part=part(said.slice),
        largest=said.degenerate == ranking_service_pb2.DEGENERATE_LARGEST,
        parser=said.parser,
        scale=said.scale or "elo",
        inference=said.inference or "new-prompts",
        strata=said.strata,
        position=said.position_effect,
        ridge=said.ridge,
        anchor=anchor,
        anchors=tuple((one.contestant, one.rating) for one in said.anchors),
        pairs=said.pairs,
        adjustment=said.adjustment or MAX_T,
        wanted=said.difference_to_detect or 30.0,
        targets=tuple(said.target_categories),
        permutations=said.permutations or 100,
        seed=said.seed,
        style=said.style,
        leave_one_out=said.leave_one_out,
        intervals=said.intervals or "sandwich",
        replicates=said.replicates or 1000,
        anchored_to=Source.parse(said.anchored_to, "options.anchored_to") if said.anchored_to else None,
        variance=said.variance,
        decisive=said.decisive_weight or 1.0,
    )


def agree_options(said: agreement_service_pb2.AgreementOptions) -> AgreeOptions:
    """How to compare."""
    return AgreeOptions(
        unit=agreement_service_pb2.AgreementUnit.Name(said.unit).removeprefix("AGREEMENT_UNIT_"),
        sorted_orientation=said.orientation == agreement_service_pb2.ORIENTATION_SORTED,
        ties=agreement_service_pb2.Ties.Name(said.ties).removeprefix("TIES_"),
        level=said.level or 0.95,
        reconcile=optional_enum(Reconcile, said.reconcile, "options.reconcile") or Reconcile.TIE,
        by_turn=said.by_turn,
        by_category=said.by_category,
        by_pair=said.by_pair,
        by_annotator=said.by_annotator,
        intervals=said.intervals,
        replicates=said.replicates or 2000,
        seed=said.seed,
        epsilon=said.epsilon or 0.2,
        q=said.q or 0.05,
        least_items=said.least_items or 30,
        unreadable_as_tie=said.unreadable_as_tie,
        bias=said.bias,
        family=tuple(said.family),
        wanted=said.difference_to_detect or 0.05,
        cascade_target=said.cascade_target,
        cascade_delta=said.cascade_delta or 0.1,
        parser=said.parser,
        part=part(said.slice),
    )


def inline(said: judge_service_pb2.InlineComparison) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The texts of a comparison given in a request: prompt, left, right, all of one length."""
    asked, left, right = tuple(said.prompt), tuple(said.left), tuple(said.right)
    if not asked or len(asked) != len(left) or len(asked) != len(right):
        raise InvalidInput(
            "judged.texts",
            "prompt, left and right must have the same number of turns, at least 1",
            reason="MISSING_TURN",
        )
    return asked, left, right
