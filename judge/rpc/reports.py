"""Reports onto the wire: leaderboards and agreement."""

from __future__ import annotations

import math
from collections.abc import Sequence

from judge.agreement.bias import Bias
from judge.agreement.cuts import Cut
from judge.agreement.disagreements import Disagreement
from judge.agreement.report import Figure, Report
from judge.api.v1 import agreement_service_pb2, leaderboard_pb2, outcome_pb2
from judge.domain.outcome import Outcome
from judge.ranking.leaderboard import Anchoring, Leaderboard, StandingRow
from judge.rpc import rows
from judge.rpc.encode import interval, part, verdict
from judge.rpc.enum_words import value
from judge.stats.agreement import AgreementFigure
from judge.stats.alternative import Alternative
from judge.stats.calibration import Calibration
from judge.stats.cascade import Cascade
from judge.stats.ceiling import Ceiling, PairedEstimate
from judge.stats.cluster_intervals import Estimate
from judge.stats.drift import Drift
from judge.stats.rank_agreement import RankAgreement
from judge.stats.second_source import SecondSourceComparison
from judge.votes.votes import SourceVotes


def coverage(votes: SourceVotes) -> outcome_pb2.Coverage:
    """How much of what was planned a source could use."""
    return outcome_pb2.Coverage(usable=votes.usable, planned=votes.planned, by_status=votes.by_status)


def encode_leaderboard(leaderboard: Leaderboard) -> leaderboard_pb2.Leaderboard:
    """A leaderboard."""
    options, votes = leaderboard.options, leaderboard.votes
    return leaderboard_pb2.Leaderboard(
        slice=part(leaderboard.part),
        method=value(leaderboard_pb2.RankingMethod, options.method),
        scale=value(leaderboard_pb2.RatingScale, leaderboard.scale),
        level=options.level,
        interval_method=leaderboard.interval_method,
        coverage=coverage(votes) if votes else None,
        ratings=[
            leaderboard_pb2.Rating(
                contestant=row.contestant,
                rating=row.rating,
                interval=interval(row.low, row.high),
                rank=row.rank,
                n=row.n,
                prompts=row.prompts,
                expected_score=row.expected,
                rank_interval=leaderboard_pb2.RankInterval(low=row.ranks[0], high=row.ranks[1]) if row.ranks else None,
                order_sd=row.order_sd,
                probability_best=row.best,
            )
            for row in leaderboard.ratings
        ],
        unranked=[leaderboard_pb2.Unranked(contestant=name, reason=why) for name, why in leaderboard.unranked],
        components=[leaderboard_pb2.Component(contestants=names) for names in leaderboard.components],
        slices=[encode_leaderboard(inner) for inner in leaderboard.slices],
        standings=[_standing(row, leaderboard) for row in leaderboard.standings],
        inference=value(leaderboard_pb2.Inference, options.inference),
        source=votes.source if votes else "",
        reconcile=options.reconcile.name.lower(),
        ties=leaderboard.ties,
        prompts=leaderboard.prompts,
        battles=leaderboard.battles,
        interim=votes.interim if votes else False,
        notes=leaderboard.notes,
        parser=votes.parser if votes else "",
        differences=[
            leaderboard_pb2.Difference(
                left=row.left, right=row.right, difference=row.difference, interval=interval(row.low, row.high)
            )
            for row in leaderboard.pairs
        ],
        ridge=options.ridge,
        effects=[
            leaderboard_pb2.Effect(name=row.name, value=row.value, interval=interval(row.low, row.high))
            for row in leaderboard.effects
        ],
        target_shares=[
            leaderboard_pb2.TargetShare(
                contestant=row.contestant, ahead=row.ahead, behind=row.behind, categories=row.cells
            )
            for row in leaderboard.shares
        ],
        adaptive=votes.adaptive if votes else False,
        without_style=encode_leaderboard(leaderboard.without_style) if leaderboard.without_style else None,
        uniform_sample=encode_leaderboard(leaderboard.uniform_sample) if leaderboard.uniform_sample else None,
        left_out=[
            leaderboard_pb2.LeftOut(category=row.category, judge=row.judge, ranks=dict(row.ranks))
            for row in leaderboard.left_out
        ],
        anchor=options.anchor[0] if options.anchor else "",
        anchors=[name for name, _ in options.anchors],
        replicates=leaderboard.resamples[0] if leaderboard.resamples else 0,
        replicates_apart=leaderboard.resamples[1] if leaderboard.resamples else 0,
        anchoring=_anchoring(leaderboard.anchoring) if leaderboard.anchoring else None,
        variance=[
            leaderboard_pb2.VarianceComponent(level=one.level, variance=one.variance, share=one.share)
            for one in leaderboard.variance
        ],
    )


def _anchoring(told: Anchoring) -> leaderboard_pb2.Anchoring:
    return leaderboard_pb2.Anchoring(
        labels_source=told.source,
        labelled=told.labelled,
        comparisons=told.comparisons,
        labelled_prompts=told.prompts,
        judge_weight=told.weight,
        gain=None if math.isnan(told.gain) else told.gain,
        twice_the_labels=told.more_labels,
        twice_the_prompts=told.more_prompts,
        assumed_random=told.assumed_random,
        unused=told.unused,
    )


def _standing(row: StandingRow, leaderboard: Leaderboard) -> leaderboard_pb2.ContestantStanding:
    return leaderboard_pb2.ContestantStanding(
        contestant=row.contestant,
        reference_contestant=leaderboard.options.reference,
        slice=part(leaderboard.part),
        difference=row.difference,
        interval=interval(row.low, row.high),
        probability_better=None if math.isnan(row.probability_better) else row.probability_better,
        standing=leaderboard_pb2.Standing.Value(f"STANDING_{row.standing}"),
        adjustment=value(leaderboard_pb2.Adjustment, leaderboard.options.adjustment),
        detectable_difference=None if math.isnan(row.detectable) else row.detectable,
        prompts_needed=row.needed,
    )


def agreement(report: Report) -> agreement_service_pb2.AgreementReport:
    """How far two sources agree."""
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
        repeats_agree=_estimated(report.repeats) if report.repeats else None,
        notes=report.diagnostics.notes,
        ceilings=[_ceiling(cut, found) for cut, found in report.diagnostics.ceilings],
        alternative_annotator=_alternative(report.diagnostics.alternative, report.diagnostics.annotators)
        if report.diagnostics.alternative
        else None,
        drift=_drift(report.diagnostics.drift) if report.diagnostics.drift else None,
        second_sources=[_second_source_comparison(found) for found in report.diagnostics.second_sources],
    )


def _estimated(found: Estimate) -> agreement_service_pb2.Estimated:
    return agreement_service_pb2.Estimated(
        value=found.value,
        interval=interval(found.low, found.high),
        interval_method=found.method,
        n=found.n,
        prompts=found.clusters,
    )


def _orders(found: RankAgreement) -> agreement_service_pb2.RankAgreement:
    return agreement_service_pb2.RankAgreement(
        spearman=_estimated(found.spearman),
        kendall=_estimated(found.kendall),
        slope=_estimated(found.slope),
        residuals=[
            agreement_service_pb2.Residual(contestant=name, residual=off)
            for name, off in zip(found.contestants, found.residuals.tolist(), strict=True)
        ],
    )


def _calibration(found: Calibration) -> agreement_service_pb2.Calibration:
    return agreement_service_pb2.Calibration(
        brier=_estimated(found.brier),
        log_loss=_estimated(found.log_loss),
        ece=_estimated(found.ece),
        curve=[
            agreement_service_pb2.ReliabilityStep(
                low=step.low, high=step.high, n=step.n, sure=step.sure, right=step.right
            )
            for step in found.curve
        ],
        temperature=found.temperature,
        log_loss_after=_estimated(found.log_loss_after) if found.log_loss_after else None,
        ece_after=_estimated(found.ece_after) if found.ece_after else None,
    )


def _bias(found: Bias) -> agreement_service_pb2.Bias:
    return agreement_service_pb2.Bias(
        effects=[
            leaderboard_pb2.Effect(name=row.name, value=row.value, interval=interval(row.low, row.high))
            for row in found.effects
        ],
        reason=found.reason,
        self_preference=_estimated(found.family) if found.family else None,
        comparisons=found.comparisons,
        prompts=found.prompts,
    )


def _cascade(found: Cascade) -> agreement_service_pb2.Cascade:
    return agreement_service_pb2.Cascade(
        target=found.target,
        delta=found.delta,
        threshold=found.threshold,
        share=found.share,
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
            for step in found.steps
        ],
    )


def _gap(least: float, most: float, figure: AgreementFigure) -> agreement_service_pb2.GapAgreement:
    return agreement_service_pb2.GapAgreement(
        low=least,
        high=most,
        ties=agreement_service_pb2.Ties.Value(f"TIES_{figure.ties}"),
        rate=_estimated(figure.rate),
    )


def _drift(found: Drift) -> agreement_service_pb2.Drift:
    return agreement_service_pb2.Drift(
        answer=found.answer,
        presentations=found.presentations,
        changed=_estimated(found.changed),
        noise=_estimated(found.noise),
        beyond=_estimated(found.beyond),
        ties=_estimated(found.ties),
        first=_estimated(found.first),
    )


def _paired_estimate(figures: PairedEstimate) -> agreement_service_pb2.PairedEstimate:
    return agreement_service_pb2.PairedEstimate(
        source=_estimated(figures.first),
        target=_estimated(figures.second),
        difference=_estimated(figures.difference),
    )


def _second_source_comparison(found: SecondSourceComparison) -> agreement_service_pb2.SecondSourceComparison:
    return agreement_service_pb2.SecondSourceComparison(
        ties=agreement_service_pb2.Ties.Value(f"TIES_{found.ties}"),
        comparisons=found.comparisons,
        votes=found.votes,
        prompts=found.prompts,
        source=_estimated(found.rate.first),
        second_source=_estimated(found.rate.second),
        difference=_estimated(found.rate.difference),
        detectable_difference=found.detectable,
        prompts_needed=found.needed,
        votes_needed=found.needed_votes,
    )


def _ceiling(cut: Cut, found: Ceiling) -> agreement_service_pb2.Ceiling:
    return agreement_service_pb2.Ceiling(
        slice=part(cut.part),
        annotator=cut.annotator,
        ties=agreement_service_pb2.Ties.Value(f"TIES_{found.ties}"),
        comparisons=found.comparisons,
        votes=found.votes,
        rate=_paired_estimate(found.rate),
        alpha=_paired_estimate(found.alpha),
        largest=_estimated(found.largest),
        detectable_difference=found.detectable,
        prompts_needed=found.needed,
    )


def _alternative(found: Alternative, names: Sequence[str]) -> agreement_service_pb2.AlternativeAnnotator:
    return agreement_service_pb2.AlternativeAnnotator(
        answer=found.answer,
        winning_rate=found.winning_rate,
        advantage=found.advantage,
        parity_passes=found.parity,
        annotators=[
            agreement_service_pb2.AnnotatorTest(
                annotator=names[row.annotator], n=row.n, source=row.judge, own=row.own, p=row.p, beaten=row.beaten
            )
            for row in found.annotators
        ],
        left_out=[names[code] for code in found.left_out],
        epsilon=found.epsilon,
        q=found.q,
        least_items=found.least,
    )


def disagreement(row: Disagreement) -> agreement_service_pb2.Disagreement:
    """A comparison to be read."""
    where = row.key
    return agreement_service_pb2.Disagreement(
        presentation=outcome_pb2.Presentation(
            prompt_id=where.prompt_id,
            turn=where.turn,
            left=where.left,
            right=where.right,
            left_sample=where.left_sample,
            right_sample=where.right_sample,
        ),
        category=row.category,
        source_outcome=outcome_pb2.Outcome.ValueType(row.source.value),
        target_outcome=outcome_pb2.Outcome.ValueType(row.target.value),
        verdicts=[verdict(said) for said in row.verdicts],
        target_verdicts=[verdict(said) for said in row.target_verdicts],
        labels=[rows.label(label) for label in row.labels],
        informative=row.informative,
        source_left_score=row.left_score,
        votes=[row.votes.get(outcome, 0) for outcome in Outcome],
        prompt=row.prompt,
        left=row.left,
        right=row.right,
    )


def _figure(row: Figure, report: Report) -> agreement_service_pb2.AgreementFigure:
    found = row.figure
    return agreement_service_pb2.AgreementFigure(
        source=report.source.source,
        target=report.target.source,
        slice=part(row.part),
        ties=agreement_service_pb2.Ties.Value(f"TIES_{row.ties}"),
        unit=agreement_service_pb2.AgreementUnit.Value(f"AGREEMENT_UNIT_{row.unit}"),
        rate=found.rate.value,
        agree=found.agree,
        n=found.n,
        prompts=found.prompts,
        interval=interval(found.rate.low, found.rate.high),
        interval_method=found.rate.method,
        kappa=found.kappa.value,
        kappa_interval=interval(found.kappa.low, found.kappa.high),
        ac1=found.ac1.value,
        ac1_interval=interval(found.ac1.low, found.ac1.high),
        alpha=found.alpha.value,
        alpha_interval=interval(found.alpha.low, found.alpha.high),
        alpha_ordinal=found.alpha_ordinal.value,
        alpha_ordinal_interval=interval(found.alpha_ordinal.low, found.alpha_ordinal.high),
        macro_f1=found.macro_f1.value,
        macro_f1_interval=interval(found.macro_f1.low, found.macro_f1.high),
        confusion=[int(cell) for line in found.confusion for cell in line],
        reason=found.reason or "",
        annotator=row.annotator,
        level=report.options.level,
        comparisons=found.comparisons,
        kappa_interval_method=found.kappa.method,
        ac1_interval_method=found.ac1.method,
        alpha_interval_method=found.alpha.method,
        alpha_ordinal_interval_method=found.alpha_ordinal.method,
        macro_f1_interval_method=found.macro_f1.method,
    )
