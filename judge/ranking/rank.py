"""From votes to a leaderboard: ratings with their doubt, the same by category, standings against a reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from judge.columns.arrays import Floats
from judge.domain.errors import Incomparable, InvalidInput, Precondition
from judge.domain.source import Source
from judge.ranking.anchoring import Labelled, anchor
from judge.ranking.battles import FEWEST_PROMPTS, BattleDesign, Style, battle_design
from judge.ranking.options import (
    INTERVALS,
    TIES,
    EffectRow,
    Leaderboard,
    LeftOut,
    PairRow,
    RankOptions,
    RatingRow,
    ShareRow,
    StandingRow,
)
from judge.ranking.variance import variance_of
from judge.stats.bootstrap import SE_T, STUDENTISED, bootstrap
from judge.stats.bradley_terry import POINTS, BradleyTerryFit, Intervals, block, bradley_terry
from judge.stats.components import strong_components, unrankable
from judge.stats.elo import elo, permuted_elo
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.ranks import ranks
from judge.stats.scorecard import intervals, levels
from judge.stats.simultaneous import detectable, pairs, probability_best, prompts_needed, rank_intervals
from judge.stats.win_rate import win_rates
from judge.votes.juries import without
from judge.votes.vote_table import categories_of, in_category
from judge.votes.votes import SourceVotes

ELO_NOTE = "Online Elo depends on the order of the battles; Bradley-Terry does not."
PERMUTED_NOTE = "order_sd is how far one order of the battles lies from the mean over orders; it is no interval."
ADAPTIVE_NOTE = "The pairs were chosen adaptively, in {rounds}; what fell by lot is ranked alone beside this."
SOME_ADAPTIVE_NOTE = (
    "Some of the pairs were chosen adaptively; rank their run as run:RUN/JUDGE to see what fell by lot alone."
)
POSITION_NOTE = "The position effect has no bound here: it is left out, and both orders of all comparisons balance it."


def build_leaderboard(
    votes: SourceVotes, options: RankOptions, style: Style | None = None, labels: Labelled | None = None
) -> Leaderboard:
    """The leaderboard of *votes*, and of each category if asked for.

    *style* goes into the fit, and *labels* are what its ratings are anchored to.
    """
    told = battle_design(votes, options, style)
    leaderboard = rank(replace(told, votes=votes, labels=labels), options)
    if options.variance:
        leaderboard = replace(leaderboard, variance=variance_of(votes))
    if votes.adaptive:
        leaderboard = _adaptive(leaderboard, votes, options, style)
    if style is not None:
        leaderboard = replace(leaderboard, without_style=rank(replace(told, style=None, rare=()), options))
    categories = categories_of(votes)
    unknown = sorted(set(options.targets) - set(categories))
    if unknown:
        raise InvalidInput("options.target_categories", f"no battle is of the category {unknown[0]!r}")
    if options.leave_one_out:
        leaderboard = replace(
            leaderboard,
            left_out=(*_without_categories(votes, options, style, categories), *_without_judges(votes, options, style)),
        )
    if not options.by_category and not options.targets:
        return replace(leaderboard, votes=votes)
    # A category is easily too small to order everybody: what can be ranked is, the rest is named.
    lenient = replace(options, largest=True, strata=False)
    slices = []
    for category in categories:
        part = replace(options.part, category=category)
        of_it = battle_design(in_category(votes, category), lenient, style)
        slices.append(_fit_leaderboard(of_it, replace(lenient, part=part), lenient=True))
    scored = _adjusted(slices, options)
    return replace(leaderboard, votes=votes, slices=scored, shares=_shares(scored, options))


def _adaptive(leaderboard: Leaderboard, votes: SourceVotes, options: RankOptions, style: Style | None) -> Leaderboard:
    """Add a note that pairs were chosen adaptively, and the leaderboard of the uniform sample, if there is one."""
    leaderboard = leaderboard.noted(ADAPTIVE_NOTE.format(rounds=votes.rounds) if votes.rounds else SOME_ADAPTIVE_NOTE)
    uniform_votes = votes.uniform_votes
    if not uniform_votes.rows:
        return leaderboard
    # A fifth of the comparisons may be too few to order everybody: what can be ranked is, the rest is named.
    lenient = replace(options, largest=True, anchored_to=None)
    return replace(
        leaderboard,
        uniform_sample=_adjusted(
            [_fit_leaderboard(battle_design(uniform_votes, lenient, style), lenient, lenient=True)], lenient
        )[0],
    )


def _without_categories(
    votes: SourceVotes, options: RankOptions, style: Style | None, categories: Sequence[str]
) -> Iterator[LeftOut]:
    for category in categories:
        yield LeftOut(category, _ranks_alone(in_category(votes, category, other=True), options, style))


def _without_judges(votes: SourceVotes, options: RankOptions, style: Style | None) -> Iterator[LeftOut]:
    for judge in sorted(votes.behind) if votes.members else ():
        rest = without(Source.parse(votes.source), votes, judge)
        yield LeftOut("", _ranks_alone(rest, options, style), judge)


def _ranks_alone(votes: SourceVotes, options: RankOptions, style: Style | None) -> tuple[tuple[str, int], ...]:
    if not votes.rows:
        return ()
    ranks_alone = replace(options, largest=True, reference="", anchor=None, anchors=(), pairs=False)
    ranks_alone = replace(ranks_alone, intervals="sandwich")
    rest = _fit_leaderboard(battle_design(votes, options, style), ranks_alone, lenient=True)
    return tuple((row.contestant, row.rank) for row in rest.ratings)


def rank(told: BattleDesign, options: RankOptions) -> Leaderboard:
    """The leaderboard of what was *told*. Raises Incomparable, naming the parts, unless the largest is asked for."""
    return _adjusted([_fit_leaderboard(told, options)], options)[0]


def _fit_leaderboard(told: BattleDesign, options: RankOptions, *, lenient: bool = False) -> Leaderboard:
    """The same with no intervals of standings yet, since other boards' cells may count with its own."""
    battles = told.battles
    names = battles.contestants
    if not lenient:
        _known(names, options)
    wins = battles.counts().wins
    parts = tuple(tuple(names[i] for i in group) for group in strong_components(wins))
    unranked: tuple[tuple[str, str], ...] = ()
    if len(parts) > 1 and options.method in TIES and not options.ridge:
        if not options.largest:
            raise Incomparable(_why(names, wins), parts)
        out = unrankable(wins)
        unranked = tuple((names[i], reason) for i, reason in sorted(out.items()))
        kept = [i for i in range(len(names)) if i not in out]
        if not kept:
            return Leaderboard(options, options.part, "none: nobody can be ranked", (), unranked, parts, 0, battles.n)
        told = told.among(kept)
    method = {"elo": _elo, "elo-permuted": _permuted, "win-rate": _win_rate}.get(options.method, _strengths)
    try:
        leaderboard = method(told, options)
    except Disconnected as error:
        raise Incomparable(str(error), error.components) from None
    except NotConverged as error:
        raise Precondition(str(error), reason="NOT_CONVERGED") from None
    except ValueError as error:
        raise InvalidInput("options", str(error)) from None
    if told.rare:
        leaderboard = leaderboard.noted(
            f"Left out of the fit, differing on fewer than {FEWEST_PROMPTS} prompts: {', '.join(told.rare)}."
        )
    prompts = len(np.unique(told.prompts))
    return replace(leaderboard, unranked=unranked, components=parts, prompts=prompts, battles=told.battles.n)


def _known(names: Sequence[str], options: RankOptions) -> None:
    """Raise InvalidInput where the options name somebody without a battle."""
    for field, name in (("reference_contestant", options.reference), ("anchor", (options.anchor or ("",))[0])):
        if name and name not in names:
            raise InvalidInput(
                f"options.{field}",
                f"{field.replace('_', ' ')} {name!r} has no battle; there are {', '.join(names)}",
                reason="UNKNOWN_CONTESTANT",
            )
    if options.anchors and not any(name in names for name, _ in options.anchors):
        told = ", ".join(name for name, _ in options.anchors)
        raise InvalidInput("options.anchors", f"none of the anchors {told} has a battle", reason="UNKNOWN_CONTESTANT")


def _why(names: Sequence[str], wins: Floats) -> str:
    told = "; ".join(f"{names[i]} {reason}" for i, reason in sorted(unrankable(wins).items()))
    return f"the contestants cannot be put on one scale: {told}; ask for the largest part to rank the others"


def _taken_part(told: BattleDesign) -> list[tuple[int, int]]:
    """How many battles, and of how many prompts, each contestant was in."""
    m = len(told.battles.contestants)
    sides = np.concatenate((told.battles.left, told.battles.right)).astype(np.int64)
    many = int(told.prompts.max()) + 1
    met = np.unique(sides * many + np.tile(told.prompts, 2))
    counted = (np.bincount(sides, minlength=m), np.bincount(met // many, minlength=m))
    return list(zip(*(column.tolist() for column in counted), strict=True))


def _rows(
    told: BattleDesign,
    ratings: Sequence[float],
    bounds: Sequence[tuple[float, float]],
    expected: Sequence[float | None],
) -> list[RatingRow]:
    """A row for each contestant, in the order of their codes."""
    places = ranks(np.array(ratings)).tolist()
    return [
        RatingRow(name, ratings[i], *bounds[i], places[i], *taken, expected[i])
        for i, (name, taken) in enumerate(zip(told.battles.contestants, _taken_part(told), strict=True))
    ]


def _leaderboard(options: RankOptions, method: str, rows: Sequence[RatingRow]) -> Leaderboard:
    return Leaderboard(options, options.part, method, tuple(sorted(rows, key=lambda row: (row.rank, row.contestant))))


def _strengths(told: BattleDesign, options: RankOptions) -> Leaderboard:
    fit, notes = _fitted(told, options)
    names = told.battles.contestants
    scale = _unit(options)
    anchoring, resamples = None, None
    if told.labels is not None and told.votes is not None:
        anchored, anchoring = anchor(told.votes, told.labels, names)
        fit = replace(fit, model=fit.model.at(anchored.log_strengths), resampled_covariance=anchored.covariance)
    if INTERVALS[options.intervals]:
        fit, interval, resamples = _resampled(fit, options)
    else:
        interval = fit.interval(options.level)
    found = fit.covariance
    rating, low, high = (np.round(column, 6) + 0.0 for column in _scaled(fit, interval, options))
    rows = _rows(told, rating.tolist(), list(zip(low.tolist(), high.tolist(), strict=True)), _expected(fit, options))
    places: list[tuple[int, int] | None] = [None] * len(names)
    best: list[float | None] = [None] * len(names)
    if found.matrix is not None and found.open_above is None and len(names) > 1:
        rng = np.random.default_rng(options.seed)
        ranked = rank_intervals(fit.log_strengths, found.matrix, found.freedom, rng, options.level)
        places = list(zip(ranked.low.tolist(), ranked.high.tolist(), strict=True))
        best = list(probability_best(fit.log_strengths, found.matrix, found.freedom, rng).tolist())
    rows = [replace(row, ranks=places[i], best=best[i]) for i, row in enumerate(rows)]
    effects = [EffectRow(e.name, e.value, e.low, e.high) for e in fit.effects(options.level)]
    leaderboard = _leaderboard(options, interval.method, rows).noted(*notes)
    leaderboard = replace(
        leaderboard,
        effects=tuple(effects),
        pairs=_pairs(fit, options, scale) if options.pairs else (),
        anchoring=anchoring,
        resamples=resamples,
    )
    return _standings(leaderboard, fit, scale) if options.reference in names else leaderboard


def _scaled(fit: BradleyTerryFit, interval: Intervals, options: RankOptions) -> list[Floats]:
    """The ratings and the ends of their intervals, on the scale asked for and where its anchors put it."""
    names, scale = fit.battles.contestants, _unit(options)
    if options.anchor is not None and options.anchor[0] in names:
        against = fit.differences(names.index(options.anchor[0]), options.level)
        return [options.anchor[1] + scale * c for c in (against.difference, against.low, against.high)]
    if fixed := [(names.index(name), rating) for name, rating in options.anchors if name in names]:
        columns = fit.relative_to([code for code, _ in fixed], options.level)
        middle = math.fsum(rating for _, rating in fixed) / len(fixed)
        return [middle + scale * c for c in columns]
    middle = 1000.0 if options.scale == "elo" else 0.0
    return [middle + scale * (c - 1000) for c in (fit.ratings, interval.low, interval.high)]


def _resampled(fit: BradleyTerryFit, options: RankOptions) -> tuple[BradleyTerryFit, Intervals, tuple[int, int]]:
    """*fit* with the doubt of a bootstrap, the ratings' intervals, and how many resamples were drawn and fell apart."""
    kind = INTERVALS[options.intervals]
    rng = np.random.default_rng(options.seed)
    found = bootstrap(fit, rng, options.replicates, studentise=kind == STUDENTISED)
    again = replace(fit, resampled_covariance=found.covariance())
    interval = again.interval(options.level)
    if kind == SE_T or again.covariance.matrix is None:
        return again, interval, (found.drawn, found.apart)
    low, high = (np.round(1000 + POINTS * end, 6) for end in found.bounds(fit, kind, options.level))
    low, high = again.covariance.opened(low, high)
    return again, replace(interval, low=low, high=high, method=kind), (found.drawn, found.apart)


def _unit(options: RankOptions) -> float:
    """A rating point on the scale asked for."""
    return 1.0 if options.scale == "elo" else 1 / POINTS


def _fitted(told: BattleDesign, options: RankOptions) -> tuple[BradleyTerryFit, tuple[str, ...]]:
    position = options.position or told.presentations

    def fit(*, position: bool) -> BradleyTerryFit:
        return bradley_terry(
            told.battles,
            ties=TIES[options.method],
            position=position,
            covariates=told.style,
            ridge=options.ridge,
            strata=told.strata,
        )

    try:
        return fit(position=position), ()
    except NotConverged:
        if options.position or not (told.presentations and told.complete):
            raise
        return fit(position=False), (POSITION_NOTE,)


def _standings(leaderboard: Leaderboard, fit: BradleyTerryFit, scale: float) -> Leaderboard:
    """*leaderboard* with everybody's standing against the reference contestant, but for its interval."""
    options, names = leaderboard.options, fit.battles.contestants
    reference = names.index(options.reference)
    others = [i for i in range(len(names)) if i != reference]
    against = fit.differences(reference, options.level)
    clusters = fit.covariance.freedom + 1
    standings = []
    for i in others:
        error = float(against.standard_error[i])
        sure = math.isfinite(error) and error > 0
        standings.append(
            StandingRow(
                names[i],
                round(scale * float(against.difference[i]), 6),
                math.nan,
                math.nan,
                float(against.probability_better[i]),
                round(scale * detectable(error, clusters, options.level), 6) if sure else math.nan,
                prompts_needed(error, clusters, options.wanted, options.level) if sure else None,
            )
        )
    return replace(leaderboard, standings=tuple(standings), block=block(fit, reference, others))


def _adjusted(leaderboards: Sequence[Leaderboard], options: RankOptions) -> tuple[Leaderboard, ...]:
    """*leaderboards* with the intervals of their standings adjusted for all cells of all of them."""
    scale = _unit(options)
    told = [leaderboard.block for leaderboard in leaderboards if leaderboard.block is not None]
    found = iter(levels(told, options.adjustment, np.random.default_rng(options.seed), options.level))
    adjusted = []
    for leaderboard in leaderboards:
        if leaderboard.block is None:
            adjusted.append(leaderboard)
            continue
        low, high = (np.round(scale * column, 6) + 0.0 for column in intervals(leaderboard.block, next(found)))
        rows = [
            replace(row, low=least, high=most)
            for row, least, most in zip(leaderboard.standings, low.tolist(), high.tolist(), strict=True)
        ]
        adjusted.append(replace(leaderboard, standings=tuple(rows)))
    return tuple(adjusted)


def _shares(slices: Sequence[Leaderboard], options: RankOptions) -> tuple[ShareRow, ...]:
    """In how many of the wanted categories each contestant is ahead and behind."""
    wanted = [s for s in slices if not options.targets or s.part.category in options.targets]
    cells = [(row.contestant, row.standing) for leaderboard in wanted for row in leaderboard.standings]
    names = sorted({name for name, _ in cells})
    return tuple(
        ShareRow(name, cells.count((name, "AHEAD")), cells.count((name, "BEHIND")), len(wanted)) for name in names
    )


def _pairs(fit: BradleyTerryFit, options: RankOptions, scale: float) -> tuple[PairRow, ...]:
    names, found = fit.battles.contestants, fit.covariance
    m = len(names)
    matrix = np.full((m, m), np.nan) if found.matrix is None else found.matrix
    told = pairs(fit.log_strengths, matrix, found.freedom, scale * POINTS, options.level)
    columns = [column.tolist() for column in (told.difference, told.low, told.high)]
    return tuple(
        PairRow(names[i], names[j], *(column[i][j] for column in columns)) for i in range(m) for j in range(i + 1, m)
    )


def _expected(fit: BradleyTerryFit, options: RankOptions) -> list[float | None]:
    names = fit.battles.contestants
    if options.reference in names:
        other = names.index(options.reference)
        return [fit.expected(i, other) if i != other else 0.5 for i in range(len(names))]
    return [fit.expected_against_mean(i) for i in range(len(names))]


def _elo(told: BattleDesign, options: RankOptions) -> Leaderboard:
    found = elo(told.battles, options.k, options.start)
    unknown = [(math.nan, math.nan)] * len(told.battles.contestants)
    rows = _rows(told, found.ratings.tolist(), unknown, [None] * len(told.battles.contestants))
    return _leaderboard(options, "none: online Elo depends on the order of its battles", rows).noted(ELO_NOTE)


def _permuted(told: BattleDesign, options: RankOptions) -> Leaderboard:
    rng = np.random.default_rng(options.seed)
    found = permuted_elo(told.battles, rng, options.permutations, options.k, options.start, level=options.level)
    bounds = list(zip(found.low.tolist(), found.high.tolist(), strict=True))
    rows = _rows(told, found.ratings.tolist(), bounds, [None] * len(told.battles.contestants))
    spread = found.order_sd.tolist()
    rows = [replace(row, order_sd=spread[i]) for i, row in enumerate(rows)]
    return _leaderboard(options, found.method, rows).noted(PERMUTED_NOTE)


def _win_rate(told: BattleDesign, options: RankOptions) -> Leaderboard:
    battles = told.battles
    if options.reference not in battles.contestants:
        return _leaderboard(options, f"none: {options.reference} has no battle here", ())
    rates = win_rates(battles, battles.contestants.index(options.reference), options.level).rates
    known = [i for i, rate in enumerate(rates) if rate.value is not None]
    values = [round(rates[i].value or 0.0, 6) for i in range(len(rates))]
    bounds = [(_or_nan(rate.low), _or_nan(rate.high)) for rate in rates]
    places = dict(zip(known, ranks(np.array([rates[i].value for i in known])).tolist(), strict=True))
    rows = _rows(told, values, bounds, values)
    method = next((rates[i].method for i in known), "none: no battle against the reference")
    return _leaderboard(options, method, [replace(rows[i], rank=places[i]) for i in known])


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
