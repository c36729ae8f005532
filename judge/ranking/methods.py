"""How each method of ranking makes a leaderboard: Bradley-Terry and its variants, Elo, and win rates."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from judge.columns.arrays import Floats
from judge.domain.errors import Incomparable, InvalidInput, Precondition
from judge.ranking.anchoring import anchor
from judge.ranking.battles import BattleDesign
from judge.ranking.goodness_of_fit import fit_report
from judge.ranking.leaderboard import Anchoring, EffectRow, Leaderboard
from judge.ranking.limits import limits, uneven_prompts
from judge.ranking.options import INTERVALS, OVER_PROMPTS, TIES, RankOptions
from judge.ranking.rows import (
    NONE,
    expected_win_rates,
    interval_notes,
    pair_rows,
    rating_rows,
    sorted_leaderboard,
    unknown_anchors,
    with_simultaneous_ranks,
    without_interval,
)
from judge.ranking.standings import standing_rows, win_rate_standings
from judge.stats.bootstrap import SE_T, STUDENTISED, bootstrap
from judge.stats.bradley_terry import POINTS, BradleyTerryFit, Intervals, block, bradley_terry
from judge.stats.elo import elo, permuted_elo
from judge.stats.errors import Disconnected, NoMaximum, NotConverged, StatisticsError
from judge.stats.expected_scores import expected_scores
from judge.stats.ranks import ranks
from judge.stats.two_way_ratings import two_way_covariance
from judge.stats.win_rate import WinRates, advantages, win_rates

ELO_NOTE = "Online Elo depends on the order of the battles; Bradley-Terry does not."
PERMUTED_NOTE = "How far a rating varies over random orders of the battles is not its interval."
POSITION_NOTE = (
    "The position effect is unbounded here, so it is not fitted; showing all comparisons in both orders balances it."
)


def fit_leaderboard(design: BattleDesign, options: RankOptions) -> Leaderboard:
    """The leaderboard of *design* by the method that *options* name, without the intervals of its standings.

    Raises Incomparable where contestants cannot be put on one scale, Precondition where a fit does not converge, and
    InvalidInput for options that the data do not allow.
    """
    methods = {"elo": _elo, "elo-permuted": _permuted_elo, "win-rate": _win_rate}
    method = methods.get(options.method, _bradley_terry)
    try:
        return method(design, options)
    except Disconnected as error:
        raise Incomparable(str(error), error.components) from None
    except (NoMaximum, NotConverged) as error:
        raise Precondition(str(error), reason="NOT_CONVERGED") from None
    except StatisticsError as error:
        raise InvalidInput("options", str(error)) from None


def _bradley_terry(design: BattleDesign, options: RankOptions) -> Leaderboard:
    fit, notes = _fit(design, options)
    fit, anchoring = _anchor(fit, design)
    if design.annotators is not None:
        two_way = two_way_covariance(fit.model, design.annotators, options.ridge)
        fit = replace(fit, resampled_covariance=two_way)
    fit, intervals, resamples = _intervals(fit, options)
    rating, low, high = (np.round(column, 6) + 0.0 for column in _on_scale(fit, intervals, options))
    bounds = list(zip(low.tolist(), high.tolist(), strict=True))
    rows = rating_rows(design, rating.tolist(), bounds, expected_win_rates(fit, options))
    method = unknown_anchors(fit, options) or intervals.method
    reasons = zip(rows, intervals.reasons, strict=True)
    rows = [replace(row, interval_method=reason or method) for row, reason in reasons]
    leaderboard = sorted_leaderboard(options, method, with_simultaneous_ranks(rows, fit, options))
    leaderboard = replace(
        leaderboard.with_notes(*notes, *interval_notes(fit, options), *limits(fit.battles, options)),
        effects=tuple(
            EffectRow(name=e.name, value=e.value, low=e.low, high=e.high) for e in fit.effects(options.level)
        ),
        pairs=pair_rows(fit, options) if options.pairs else (),
        anchoring=anchoring,
        resamples=resamples,
        goodness_of_fit=fit_report(fit, options) if options.goodness_of_fit else None,
    )
    names = fit.battles.contestants
    if options.reference not in names:
        return leaderboard
    reference = names.index(options.reference)
    others = [i for i in range(len(names)) if i != reference]
    differences = block(fit, reference, others)
    return replace(
        leaderboard,
        standings=standing_rows(fit, options, reference, others),
        block=differences,
        score_block=None if differences is None else expected_scores(fit, differences),
        clusters=fit.covariance.clusters,
    )


def _fit(design: BattleDesign, options: RankOptions) -> tuple[BradleyTerryFit, tuple[str, ...]]:
    """Fit the strengths, and return notes on what had to be left out of the fit."""
    position = options.position or design.presentations

    def fit(*, position: bool) -> BradleyTerryFit:
        return bradley_terry(
            design.battles,
            ties=TIES[options.method],
            position=position,
            covariates=design.style,
            ridge=options.ridge,
            strata=design.strata,
        )

    try:
        return fit(position=position), ()
    except (NoMaximum, NotConverged):
        if options.position or not (design.presentations and design.complete):
            raise
        return fit(position=False), (POSITION_NOTE,)


def _anchor(fit: BradleyTerryFit, design: BattleDesign) -> tuple[BradleyTerryFit, Anchoring | None]:
    """*fit* with its strengths anchored to the labels of *design*, if it has any."""
    if design.labels is None or design.votes is None:
        return fit, None
    anchored, anchoring = anchor(design.votes, design.labels, design.battles.contestants)
    model = fit.model.at(anchored.log_strengths)
    return replace(fit, model=model, resampled_covariance=anchored.covariance), anchoring


def _intervals(fit: BradleyTerryFit, options: RankOptions) -> tuple[BradleyTerryFit, Intervals, tuple[int, int] | None]:
    """*fit* with the uncertainty asked for, the intervals of its ratings and, for a bootstrap, its resamples.

    The resamples are how many were drawn, and how many of them could not be ranked.
    """
    kind = INTERVALS[options.intervals]
    if not kind:
        return fit, fit.interval(options.level), None
    rng = np.random.default_rng(options.seed)
    resampled = bootstrap(fit, rng, options.replicates, studentise=kind == STUDENTISED)
    resamples = resampled.drawn, resampled.apart
    fit_again = replace(fit, resampled_covariance=resampled.covariance())
    intervals = fit_again.interval(options.level)
    if kind == SE_T or fit_again.covariance.effects is None:
        return fit_again, intervals, resamples
    low, high = (np.round(1000 + POINTS * end, 6) for end in resampled.bounds(fit, kind, options.level))
    low, high = (np.where(fit_again.covariance.eligible, end, np.nan) for end in (low, high))
    low, high = fit_again.covariance.opened(low, high)
    return fit_again, replace(intervals, low=low, high=high, method=kind), resamples


def _on_scale(fit: BradleyTerryFit, intervals: Intervals, options: RankOptions) -> list[Floats]:
    """The ratings and the ends of their intervals, on the scale asked for and shifted to the anchors."""
    names, factor = fit.battles.contestants, options.scale_factor
    if options.anchor is not None and options.anchor[0] in names:
        against = fit.differences(names.index(options.anchor[0]), options.level)
        return [options.anchor[1] + factor * column for column in (against.difference, against.low, against.high)]
    if anchors := [(names.index(name), rating) for name, rating in options.anchors if name in names]:
        columns = fit.relative_to([code for code, _ in anchors], options.level)
        middle = math.fsum(rating for _, rating in anchors) / len(anchors)
        return [middle + factor * column for column in columns]
    middle = 1000.0 if options.scale == "elo" else 0.0
    return [middle + factor * (column - 1000) for column in (fit.ratings, intervals.low, intervals.high)]


def _elo(design: BattleDesign, options: RankOptions) -> Leaderboard:
    n_contestants = len(design.battles.contestants)
    ratings = elo(design.battles, options.k, options.start).ratings.tolist()
    rows = rating_rows(design, ratings, [(math.nan, math.nan)] * n_contestants, [None] * n_contestants)
    return sorted_leaderboard(options, "none: online Elo depends on the order of its battles", rows).with_notes(
        ELO_NOTE
    )


def _permuted_elo(design: BattleDesign, options: RankOptions) -> Leaderboard:
    rng = np.random.default_rng(options.seed)
    fit = permuted_elo(design.battles, rng, options.permutations, options.k, options.start, level=options.level)
    bounds = list(zip(fit.low.tolist(), fit.high.tolist(), strict=True))
    rows = rating_rows(design, fit.ratings.tolist(), bounds, [None] * len(bounds))
    rows = [
        replace(row, order_sd=sd, interval_method=reason or fit.method)
        for row, sd, reason in zip(rows, fit.order_sd.tolist(), fit.reasons, strict=True)
    ]
    without = () if all(fit.reasons) else without_interval(design.battles.contestants, fit.reasons)
    return sorted_leaderboard(options, fit.method, rows).with_notes(
        PERMUTED_NOTE, *without, *uneven_prompts(design.battles)
    )


def _win_rate(design: BattleDesign, options: RankOptions) -> Leaderboard:
    battles = design.battles
    if options.reference not in battles.contestants:
        return sorted_leaderboard(options, f"none: {options.reference} has no battle here", ())
    against = win_rates(battles, battles.contestants.index(options.reference), options.level, design.vote_of)
    rates = against.rates
    known = [i for i, rate in enumerate(rates) if rate.value is not None]
    values = [round(rate.value or 0.0, 6) for rate in rates]
    bounds = [(_or_nan(rate.low), _or_nan(rate.high)) for rate in rates]
    places = dict(zip(known, ranks(np.array([rates[i].value for i in known])).tolist(), strict=True))
    rows = rating_rows(design, values, bounds, values)
    methods = list(dict.fromkeys(rates[i].method for i in known))
    used = [method for method in methods if not method.startswith(NONE)]
    method = ", ".join(used or methods) or "none: no battle against the reference"
    prompts = _prompts_met(design, battles.contestants.index(options.reference))
    counted = [
        replace(
            rows[i],
            rank=places[i],
            n=rates[i].n,
            prompts=prompts[i],
            # Otherwise, the clusters are votes or annotators.
            by_prompt=against.by_prompt[i] if options.inference == OVER_PROMPTS else None,
            interval_method=rates[i].method,
            standard_error=against.standard_errors[i],
            counts=against.counts[i],
        )
        for i in known
    ]
    return _with_win_rate_standings(sorted_leaderboard(options, method, counted), against)


def _prompts_met(design: BattleDesign, reference: int) -> list[int]:
    """On how many prompts each contestant has a battle against the *reference* (a code)."""
    sides = np.concatenate((design.battles.left, design.battles.right))
    others = np.concatenate((design.battles.right, design.battles.left))
    met = others == reference
    pairs = np.unique(np.stack((sides[met], np.tile(design.prompts, 2)[met])), axis=1)
    counts: list[int] = np.bincount(pairs[0], minlength=len(design.battles.contestants)).tolist()
    return counts


def _with_win_rate_standings(leaderboard: Leaderboard, against: WinRates) -> Leaderboard:
    """*leaderboard* with the standings of the contestants whose win rates have intervals, and a note on the others."""
    names, rates = against.battles.contestants, against.rates
    known = [i for i, rate in enumerate(rates) if rate.value is not None]
    compared = [i for i in known if rates[i].low is not None]
    without = [f"{names[i]} ({rates[i].method.removeprefix('none: ')})" for i in known if i not in compared]
    if without:
        leaderboard = leaderboard.with_notes(
            f"Not compared with {leaderboard.options.reference}: {'; '.join(without)}."
        )
    block = advantages(against, compared)
    return replace(
        leaderboard,
        standings=win_rate_standings(against, block, compared),
        block=block,
        score_block=block,
        clusters=max((rates[i].clusters for i in compared), default=0),
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
