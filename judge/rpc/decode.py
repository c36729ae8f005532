"""Decode requests. InvalidInput names the field that is wrong."""

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
from judge.domain.dataset import ImportedVerdict, Label, ListedComparison, Output, Prompt, check_texts
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
from judge.domain.run import (
    Budget,
    OrderPolicy,
    Pairing,
    PairPolicy,
    RunSpec,
    RunState,
    TurnPolicy,
    check_metadata,
)
from judge.domain.source import Source
from judge.ports.records import VerdictQuery
from judge.ports.run_rows import RunQuery
from judge.ranking.options import RankOptions
from judge.rpc.enum_words import word
from judge.rpc.turns import decode_turns
from judge.votes.votes import Part

if TYPE_CHECKING:
    from google.protobuf.message import Message

OPTIONS = "options."
MAX_ROW = 2**63 - 1
"""The largest number that a page token can hold."""
CACHE_TAG_LENGTH = 256
"""The most characters of a cache tag: it is part of an index, whose rows have a largest size."""
E_ = TypeVar("E_", bound=IntEnum)


def enum(kind: type[E_], value: int, field: str) -> E_:
    """Return the member with this value. Raises InvalidInput if it is unspecified or unknown."""
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(member.name for member in kind)
        raise InvalidInput(field, f"{field} must be one of {known}", reason="INVALID_ENUM") from None


def optional_enum(kind: type[E_], value: int, field: str) -> E_ | None:
    """Return the member with this value, or None if it is unspecified."""
    return enum(kind, value, field) if value else None


def page_size(requested: int) -> int:
    """Return the size of a page: 100 by default, at most 1,000."""
    if requested < 0:
        raise InvalidInput("page_size", "page_size cannot be negative")
    return min(requested or 100, 1000)


def page_token(token: str, empty: int) -> int:
    """Return where a page of numbers starts."""
    if not token:
        return empty
    if token.isascii() and token.isdigit() and int(token) <= MAX_ROW:
        return int(token)
    raise InvalidInput("page_token", "page_token is not a token that this service returned")


def prompt(row: dataset_service_pb2.Prompt) -> Prompt:
    """Decode a prompt."""
    return Prompt(
        prompt_id=row.prompt_id,
        turns=decode_turns(row),
        category=row.category,
        tags=tuple(row.tags),
        reference=tuple(row.reference),
    )


def output(row: dataset_service_pb2.Output) -> Output:
    """Decode an output."""
    return Output(prompt_id=row.prompt_id, contestant=row.contestant, turns=decode_turns(row), sample=row.sample)


def label(row: dataset_service_pb2.Label) -> Label:
    """Decode a label; turn 0 means the first."""
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
    """Decode a verdict made elsewhere."""
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
        left_sample=row.left_sample,
        right_sample=row.right_sample,
        strength=row.strength if row.HasField("strength") else None,
    )


def listed(row: dataset_service_pb2.ListedComparison) -> ListedComparison:
    """Decode an explicit comparison."""
    return ListedComparison(
        comparison_id=row.comparison_id,
        prompt_id=row.prompt_id,
        left=row.left,
        right=row.right,
        turn=row.turn,
        left_sample=row.left_sample,
        right_sample=row.right_sample,
    )


def budget(message: run_service_pb2.Budget) -> Budget:
    """Decode a budget."""
    return Budget(message.cost_micros, message.calls, hard=message.hard)


def run_spec(spec: run_service_pb2.RunSpec) -> RunSpec:
    """Decode a run's specification."""
    if not spec.judges:
        raise InvalidInput("run.judges", "a run needs at least one judge", reason="MISSING_JUDGE")
    judges = tuple(resource_id("judges", "run.judges", name) for name in spec.judges)
    if len(set(judges)) != len(judges):
        raise InvalidInput(
            "run.judges", "a judge is named twice; to judge each presentation more than once, set pairing.repeats"
        )
    return RunSpec(
        dataset=resource_id("datasets", "run.dataset", spec.dataset),
        judges=judges,
        pairing=pairing(spec.pairing),
        budget=budget(spec.budget),
        metadata=dict(sorted(spec.metadata.items())),
    )


def run_query(request: run_service_pb2.ListRunsRequest) -> RunQuery:
    """Decode which runs to list."""
    metadata = dict(request.metadata)
    check_metadata("metadata", metadata)
    known = {state.value for state in RunState}
    if not known.issuperset(request.states):
        raise InvalidInput("states", "states must be states of a run")
    return RunQuery(
        dataset=resource_id("datasets", "dataset", request.dataset) if request.dataset else "",
        states=[RunState(state) for state in request.states],
        metadata=metadata,
    )


def check_cache_tag(field: str, tag: str) -> None:
    """Raise InvalidInput if *tag* cannot be part of a key in every store."""
    if len(tag) > CACHE_TAG_LENGTH or "\0" in tag:
        raise InvalidInput(field, f"cache_tag must be at most {CACHE_TAG_LENGTH} characters, none of them NUL")


def pairing(message: run_service_pb2.Pairing) -> Pairing:
    """Decode which comparisons are judged. What is not given keeps the default of Pairing."""
    if min(message.count, message.prompts, message.turn, message.repeats, message.seed) < 0:
        raise InvalidInput("run.pairing", "count, prompts, turn, repeats and seed cannot be negative")
    check_cache_tag("pairing.cache_tag", message.cache_tag)
    return Pairing(
        **_given(
            policy=optional_enum(PairPolicy, message.policy, "pairing.policy"),
            reference_contestant=message.reference_contestant,
            count=message.count,
            contestants=tuple(message.contestants),
            categories=tuple(message.categories),
            tags=tuple(message.tags),
            prompts=message.prompts,
            turns=optional_enum(TurnPolicy, message.turns, "pairing.turns"),
            turn=message.turn,
            orders=optional_enum(OrderPolicy, message.orders, "pairing.orders"),
            repeats=message.repeats,
            seed=message.seed,
            cache_tag=message.cache_tag,
            round_size=message.round_size,
            top=message.top,
            precision=message.precision,
            separated=message.separated,
        )
    )


def verdict_query(message: verdict_pb2.VerdictFilter) -> VerdictQuery:
    """Decode a filter of verdicts."""
    return VerdictQuery(
        judges=tuple(resource_id("judges", "filter.judges", name) for name in message.judges),
        contestants=tuple(message.contestants),
        prompt_ids=tuple(message.prompt_ids),
        categories=tuple(message.categories),
        statuses=tuple(enum(VerdictStatus, value, "filter.statuses") for value in message.statuses),
        states=tuple(enum(ItemState, value, "filter.states") for value in message.states),
        outcomes=tuple(enum(Outcome, value, "filter.outcomes") for value in message.outcomes),
    )


def part(message: outcome_pb2.Slice) -> Part:
    """Decode the requested part of the data."""
    if message.turn < 0:
        raise InvalidInput("slice.turn", f"slice.turn must be 0 or more, but it is {message.turn}")
    return Part(category=message.category, turn=message.turn, left=message.left, right=message.right, tag=message.tag)


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
            largest=_is(message, "degenerate", "largest"),
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
            within=message.within,
            within_win_rate=message.within_win_rate,
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
            goodness_of_fit=message.goodness_of_fit,
            length_controlled=message.length_controlled,
            difficulties=tuple((row.prompt_id, row.difficulty) for row in message.difficulties),
        )
    )


def agree_options(message: agreement_service_pb2.AgreementOptions) -> AgreeOptions:
    """Decode the options of an agreement report. What is not given keeps the default of AgreeOptions."""
    return AgreeOptions(
        **_given(
            unit=_name(message, "unit"),
            sorted_orientation=_is(message, "orientation", "sorted"),
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
            gold=message.gold,
            cascade_target=message.cascade_target,
            cascade_delta=message.cascade_delta,
            weighting=_name(message, "weighting"),
            drift_margin=message.drift_margin,
            inference=word(message, "inference", OPTIONS),
            parser=message.parser,
            part=part(message.slice),
        )
    )


def _name(message: Message, field: str) -> str:
    """Return the name of an enum value without its prefix; "" if it is unspecified."""
    return word(message, field, OPTIONS).upper().replace("-", "_")


def _is(message: Message, field: str, spelled: str) -> bool | None:
    """Return whether an enum field has the value of this word; None if it is unspecified."""
    given = word(message, field, OPTIONS)
    return given == spelled if given else None


def _given(**fields: Any) -> dict[str, Any]:  # whatever the fields hold
    """Return the fields that have a value; proto3 cannot tell 0 and "" from nothing."""
    return {name: field for name, field in fields.items() if field or field is False}


def inline(message: judge_service_pb2.InlineComparison) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the prompt, left and right texts of a comparison, which must have the same number of turns.

    Raises InvalidInput if they have not, or are larger than those of a dataset may be.
    """
    prompt_texts, left, right = tuple(message.prompt), tuple(message.left), tuple(message.right)
    if not prompt_texts or len(prompt_texts) != len(left) or len(prompt_texts) != len(right):
        raise InvalidInput(
            "input.texts",
            "prompt, left and right must have the same number of turns, at least 1",
            reason="MISSING_TURN",
        )
    check_texts(prompt=prompt_texts, reference=tuple(message.reference))
    check_texts(left=left)
    check_texts(right=right)
    return prompt_texts, left, right
