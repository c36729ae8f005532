"""Decode the runs, judges, plans, and verdicts in a bundle, which the service itself encoded."""

from __future__ import annotations

from judge.api.v1 import judge_service_pb2, outcome_pb2, run_service_pb2, verdict_pb2
from judge.domain.errors import InvalidInput
from judge.domain.judge import AnswerForm, JudgeDefinition, Rubric, RubricVariant, Sampling
from judge.domain.names import resource_id
from judge.domain.outcome import ItemState, Order, Outcome, Preference, VerdictStatus
from judge.domain.run import Run, RunCounts, RunSpec, RunState
from judge.domain.usage import Usage
from judge.domain.verdict import ParsedVerdict, PresentationNames, Reply, Verdict
from judge.planning.named_plan import PlanEntry
from judge.rpc.decode import enum, optional_enum, run_spec

OF_REPLIES = (VerdictStatus.REFUSED, VerdictStatus.FILTERED, VerdictStatus.TRUNCATED)
"""The statuses that a reply has itself; the others follow from its parsed verdict."""
DIGITS = 9
"""Decimal digits of a stored probability."""


def run(message: run_service_pb2.Run) -> Run:
    """Decode a run of view FULL."""
    spec = run_service_pb2.RunSpec(
        dataset=message.dataset, judges=message.judges, pairing=message.pairing, budget=message.budget
    )
    return Run(
        row=0,
        run_id=resource_id("runs", "name", message.name),
        request_id=message.request_id,
        spec=_checked(run_spec(spec), message),
        dataset_revision=message.dataset_revision,
        judges=tuple(definition(each) for each in message.definitions),
        plan_hash=message.plan_hash,
        state=enum(RunState, message.state, "state"),
        reason=message.state_reason,
        message=message.state_message,
        revision=message.revision,
        counts=RunCounts(message.counts.planned, by_status=dict(message.counts.by_status)),
        cost_micros=message.cost_micros,
        create_time=message.create_time.ToMicroseconds() / 1e6,
        end_time=message.end_time.ToMicroseconds() / 1e6 if message.HasField("end_time") else None,
        never_started=optional_enum(ItemState, message.never_started, "never_started"),
        round=message.round,
    )


def _checked(spec: RunSpec, message: run_service_pb2.Run) -> RunSpec:
    if [f"judges/{name}" for name in spec.judges] != [each.name for each in message.definitions]:
        raise InvalidInput("definitions", "the definitions are not those of the run's judges")
    return spec


def definition(message: judge_service_pb2.JudgeDefinition) -> JudgeDefinition:
    """Decode a judge as it is frozen into a run."""
    sampling = message.sampling
    return JudgeDefinition(
        name=resource_id("judges", "name", message.name),
        backend=message.backend,
        rubric=Rubric(
            name=message.rubric,
            variants=tuple(_variant(each) for each in message.variants),
            version=message.rubric_version,
            tie_band=message.tie_band if message.HasField("tie_band") else None,
        ),
        parser=message.parser,
        model=message.model,
        sampling=Sampling(
            max_output_tokens=sampling.max_output_tokens,
            temperature=sampling.temperature if sampling.HasField("temperature") else None,
            seed=sampling.seed if sampling.HasField("seed") else None,
            effort=sampling.effort,
        ),
        scope=message.scope,
        weights=message.weights,
        endpoint=message.endpoint if message.HasField("endpoint") else None,
        request=tuple(message.request),
    )


def _variant(message: judge_service_pb2.RubricVariant) -> RubricVariant:
    try:
        form = AnswerForm(message.form)
    except ValueError:
        raise InvalidInput("form", f"form {message.form!r} is none of {', '.join(AnswerForm)}") from None
    return RubricVariant(
        name=message.variant,
        system=message.system,
        user=message.user,
        form=form,
        multi_turn=message.multi_turn if message.HasField("multi_turn") else None,
        with_reference=message.with_reference if message.HasField("with_reference") else None,
        categories=tuple(message.categories),
        steps=message.steps,
    )


def presentation(message: outcome_pb2.Presentation) -> PresentationNames:
    """Decode a presentation."""
    order = enum(Order, message.order, "presentation.order")
    return PresentationNames(
        prompt_id=message.prompt_id,
        turn=message.turn,
        left=message.left,
        right=message.right,
        order=order,
        left_sample=message.left_sample,
        right_sample=message.right_sample,
    )


def plan_entry(message: run_service_pb2.PlannedPresentation) -> PlanEntry:
    """Decode one presentation of a plan."""
    return PlanEntry(presentation(message.presentation), message.comparison_id)


def verdict(message: verdict_pb2.Verdict) -> Verdict:
    """Decode a verdict of view FULL."""
    names = presentation(message.presentation)
    return Verdict(
        judge=resource_id("judges", "judge", message.judge),
        presentation=names,
        category=message.category,
        position=message.position,
        comparison_id=message.comparison_id,
        reply=_reply(message) if message.status else None,
        parsed_verdicts=tuple(_parsed_verdict(each, names.order) for each in message.parsed_verdicts),
        state=optional_enum(ItemState, message.state, "state"),
        reason="" if message.status else message.reason,
        cache_tag=message.cache_tag,
        repeat=message.repeat,
        reused=message.reused,
        create_time=message.create_time.ToMicroseconds() / 1e6 if message.HasField("create_time") else 0.0,
    )


def _reply(message: verdict_pb2.Verdict) -> Reply:
    status, usage = enum(VerdictStatus, message.reply_status or message.status, "status"), message.usage
    return Reply(
        raw=message.raw,
        status=status if message.reply_status or status in OF_REPLIES else VerdictStatus.OK,
        usage=Usage(
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            cost_micros=usage.cost_micros,
            latency_ms=usage.latency_ms,
            tries=usage.tries,
        ),
        model=message.model,
        logprobs=tuple((each.token, each.logprob) for each in message.logprobs),
    )


def _parsed_verdict(message: verdict_pb2.ParsedVerdict, order: Order) -> ParsedVerdict:
    outcome = optional_enum(Outcome, message.outcome, "parsed_verdicts.outcome")
    first = message.probability_left if message.HasField("probability_left") else None
    if first is not None and order is Order.RIGHT_FIRST:
        # Encoding subtracted it from 1, which added a rounding error; the stored digits remove it.
        first = round(1 - first, DIGITS)
    return ParsedVerdict(
        parser=message.parser,
        preference=None if outcome is None else Preference.of(outcome, order),
        reason=message.reason,
        probability_first=first,
        strength=message.strength if message.HasField("strength") else None,
    )
