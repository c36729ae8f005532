"""Encode what the service knows as messages of the API."""

from __future__ import annotations

import math
from dataclasses import asdict

from judge.api.v1 import (
    judge_service_pb2,
    outcome_pb2,
    run_service_pb2,
    turn_pb2,
    verdict_pb2,
)
from judge.domain.judge import JudgeCard, JudgeDefinition, RenderedPrompt, RubricVariant, Sampling
from judge.domain.run import Pairing, Run, RunSpec
from judge.domain.verdict import ParsedVerdict, PresentationNames, Reply, Verdict
from judge.planning.named_plan import PlanEntry
from judge.planning.rounds import Rounds
from judge.rpc.encode_counts import counts, open_calls, spending, state_message
from judge.rpc.enum_words import value
from judge.rpc.timestamps import timestamp
from judge.runs.estimate import RunEstimate
from judge.votes.votes import Part, SourceVotes

VERDICT_BYTES = 12 * 1024 * 1024
"""The size of a verdict beyond which the reasons of its parsed verdicts are cut. Its raw reply is always whole."""
REASON_CHARS = 10_000


def interval(low: float | None, high: float | None) -> outcome_pb2.Interval | None:
    """Encode an interval; None if both ends are unknown. An unknown end is absent."""
    ends = [None if end is None or math.isnan(end) else end for end in (low, high)]
    return None if ends == [None, None] else outcome_pb2.Interval(low=ends[0], high=ends[1])


def sampling(settings: Sampling) -> judge_service_pb2.Sampling:
    """Encode sampling settings."""
    return judge_service_pb2.Sampling(
        temperature=settings.temperature,
        max_output_tokens=settings.max_output_tokens,
        seed=settings.seed,
        effort=settings.effort,
    )


def judge(card: JudgeCard, *, whole: bool = False) -> judge_service_pb2.Judge:
    """Encode a judge; with its rubric's variants if *whole*."""
    frozen, price, limits, can = card.definition, card.price, card.limits, card.capabilities
    return judge_service_pb2.Judge(
        name=f"judges/{frozen.name}",
        backend=frozen.backend,
        model=frozen.model,
        rubric=frozen.rubric.name,
        rubric_hash=frozen.rubric.hash,
        rubric_version=frozen.rubric.version,
        parser=frozen.parser,
        fingerprint=frozen.fingerprint,
        baseline=frozen.baseline,
        available=not card.unavailable_reason,
        unavailable_reason=card.unavailable_reason,
        capabilities=judge_service_pb2.Capabilities(
            temperature=can.temperature,
            seed=can.seed,
            logprobs=can.logprobs,
            json_schema=can.json_schema,
            choice=can.choice,
            batch=can.batch,
            reasoning=can.reasoning,
            images=can.images,
        ),
        price=judge_service_pb2.Price(
            input_micros=price.input_micros,
            cached_input_micros=price.cached_input_micros,
            output_micros=price.output_micros,
            known=True,
            batch_percent=price.batch_percent,
            cache_write_micros=price.input_micros if price.cache_write_micros is None else price.cache_write_micros,
        )
        if price
        else None,
        limits=judge_service_pb2.Limits(
            concurrency=limits.concurrency,
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
            deadline_seconds=limits.deadline_seconds,
            max_failed_share=limits.max_failed_share,
        ),
        variants=[variant(each) for each in frozen.rubric.variants] if whole else [],
        sampling=sampling(frozen.sampling),
        batch=card.batch,
        address=card.address,
        endpoint=frozen.endpoint or "",
        request=frozen.request,
    )


def variant(rubric_variant: RubricVariant) -> judge_service_pb2.RubricVariant:
    """Encode a variant of a rubric."""
    return judge_service_pb2.RubricVariant(
        variant=rubric_variant.name,
        applies=rubric_variant.applies,
        system=rubric_variant.system,
        user=rubric_variant.user,
        form=rubric_variant.form.value,
        multi_turn=rubric_variant.multi_turn,
        with_reference=rubric_variant.with_reference,
        categories=rubric_variant.categories,
        steps=rubric_variant.steps,
    )


def definition(frozen: JudgeDefinition) -> judge_service_pb2.JudgeDefinition:
    """Encode a judge as it is frozen into a run."""
    rubric = frozen.rubric
    return judge_service_pb2.JudgeDefinition(
        name=f"judges/{frozen.name}",
        backend=frozen.backend,
        model=frozen.model,
        weights=frozen.weights,
        scope=frozen.scope,
        fingerprint=frozen.fingerprint,
        parser=frozen.parser,
        sampling=sampling(frozen.sampling),
        rubric=rubric.name,
        rubric_version=rubric.version,
        rubric_hash=rubric.hash,
        tie_band=rubric.tie_band,
        variants=[variant(each) for each in rubric.variants],
        endpoint=frozen.endpoint,
        request=frozen.request,
    )


def preview(rendered: RenderedPrompt, *, stored: bool) -> judge_service_pb2.PromptPreview:
    """Encode exactly what a judge would be sent."""
    return judge_service_pb2.PromptPreview(
        variant=rendered.variant,
        messages=[
            judge_service_pb2.ChatMessage(role=value(turn_pb2.Role, m.role), content=m.content)
            for m in rendered.messages
        ],
        json_schema=rendered.json_schema,
        sampling=sampling(rendered.sampling),
        nonce=rendered.nonce,
        stored=stored,
        form=rendered.form.value,
        choices=rendered.choices,
    )


def pairing(settings: Pairing) -> run_service_pb2.Pairing:
    """Encode which comparisons are judged."""
    return run_service_pb2.Pairing(
        policy=settings.policy.value,  # type: ignore[arg-type]  # the wire has the same numbers
        reference_contestant=settings.reference_contestant,
        count=settings.count,
        contestants=settings.contestants,
        categories=settings.categories,
        tags=settings.tags,
        prompts=settings.prompts,
        turns=settings.turns.value,  # type: ignore[arg-type]  # as above
        turn=settings.turn,
        orders=settings.orders.value,  # type: ignore[arg-type]  # as above
        repeats=settings.repeats,
        seed=settings.seed,
        cache_tag=settings.cache_tag,
        round_size=settings.round_size,
        top=settings.top,
        precision=settings.precision,
        separated=settings.separated,
    )


def run_spec(spec: RunSpec) -> run_service_pb2.RunSpec:
    """Encode a run's specification, in one canonical form."""
    return run_service_pb2.RunSpec(
        dataset=f"datasets/{spec.dataset}",
        judges=[f"judges/{name}" for name in spec.judges],
        pairing=pairing(spec.pairing),
        budget=run_service_pb2.Budget(**asdict(spec.budget)),
        metadata=spec.metadata,
    )


def run(row: Run, tenant: str, rate: float = 0.0, *, full: bool = False) -> run_service_pb2.Run:
    """Encode a run; with its judges' definitions if *full*."""
    spec = run_spec(row.spec)
    return run_service_pb2.Run(
        name=f"runs/{row.run_id}",
        dataset=spec.dataset,
        dataset_revision=row.dataset_revision,
        judges=spec.judges,
        pairing=spec.pairing,
        budget=spec.budget,
        state=row.state.value,  # type: ignore[arg-type]  # the wire has the same numbers
        state_reason=row.reason,
        state_message=state_message(row),
        revision=row.revision,
        counts=counts(row),
        cost_micros=row.cost_micros,
        plan_hash=row.plan_hash,
        create_time=timestamp(row.create_time),
        end_time=timestamp(row.end_time) if row.end_time is not None else None,
        request_id=row.request_id,
        tenant=tenant,
        fingerprints=[frozen.fingerprint for frozen in row.judges],
        rate=rate,
        round=row.round,
        spending=spending(row),
        never_started=row.never_started.value if row.never_started else 0,  # type: ignore[arg-type]  # the wire has the same numbers
        definitions=[definition(frozen) for frozen in row.judges] if full else [],
        metadata=spec.metadata,
        open=open_calls(row),
    )


def estimate(run_estimate: RunEstimate) -> run_service_pb2.RunEstimate:
    """Encode an estimate."""
    judges = [
        run_service_pb2.JudgeEstimate(
            judge=f"judges/{each.judge}",
            calls=each.calls,
            reused=each.reused,
            input_tokens=each.input_tokens,
            output_tokens=each.output_tokens,
            cost_micros=round(each.cost_micros),
            cost_interval=outcome_pb2.Interval(low=each.low, high=each.high),
            pilot=each.pilot,
            price_known=each.price_known,
            uncounted=each.uncounted,
            most_micros=round(each.worst),
            exceeds_maximum=each.exceeds_maximum,
        )
        for each in run_estimate.judges
    ]
    whole, reach = run_estimate.whole, run_estimate.reach
    return run_service_pb2.RunEstimate(
        calls=whole.calls,
        reused=whole.reused,
        input_tokens=whole.input_tokens,
        output_tokens=whole.output_tokens,
        cost_micros=round(whole.cost_micros),
        cost_interval=outcome_pb2.Interval(low=whole.low, high=whole.high),
        judges=judges,
        reach=run_service_pb2.BudgetReach(**asdict(reach)) if reach is not None else None,
    )


def presentation(names: PresentationNames) -> outcome_pb2.Presentation:
    """Encode a presentation."""
    return outcome_pb2.Presentation(
        prompt_id=names.prompt_id,
        turn=names.turn,
        left=names.left,
        right=names.right,
        left_sample=names.left_sample,
        right_sample=names.right_sample,
        order=names.order.value,  # type: ignore[arg-type]  # the wire has the same numbers
    )


def verdict(row: Verdict, run_id: str = "", *, full: bool = True) -> verdict_pb2.Verdict:
    """Encode a verdict; without its raw reply and other parsed verdicts unless *full*."""
    reply, parsed_verdict = row.reply or Reply(""), row.parsed_verdict
    usage = reply.usage
    probability = _left(parsed_verdict, row) if parsed_verdict else None
    message = verdict_pb2.Verdict(
        name=f"runs/{run_id}/verdicts/{row.position}" if run_id else "",
        judge=f"judges/{row.judge}",
        presentation=presentation(row.presentation),
        category=row.category,
        comparison_id=row.comparison_id,
        status=row.status.value if row.status else 0,  # type: ignore[arg-type]  # the wire has the same numbers
        state=row.state.value if row.state and row.reply is None else 0,  # type: ignore[arg-type]  # as above
        outcome=row.outcome.value if row.outcome else 0,  # type: ignore[arg-type]  # as above
        probability_left=probability,
        strength=parsed_verdict.strength if parsed_verdict else None,
        reason=parsed_verdict.reason if parsed_verdict else row.reason,
        raw=reply.raw if full else "",
        reply_status=reply.status.value if full and row.reply else 0,  # type: ignore[arg-type]  # as above
        parser=parsed_verdict.parser if parsed_verdict else "",
        parsed_verdicts=[_parsed_verdict(r, row) for r in row.parsed_verdicts] if full else [],
        cache_tag=row.cache_tag,
        repeat=row.repeat,
        usage=verdict_pb2.Usage(
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            cost_micros=usage.cost_micros,
            latency_ms=usage.latency_ms,
            tries=usage.tries,
        )
        if row.reply
        else None,
        reused=row.reused,
        model=reply.model,
        create_time=timestamp(row.create_time) if row.create_time else None,
        position=row.position,
        logprobs=[verdict_pb2.TokenLogprob(token=token, logprob=log) for token, log in reply.logprobs] if full else [],
    )
    if message.ByteSize() > VERDICT_BYTES:
        for each in message.parsed_verdicts:
            each.reason = each.reason[:REASON_CHARS]
    return message


def _left(parsed_verdict: ParsedVerdict, row: Verdict) -> float | None:
    first = parsed_verdict.probability_first
    if first is None:
        return None
    return first if row.presentation.order.name == "LEFT_FIRST" else 1 - first


def _parsed_verdict(parsed_verdict: ParsedVerdict, row: Verdict) -> verdict_pb2.ParsedVerdict:
    outcome = parsed_verdict.preference.outcome(row.presentation.order).value if parsed_verdict.preference else 0
    return verdict_pb2.ParsedVerdict(
        parser=parsed_verdict.parser,
        status=parsed_verdict.status.value,  # type: ignore[arg-type]  # the wire has the same numbers
        outcome=outcome,  # type: ignore[arg-type]  # as above
        probability_left=_left(parsed_verdict, row),
        reason=parsed_verdict.reason,
        strength=parsed_verdict.strength,
    )


def planned_presentation(entry: PlanEntry) -> run_service_pb2.PlannedPresentation:
    """Encode one presentation of a plan."""
    return run_service_pb2.PlannedPresentation(
        presentation=presentation(entry.presentation), comparison_id=entry.comparison_id
    )


def planned_round(rounds: Rounds, number: int) -> run_service_pb2.PlannedRound:
    """Encode row *number* of *rounds*, from 0."""
    row, plan = rounds.rows[number], rounds.plan(number)
    presentations = plan.presentations if plan else 0
    return run_service_pb2.PlannedRound(
        number=number + 1, offset=row.offset, presentations=presentations, row=row.to_bytes()
    )


def part(selected: Part) -> outcome_pb2.Slice:
    """Encode the part of the data that a figure covers."""
    return outcome_pb2.Slice(
        category=selected.category, turn=selected.turn, left=selected.left, right=selected.right, tag=selected.tag
    )


def coverage(votes: SourceVotes) -> outcome_pb2.Coverage:
    """Encode how many of the planned verdicts a source could use."""
    return outcome_pb2.Coverage(usable=votes.usable, planned=votes.planned, by_status=votes.by_status)
