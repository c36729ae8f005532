"""From the wire to the nouns. What is wrong is named by its field."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

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
from judge.rpc.enum_words import word
from judge.votes.votes import Part

if TYPE_CHECKING:
    from google.protobuf.message import Message

OPTIONS = "options."
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


def rank_options(message: ranking_service_pb2.RankingOptions) -> RankOptions:
    """Decode the options of a ranking. What is not given keeps the default of RankOptions."""
    anchored_to = message.anchored_to and Source.parse(message.anchored_to, "options.anchored_to")
    return RankOptions(
        **_given(
            method=word(message, "method", OPTIONS),
            k=message.k,
            start=message.start,
            level=message.level,
            reference=message.reference_contestant,
            reconcile=optional_enum(Reconcile, message.reconcile, "options.reconcile"),
            by_category=message.by_category,
            part=part(message.slice),
            largest=message.degenerate == ranking_service_pb2.DEGENERATE_LARGEST,
            parser=message.parser,
            scale=word(message, "scale", OPTIONS),
            inference=word(message, "inference", OPTIONS),
            strata=message.strata,
            position=message.position_effect,
            ridge=message.ridge,
            anchor=(message.anchor.contestant, message.anchor.rating) if message.HasField("anchor") else None,
            anchors=tuple((anchor.contestant, anchor.rating) for anchor in message.anchors),
            pairs=message.pairs,
            adjustment=word(message, "adjustment", OPTIONS),
            wanted=message.difference_to_detect,
            targets=tuple(message.target_categories),
            permutations=message.permutations,
            seed=message.seed,
            style=message.style,
            leave_one_out=message.leave_one_out,
            intervals=word(message, "intervals", OPTIONS),
            replicates=message.replicates,
            anchored_to=anchored_to,
            variance=message.variance,
            decisive=message.decisive_weight,
        )
    )


def agree_options(message: agreement_service_pb2.AgreementOptions) -> AgreeOptions:
    """Decode the options of an agreement report. What is not given keeps the default of AgreeOptions."""
    return AgreeOptions(
        **_given(
            unit=_name(message, "unit"),
            sorted_orientation=message.orientation == agreement_service_pb2.ORIENTATION_SORTED,
            ties=_name(message, "ties"),
            level=message.level,
            reconcile=optional_enum(Reconcile, message.reconcile, "options.reconcile"),
            by_turn=message.by_turn,
            by_category=message.by_category,
            by_pair=message.by_pair,
            by_annotator=message.by_annotator,
            intervals=word(message, "intervals", OPTIONS),
            replicates=message.replicates,
            seed=message.seed,
            epsilon=message.epsilon,
            q=message.q,
            least_items=message.least_items,
            unreadable_as_tie=message.unreadable_as_tie,
            bias=message.bias,
            family=tuple(message.family),
            wanted=message.difference_to_detect,
            cascade_target=message.cascade_target,
            cascade_delta=message.cascade_delta,
            parser=message.parser,
            part=part(message.slice),
        )
    )


def _name(message: Message, field: str) -> str:
    """Return the name of an enum value without its prefix; "" if it is unspecified."""
    return word(message, field, OPTIONS).upper().replace("-", "_")


def _given(**fields: Any) -> dict[str, Any]:  # whatever the fields hold
    """Return the fields that have a value; proto3 cannot tell 0 and "" from nothing."""
    return {name: field for name, field in fields.items() if field}


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
