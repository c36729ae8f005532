"""Encode agreement reports and disagreements as messages of the API."""

from __future__ import annotations

from collections.abc import Sequence

from judge.agreement.bias import Bias
from judge.agreement.cuts import Cut
from judge.agreement.disagreements import Disagreement
from judge.agreement.report import Figure, Report
from judge.api.v1 import agreement_service_pb2, leaderboard_pb2, outcome_pb2
from judge.domain.outcome import Outcome
from judge.rpc import rows
from judge.rpc.encode import coverage, interval, part, verdict
from judge.rpc.pages import cut_texts
from judge.stats.agreement import AgreementFigure
from judge.stats.alternative import Alternative
from judge.stats.calibration import Calibration
from judge.stats.cascade import Cascade
from judge.stats.ceiling import Ceiling, PairedEstimate
from judge.stats.cluster_intervals import Estimate
from judge.stats.drift import Drift
from judge.stats.gold_accuracy import GoldFigure
from judge.stats.rank_agreement import RankAgreement
from judge.stats.second_source import SecondSourceComparison
from judge.votes.votes import Part


def encode_agreement(report: Report) -> agreement_service_pb2.AgreementReport:
    """Encode a report of how far two sources agree."""
    order = report.consistency
    return agreement_service_pb2.AgreementReport(
        figures=[_figure(figure, report) for figure in report.figures],
        source_only=report.source_only,
        target_only=report.target_only,
        both=report.both,
        source_coverage=coverage(report.source),
        target_coverage=coverage(report.target),
        order_consistency=agreement_service_pb2.OrderConsistency(
            n=order.n,
            consistent=order.consistent,
            inconsistent=order.n - order.consistent,
            incomplete=report.incomplete,
            prefers_first=order.prefers_first,
            prefers_second=order.prefers_second,
            rate=order.consistency.value,
            interval=interval(order.consistency.low, order.consistency.high),
            interval_method=order.consistency.method,
            first_share=_estimated(order.first_share),
            prompts=order.consistency.clusters,
        )
        if order
        else None,
        reconcile=report.options.reconcile.name.lower(),
        orientation=report.options.orientation,
        parser=report.source.parser,
        rank_agreement=_orders(report.diagnostics.orders) if report.diagnostics.orders else None,
        gaps=[_gap(least, most, figure) for least, most, figure in report.diagnostics.gaps],
        calibration=_calibration(report.diagnostics.calibration) if report.diagnostics.calibration else None,
        bias=_bias(report.diagnostics.bias) if report.diagnostics.bias else None,
        cascade=_cascade(report.diagnostics.cascade) if report.diagnostics.cascade else None,
        repeats_agree=_optional(report.repeats),
        notes=(*report.gold.notes, *report.diagnostics.notes),
        ceilings=[_ceiling(cut, ceiling) for cut, ceiling in report.diagnostics.ceilings],
        alternative_annotator=_alternative(report.diagnostics.alternative, report.diagnostics.annotators)
        if report.diagnostics.alternative
        else None,
        drift=_drift(report.diagnostics.drift) if report.diagnostics.drift else None,
        source_intra_annotator=_optional(report.intra_annotator[0]),
        target_intra_annotator=_optional(report.intra_annotator[1]),
        second_sources=[_second_source_comparison(compared) for compared in report.diagnostics.second_sources],
        weighting=agreement_service_pb2.Weighting.Value(f"WEIGHTING_{report.options.weighting}"),
        gold_accuracy=[_gold(covered, figure) for covered, figure in report.gold.figures],
    )


def _gold(covered: Part, figure: GoldFigure) -> agreement_service_pb2.GoldAccuracy:
    return agreement_service_pb2.GoldAccuracy(
        slice=part(covered),
        rule=agreement_service_pb2.GoldRule.Value(f"GOLD_RULE_{figure.rule.name}"),
        accuracy=_estimated(figure.accuracy),
        accuracy_with_outcome=_estimated(figure.with_outcome),
        correct=figure.correct,
        incorrect=figure.incorrect,
        neither=figure.neither,
        unreadable=figure.unreadable,
        missing=figure.missing,
    )


def _estimated(estimate: Estimate) -> agreement_service_pb2.Estimated:
    return agreement_service_pb2.Estimated(
        value=estimate.value,
        interval=interval(estimate.low, estimate.high),
        interval_method=estimate.method,
        n=estimate.n,
        prompts=estimate.clusters,
    )


def _optional(estimate: Estimate | None) -> agreement_service_pb2.Estimated | None:
    return None if estimate is None else _estimated(estimate)


def _orders(ranks: RankAgreement) -> agreement_service_pb2.RankAgreement:
    source, target = ranks.reliabilities or (None, None)
    return agreement_service_pb2.RankAgreement(
        spearman=_estimated(ranks.spearman),
        kendall=_estimated(ranks.kendall),
        slope=_estimated(ranks.slope),
        source_reliability=source,
        target_reliability=target,
        least_squares_slope=ranks.least_squares_slope,
        pearson=_estimated(ranks.pearson),
        residuals=[
            agreement_service_pb2.Residual(contestant=name, residual=off)
            for name, off in zip(ranks.contestants, ranks.residuals.tolist(), strict=True)
        ],
        left_out=ranks.left_out,
    )


def _calibration(calibration: Calibration) -> agreement_service_pb2.Calibration:
    return agreement_service_pb2.Calibration(
        brier=_estimated(calibration.brier),
        log_loss=_estimated(calibration.log_loss),
        ece=_estimated(calibration.ece),
        curve=[
            agreement_service_pb2.ReliabilityStep(
                low=step.low, high=step.high, n=step.n, sure=step.sure, right=step.right
            )
            for step in calibration.curve
        ],
        temperature=calibration.temperature,
        log_loss_after=_estimated(calibration.log_loss_after) if calibration.log_loss_after else None,
        ece_after=_estimated(calibration.ece_after) if calibration.ece_after else None,
        slope=_estimated(calibration.slope),
        debiased_error=calibration.debiased_error,
    )


def _bias(bias: Bias) -> agreement_service_pb2.Bias:
    return agreement_service_pb2.Bias(
        effects=[
            leaderboard_pb2.Effect(name=name, value=effect.value or 0.0, interval=interval(effect.low, effect.high))
            for name, effect in bias.effects
        ],
        reason=bias.reason,
        self_preference=_estimated(bias.family) if bias.family else None,
        comparisons=bias.comparisons,
        prompts=bias.prompts,
        sharpness=_estimated(bias.sharpness) if bias.sharpness else None,
        other_votes_z=bias.z,
    )


def _cascade(cascade: Cascade) -> agreement_service_pb2.Cascade:
    return agreement_service_pb2.Cascade(
        target=cascade.target,
        delta=cascade.delta,
        threshold=cascade.threshold,
        share=cascade.share,
        steps=[
            agreement_service_pb2.CascadeStep(
                threshold=step.threshold,
                share=step.share,
                agreement=_estimated(step.agreement),
                tested=step.tested,
                p=step.p,
                held=step.held,
                together=_estimated(step.together) if step.together else None,
            )
            for step in cascade.steps
        ],
    )


def _gap(least: float, most: float, figure: AgreementFigure) -> agreement_service_pb2.GapAgreement:
    return agreement_service_pb2.GapAgreement(
        low=least,
        high=most,
        ties=agreement_service_pb2.Ties.Value(f"TIES_{figure.ties}"),
        rate=_estimated(figure.rate),
    )


def _drift(drift: Drift) -> agreement_service_pb2.Drift:
    return agreement_service_pb2.Drift(
        answer=drift.answer,
        presentations=drift.presentations,
        changed=_estimated(drift.changed),
        noise=_estimated(drift.noise),
        beyond=_estimated(drift.beyond),
        ties=_estimated(drift.ties),
        first=_estimated(drift.first),
        bound=drift.bound,
        margin=drift.margin,
        least_prompts=drift.least_prompts,
    )


def _paired_estimate(figures: PairedEstimate) -> agreement_service_pb2.PairedEstimate:
    return agreement_service_pb2.PairedEstimate(
        source=_estimated(figures.first),
        target=_estimated(figures.second),
        difference=_estimated(figures.difference),
    )


def _second_source_comparison(compared: SecondSourceComparison) -> agreement_service_pb2.SecondSourceComparison:
    return agreement_service_pb2.SecondSourceComparison(
        ties=agreement_service_pb2.Ties.Value(f"TIES_{compared.ties}"),
        comparisons=compared.comparisons,
        votes=compared.votes,
        prompts=compared.prompts,
        source=_estimated(compared.rate.first),
        second_source=_estimated(compared.rate.second),
        difference=_estimated(compared.rate.difference),
        detectable_difference=compared.detectable,
        prompts_needed=compared.needed,
        votes_needed=compared.needed_votes,
    )


def _ceiling(cut: Cut, ceiling: Ceiling) -> agreement_service_pb2.Ceiling:
    return agreement_service_pb2.Ceiling(
        slice=part(cut.part),
        annotator=cut.annotator,
        ties=agreement_service_pb2.Ties.Value(f"TIES_{ceiling.ties}"),
        comparisons=ceiling.comparisons,
        votes=ceiling.votes,
        rate=_paired_estimate(ceiling.rate),
        alpha=_paired_estimate(ceiling.alpha),
        largest=_estimated(ceiling.largest),
        detectable_difference=ceiling.detectable,
        prompts_needed=ceiling.needed,
        weighting=agreement_service_pb2.Weighting.Value(f"WEIGHTING_{ceiling.weighting}"),
    )


def _alternative(test: Alternative, names: Sequence[str]) -> agreement_service_pb2.AlternativeAnnotator:
    return agreement_service_pb2.AlternativeAnnotator(
        answer=test.answer,
        winning_rate=test.winning_rate,
        paper_winning_rate=test.paper_winning_rate,
        advantage=test.advantage,
        parity_passes=test.parity,
        annotators=[
            agreement_service_pb2.AnnotatorTest(
                annotator=names[row.annotator],
                n=row.n,
                prompts=row.prompts,
                source=row.judge,
                own=row.own,
                p=row.p,
                beaten=row.beaten,
                paper_p=row.paper_p,
                paper_beaten=row.paper_beaten,
            )
            for row in test.annotators
        ],
        left_out=[names[code] for code in test.left_out],
        epsilon=test.epsilon,
        q=test.q,
        least_items=test.least,
    )


def encode_disagreement(row: Disagreement) -> agreement_service_pb2.Disagreement:
    """Encode a comparison on which two sources disagree. Texts are cut if it is too large for a message."""
    key = row.key
    message = agreement_service_pb2.Disagreement(
        presentation=outcome_pb2.Presentation(
            prompt_id=key.prompt_id,
            turn=key.turn,
            left=key.left,
            right=key.right,
            left_sample=key.left_sample,
            right_sample=key.right_sample,
        ),
        category=row.category,
        source_outcome=outcome_pb2.Outcome.ValueType(row.source.value),
        target_outcome=outcome_pb2.Outcome.ValueType(row.target.value),
        verdicts=[verdict(each) for each in row.verdicts],
        target_verdicts=[verdict(each) for each in row.target_verdicts],
        labels=[rows.label(label) for label in row.labels],
        informative=row.informative,
        source_left_score=row.left_score,
        votes=[row.votes.get(outcome, 0) for outcome in Outcome],
        prompt=row.prompt,
        left=row.left,
        right=row.right,
    )
    cut_texts(message)
    return message


def _figure(row: Figure, report: Report) -> agreement_service_pb2.AgreementFigure:
    figure = row.figure
    return agreement_service_pb2.AgreementFigure(
        source=report.source.source,
        target=report.target.source,
        slice=part(row.part),
        ties=agreement_service_pb2.Ties.Value(f"TIES_{row.ties}"),
        unit=agreement_service_pb2.AgreementUnit.Value(f"AGREEMENT_UNIT_{row.unit}"),
        rate=figure.rate.value,
        agree=figure.agree,
        n=figure.n,
        prompts=figure.prompts,
        interval=interval(figure.rate.low, figure.rate.high),
        interval_method=figure.rate.method,
        kappa=figure.kappa.value,
        kappa_interval=interval(figure.kappa.low, figure.kappa.high),
        ac1=figure.ac1.value,
        ac1_interval=interval(figure.ac1.low, figure.ac1.high),
        alpha=figure.alpha.value,
        alpha_interval=interval(figure.alpha.low, figure.alpha.high),
        alpha_ordinal=figure.alpha_ordinal.value,
        alpha_ordinal_interval=interval(figure.alpha_ordinal.low, figure.alpha_ordinal.high),
        macro_f1=figure.macro_f1.value,
        macro_f1_interval=interval(figure.macro_f1.low, figure.macro_f1.high),
        confusion=figure.confusion.ravel().tolist(),
        reason=figure.reason or "",
        annotator=row.annotator,
        level=report.options.level,
        comparisons=figure.comparisons,
        kappa_interval_method=figure.kappa.method,
        ac1_interval_method=figure.ac1.method,
        alpha_interval_method=figure.alpha.method,
        alpha_ordinal_interval_method=figure.alpha_ordinal.method,
        macro_f1_interval_method=figure.macro_f1.method,
        rate_by_prompt=_estimated(figure.rate_by_prompt),
    )
