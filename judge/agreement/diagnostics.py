"""What people's votes show about a judge besides how often it agrees with them."""

from __future__ import annotations

import numpy as np

from judge.agreement.cuts import Cut, agreement_by_ties, list_cuts
from judge.agreement.leaderboards import leaderboards, steps
from judge.agreement.options import TIES, AgreeOptions
from judge.agreement.report import Diagnostics
from judge.columns.arrays import Floats, sums
from judge.domain.outcome import Reconcile
from judge.stats.agreement import AgreementFigure
from judge.stats.alternative import Alternative, alternative_annotator
from judge.stats.battles import LEFT, TIE
from judge.stats.calibration import Calibration, calibration
from judge.stats.cascade import Cascade, cascade
from judge.stats.ceiling import Ceiling, ceiling
from judge.stats.cluster_intervals import jackknife
from judge.stats.rank_agreement import RankAgreement
from judge.stats.second_source import compare_sources
from judge.stats.votes import NOBODY, VoteColumns, pairs_between, plurality, tallies
from judge.votes.shared_codes import Side, Table

NO_CEILING = "No ceiling: no comparison has votes of two of the target's annotators and an outcome of the source."
SEVERAL = "No ceiling: the source has several votes on a comparison; use @plurality to make them one."
ONE_STEP = (
    "The source is equally sure of all comparisons, so its cascade has one step; with reconcile soft, its "
    "probabilities or its two orders show how sure it is."
)


def diagnose(
    table: Table, every: VoteColumns, target: VoteColumns, of_others: VoteColumns, options: AgreeOptions
) -> Diagnostics:
    """Diagnose the first source of *table* by *every* vote of the target and by those that are counted, *target*.

    A second source is compared with *of_others*, the counted votes without those of its own annotators.
    """
    source = table.sides[0]
    calibrated, uncalibrated = _calibrated(source, target, options)
    orders, gaps, unordered = _leaderboards(table, source.votes, target, options)
    ceilings, test, alone = _people(table, source.votes, every, options)
    cascaded, unsure = _cascaded(source, target, of_others, options, *table.sides[2:])
    return Diagnostics(
        calibration=calibrated,
        orders=orders,
        gaps=gaps,
        notes=tuple(filter(None, (uncalibrated, unordered, alone, unsure))),
        ceilings=ceilings,
        alternative=test,
        annotators=tuple(table.annotators),
        cascade=cascaded,
        second_sources=tuple(
            compare_sources(
                source.votes,
                second.votes,
                of_others,
                ties,
                options.level,
                options.interval_method or jackknife,
                options.wanted,
            )
            for second in table.sides[2:]
            for ties in TIES[options.ties]
        ),
    )


def _cascaded(
    source: Side, target: VoteColumns, of_others: VoteColumns, options: AgreeOptions, second: Side | None = None
) -> tuple[Cascade | None, str]:
    """The cascade that lets the source answer alone where it is sure, if asked for, and a note if it means little.

    It is compared with the target's plurality. A *second* source answers the other comparisons, and is compared with
    the plurality of *of_others*.
    """
    if not options.cascade_target:
        return None, ""
    most = plurality(target)
    rows = np.isin(source.votes.item, most.item)
    if not rows.any():
        return None, "No cascade: the sources have no comparison in common."
    votes, left_score = source.votes.select(rows), source.left_score[rows]
    right = most.outcome[np.searchsorted(most.item, votes.item)] == votes.outcome
    sure = np.where(np.isnan(left_score), 1.0, np.abs(2 * left_score - 1))
    otherwise = None if second is None else _right(second.votes, plurality(of_others), votes)
    result = cascade(
        sure, right, votes.cluster, options.cascade_target, options.cascade_delta, options.level, otherwise
    )
    return result, ONE_STEP if len(result.steps) == 1 else ""


def _right(second: VoteColumns, most: VoteColumns, votes: VoteColumns) -> Floats:
    """The share of the *second* source's votes that equal *most*, for each row of *votes*; NaN without any."""
    pairs = pairs_between(second, most)
    size = int(max(votes.item.max(), most.item.max(initial=0))) + 1
    weight = np.ones(pairs.item.size) if pairs.weight is None else pairs.weight
    same, counts = sums(pairs.item, weight * (pairs.source == pairs.target), size), sums(pairs.item, weight, size)
    share: Floats = (same / np.where(counts > 0, counts, np.nan))[votes.item]
    return share


def _calibrated(source: Side, target: VoteColumns, options: AgreeOptions) -> tuple[Calibration | None, str]:
    """The calibration of the source's probabilities, or if soft votes are asked for, why it is unknown.

    Each of the target's annotators counts once on a comparison.

    Left scores that are multiples of 1/4 come from two orders without probabilities and are not calibrated.
    """
    asked = options.reconcile is Reconcile.SOFT
    soft = ~np.isnan(source.left_score)
    item, left_score = source.votes.item[soft], source.left_score[soft]
    if not (left_score * 4 % 1).any():
        return None, "No calibration: the source gave no probabilities." if asked else ""
    target = target.once()
    votes = target.select(np.isin(target.item, item) & (target.outcome != TIE))
    if votes.n == 0:
        return (
            None,
            "No calibration: the target has only ties on the comparisons that the source gave probabilities for.",
        )
    order = np.argsort(item, kind="stable")
    given = left_score[order][np.searchsorted(item[order], votes.item)]
    rng = np.random.default_rng(options.seed)
    won = (votes.outcome == LEFT).astype(np.float64)
    return calibration(given, won, votes.cluster, rng, options.level), ""


def _leaderboards(
    table: Table, source: VoteColumns, target: VoteColumns, options: AgreeOptions
) -> tuple[RankAgreement | None, tuple[tuple[float, float, AgreementFigure], ...], str]:
    """The two leaderboards, the agreement by distance in the target's, and why they are missing."""
    both = leaderboards(table, source, target, options.level)
    note = f"The two leaderboards are not compared: {both.reason.rstrip('.')}." if both.reason else ""
    gaps = [
        (least, most, figure)
        for least, most, votes in steps(table, target, both.ratings)
        for _, figure in agreement_by_ties(
            pairs_between(source.select(np.isin(source.item, votes.item)), votes), options
        )
    ]
    return both.orders, tuple(gaps), note


def _people(
    table: Table, source: VoteColumns, target: VoteColumns, options: AgreeOptions
) -> tuple[tuple[tuple[Cut, Ceiling], ...], Alternative | None, str]:
    """The ceilings by the target's own annotators, the alternative-annotator test, and why one of them is missing.

    Both are missing if no comparison has votes of two of the target's annotators, or if the source has several votes on
    one.
    """
    mine, n_votes = np.unique(source.item, return_counts=True)
    counts, first = tallies(target.anonymous() if options.weighting == "VOTES" else target)
    common = np.intersect1d(mine, target.item[first[counts.sum(axis=1) > 1]])
    if common.size == 0:
        return (), None, NO_CEILING
    if n_votes.max() > 1:
        return (), None, SEVERAL
    interval_method = options.interval_method or jackknife
    ceilings: list[tuple[Cut, Ceiling]] = []
    for cut in list_cuts(table, target.select(np.isin(target.item, common)), options):
        every = Cut(cut.part)
        people, judge = every.of(table, target), every.of(table, source)
        annotator = table.annotators.index(cut.annotator) if cut.annotator else None
        ceilings.extend(
            (
                cut,
                ceiling(
                    judge,
                    people,
                    ties,
                    options.orientation,
                    options.level,
                    interval_method,
                    options.wanted,
                    annotator,
                    "VOTES" if options.weighting == "VOTES" else "COMPARISONS",
                    new_annotators=options.new_annotators,
                ),
            )
            for ties in TIES[options.ties]
        )
    if np.unique(target.annotator[target.annotator != NOBODY]).size < 2:  # noqa: PLR2004  # one has nobody beside it
        return tuple(ceilings), None, "No alternative-annotator test: the target has one annotator."
    rng = np.random.default_rng(options.seed)
    test = alternative_annotator(source, target.once(), rng, options.epsilon, options.q, options.least_items)
    return tuple(ceilings), test, ""
