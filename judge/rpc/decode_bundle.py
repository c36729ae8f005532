"""From the wire back to the nouns that the service made: runs, judges, plans and verdicts, as a bundle holds them."""

from __future__ import annotations

from judge.api.v1 import judge_service_pb2, outcome_pb2, run_service_pb2, verdict_pb2
from judge.domain.errors import InvalidInput
from judge.domain.judge import AnswerForm, JudgeDefinition, Rubric, RubricVariant, Sampling
from judge.domain.names import resource_id
from judge.domain.outcome import ItemState, Order, Outcome, Preference, VerdictStatus
from judge.domain.run import Run, RunCounts, RunSpec, RunState
from judge.domain.verdict import ParsedVerdict, PresentationNames, Reply, Usage, Verdict
from judge.planning.named_plan import PlanEntry
from judge.rpc.decode import enum, optional_enum, run_spec

OF_REPLIES = (VerdictStatus.REFUSED, VerdictStatus.FILTERED, VerdictStatus.TRUNCATED)
"""Statuses that a reply has by itself; others are read from it."""
DIGITS = 9
"""Probabilities are kept with so many."""


def run(said: run_service_pb2.Run) -> Run:
    """A run of view FULL."""
    spec = run_service_pb2.RunSpec(dataset=said.dataset, judges=said.judges, pairing=said.pairing, budget=said.budget)
    return Run(
        row=0,
        run_id=resource_id("runs", "name", said.name),
        request_id=said.request_id,
        spec=_checked(run_spec(spec), said),
        dataset_revision=said.dataset_revision,
        judges=tuple(definition(one) for one in said.definitions),
        plan_hash=said.plan_hash,
        state=enum(RunState, said.state, "state"),
        reason=said.state_reason,
        message=said.state_message,
        revision=said.revision,
        counts=RunCounts(said.counts.planned, by_status=dict(said.counts.by_status)),
        cost_micros=said.cost_micros,
        create_time=said.create_time.ToMicroseconds() / 1e6,
        end_time=said.end_time.ToMicroseconds() / 1e6 if said.HasField("end_time") else None,
        never_started=optional_enum(ItemState, said.never_started, "never_started"),
        round=said.round,
    )


def _checked(spec: RunSpec, said: run_service_pb2.Run) -> RunSpec:
    if [f"judges/{name}" for name in spec.judges] != [one.name for one in said.definitions]:
        raise InvalidInput("definitions", "the definitions are not those of the run's judges")
    return spec


def definition(said: judge_service_pb2.JudgeDefinition) -> JudgeDefinition:
    """A judge as frozen into a run."""
    sampling = said.sampling
    return JudgeDefinition(
        name=resource_id("judges", "name", said.name),
        backend=said.backend,
        rubric=Rubric(
            said.rubric,
            tuple(_variant(one) for one in said.variants),
            said.rubric_version,
            said.tie_band if said.HasField("tie_band") else None,
        ),
        parser=said.parser,
        model=said.model,
        sampling=Sampling(
            sampling.max_output_tokens,
            sampling.temperature if sampling.HasField("temperature") else None,
            sampling.seed if sampling.HasField("seed") else None,
            sampling.effort,
        ),
        scope=said.scope,
        weights=said.weights,
    )


def _variant(said: judge_service_pb2.RubricVariant) -> RubricVariant:
    try:
        form = AnswerForm(said.form)
    except ValueError:
        raise InvalidInput("form", f"form {said.form!r} is none of {', '.join(AnswerForm)}") from None
    return RubricVariant(
        name=said.variant,
        system=said.system,
        user=said.user,
        form=form,
        multi_turn=said.multi_turn if said.HasField("multi_turn") else None,
        with_reference=said.with_reference if said.HasField("with_reference") else None,
        categories=tuple(said.categories),
        steps=said.steps,
    )


def presentation(said: outcome_pb2.Presentation) -> PresentationNames:
    """A showing."""
    order = enum(Order, said.order, "presentation.order")
    return PresentationNames(
        said.prompt_id, said.turn, said.left, said.right, order, said.left_sample, said.right_sample
    )


def plan_entry(said: run_service_pb2.PlannedPresentation) -> PlanEntry:
    """One showing of a plan."""
    return PlanEntry(presentation(said.presentation), said.comparison_id)


def verdict(said: verdict_pb2.Verdict) -> Verdict:
    """A verdict of view FULL."""
    names = presentation(said.presentation)
    return Verdict(
        judge=resource_id("judges", "judge", said.judge),
        presentation=names,
        category=said.category,
        position=said.position,
        comparison_id=said.comparison_id,
        reply=_reply(said) if said.status else None,
        parsed_verdicts=tuple(_parsed_verdict(one, names.order) for one in said.parsed_verdicts),
        state=optional_enum(ItemState, said.state, "state"),
        cache_tag=said.cache_tag,
        repeat=said.repeat,
        reused=said.reused,
        create_time=said.create_time.ToMicroseconds() / 1e6 if said.HasField("create_time") else 0.0,
    )


def _reply(said: verdict_pb2.Verdict) -> Reply:
    status, used = enum(VerdictStatus, said.status, "status"), said.usage
    return Reply(
        said.raw,
        status if status in OF_REPLIES else VerdictStatus.OK,
        Usage(
            used.input_tokens,
            used.cached_input_tokens,
            used.output_tokens,
            used.cost_micros,
            used.latency_ms,
            used.tries,
        ),
        said.model,
        tuple((one.token, one.logprob) for one in said.logprobs),
    )


def _parsed_verdict(said: verdict_pb2.ParsedVerdict, order: Order) -> ParsedVerdict:
    outcome = optional_enum(Outcome, said.outcome, "parsed_verdicts.outcome")
    first = said.probability_left if said.HasField("probability_left") else None
    if first is not None and order is Order.RIGHT_FIRST:
        # It was turned round with a rounding of its own, which its digits take back.
        first = round(1 - first, DIGITS)
    return ParsedVerdict(
        said.parser,
        None if outcome is None else Preference.of(outcome, order),
        said.reason,
        first,
        said.strength if said.HasField("strength") else None,
    )
