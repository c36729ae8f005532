"""Encode leaderboards as messages of the API."""

from __future__ import annotations

import math

from judge.api.v1 import leaderboard_pb2
from judge.ranking.goodness_of_fit import FitReport
from judge.ranking.leaderboard import Anchoring, EquivalenceRow, Leaderboard, StandingRow
from judge.rpc.encode import coverage, interval, part
from judge.rpc.enum_words import value


def encode_leaderboard(leaderboard: Leaderboard) -> leaderboard_pb2.Leaderboard:
    """Encode a leaderboard with its slices and variants."""
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
                by_prompt=row.by_prompt.value if row.by_prompt else None,
                by_prompt_interval=interval(row.by_prompt.low, row.by_prompt.high) if row.by_prompt else None,
                interval_method=row.interval_method or leaderboard.interval_method,
                standard_error=row.standard_error,
                wins=row.counts[0] if row.counts else None,
                losses=row.counts[1] if row.counts else None,
                ties=row.counts[2] if row.counts else None,
                length_controlled_win_rate=row.length_controlled.win_rate if row.length_controlled else None,
                length_controlled_error=row.length_controlled.standard_error if row.length_controlled else None,
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
                left=row.left,
                right=row.right,
                difference=row.difference,
                interval=interval(row.low, row.high),
                probability_better=None if math.isnan(row.probability_better) else row.probability_better,
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
            leaderboard_pb2.VarianceComponent(level=component.level, variance=component.variance, share=component.share)
            for component in leaderboard.variance
        ],
        goodness_of_fit=_goodness_of_fit(leaderboard.goodness_of_fit) if leaderboard.goodness_of_fit else None,
        expected_against=leaderboard.expected_against,
    )


def _goodness_of_fit(report: FitReport) -> leaderboard_pb2.GoodnessOfFit:
    share = report.between_prompts
    return leaderboard_pb2.GoodnessOfFit(
        findings=report.findings,
        pairs=[
            leaderboard_pb2.PairFit(
                left=row.left,
                right=row.right,
                observed=row.observed,
                expected=row.expected,
                prompts=row.prompts,
                statistic=row.statistic,
                p=row.p,
            )
            for row in report.pairs
        ],
        pairs_reason=report.pairs_reason,
        untested_pairs=report.untested,
        triads=[
            leaderboard_pb2.TriadFit(
                contestants=row.contestants,
                scores=row.scores,
                statistic=row.statistic,
                p=row.p,
                each_ahead=row.each_ahead,
            )
            for row in report.triads
        ],
        triads_tested=report.triads_tested,
        triads_reason=report.triads_reason,
        smallest_triad_p=report.smallest_triad_p,
        share_between_prompts=share.value,
        share_interval=interval(share.low, share.high),
    )


def _anchoring(anchoring: Anchoring) -> leaderboard_pb2.Anchoring:
    return leaderboard_pb2.Anchoring(
        labels_source=anchoring.source,
        labeled=anchoring.labeled,
        comparisons=anchoring.comparisons,
        labeled_prompts=anchoring.prompts,
        judge_weight=anchoring.weight,
        gain=None if math.isnan(anchoring.gain) else anchoring.gain,
        twice_the_labels=anchoring.more_labels,
        twice_the_prompts=anchoring.more_prompts,
        assumed_random=anchoring.assumed_random,
        unused=anchoring.unused,
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
        difference_to_detect=None if row.needed is None else row.wanted,
        within=_equivalence(row.within) if row.within else None,
        within_win_rate=_equivalence(row.within_win_rate) if row.within_win_rate else None,
        no_interval=row.no_interval,
    )


def _equivalence(row: EquivalenceRow) -> leaderboard_pb2.Equivalence:
    return leaderboard_pb2.Equivalence(
        margin=row.margin,
        interval=interval(row.low, row.high),
        equivalent=leaderboard_pb2.Answer.Value(f"ANSWER_{row.equivalent}"),
        non_inferior=leaderboard_pb2.Answer.Value(f"ANSWER_{row.non_inferior}"),
    )
