"""The rows of a leaderboard: ratings, and the differences of all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from judge.columns.arrays import Ints
from judge.ranking.battles import BattleDesign
from judge.ranking.leaderboard import Leaderboard, PairRow, RatingRow
from judge.ranking.options import RankOptions
from judge.stats.best import probability_best
from judge.stats.bradley_terry import POINTS, BradleyTerryFit
from judge.stats.ranks import ranks
from judge.stats.simultaneous import pairs, rank_intervals

FEWEST_DEGREES = 2.0
"""Intervals with fewer degrees of freedom are noted."""
NONE = "none: "
"""What the reason of an interval that is missing begins with."""
RELATIVE = "All other intervals are relative to the mean of the contestants that have one."


def sorted_leaderboard(options: RankOptions, interval_method: str, rows: Sequence[RatingRow]) -> Leaderboard:
    """A leaderboard of *rows*, sorted by rank and then by name."""
    ratings = tuple(sorted(rows, key=lambda row: (row.rank, row.contestant)))
    return Leaderboard(options=options, part=options.part, interval_method=interval_method, ratings=ratings)


def rating_rows(
    design: BattleDesign,
    ratings: Sequence[float],
    bounds: Sequence[tuple[float, float]],
    expected: Sequence[float | None],
) -> list[RatingRow]:
    """A row for each contestant of *design*, in the order of their codes.

    *bounds* are the ends of the intervals, *expected* the expected win rates.
    """
    counts = _counts(design)
    return [
        RatingRow(
            contestant=name,
            rating=ratings[i],
            low=bounds[i][0],
            high=bounds[i][1],
            rank=place,
            n=counts[i][0],
            prompts=counts[i][1],
            expected=expected[i],
        )
        for i, (name, place) in enumerate(
            zip(design.battles.contestants, ranks(np.array(ratings)).tolist(), strict=True)
        )
    ]


def _counts(design: BattleDesign) -> list[tuple[int, int]]:
    """How many votes each contestant was in, and on how many prompts."""
    votes = np.arange(design.battles.n, dtype=np.int32) if design.vote_of is None else design.vote_of
    return list(zip(_distinct(design, votes), _distinct(design, design.prompts), strict=True))


def _distinct(design: BattleDesign, codes: Ints) -> list[int]:
    """The number of distinct *codes*, int32[n], among the battles of each contestant."""
    contestant = np.concatenate((design.battles.left, design.battles.right)).astype(np.int64)
    n_codes = int(codes.max()) + 1
    # Sorting is many times faster than np.unique if most are different.
    pairs = np.sort(contestant * n_codes + np.tile(codes, 2))
    is_first = np.append(True, pairs[1:] != pairs[:-1])
    numbers = np.bincount(pairs[is_first] // n_codes, minlength=len(design.battles.contestants))
    return [int(number) for number in numbers]


def expected_win_rates(fit: BradleyTerryFit, options: RankOptions) -> list[float | None]:
    """Each contestant's expected win rate against the reference contestant, or else against the average one."""
    names = fit.battles.contestants
    if options.reference in names:
        reference = names.index(options.reference)
        return [fit.expected(i, reference) if i != reference else 0.5 for i in range(len(names))]
    return [fit.expected_against_mean(i) for i in range(len(names))]


def with_simultaneous_ranks(rows: list[RatingRow], fit: BradleyTerryFit, options: RankOptions) -> list[RatingRow]:
    """*rows*, in the order of codes, with the ranks that cannot be excluded and the probabilities of being the best.

    A contestant whose interval has an open end has no ranks and does not count for those of others, and then nobody has
    a probability.
    """
    covariance = fit.covariance
    if covariance.matrix is None:
        return rows
    closed = covariance.closed
    errors = covariance.pairs.limited_to(np.logical_and.outer(closed, closed))
    ranges = rank_intervals(fit.log_strengths, errors, options.level)
    best: list[float | None] = [None] * len(rows)
    if covariance.open_above is None:
        rng, freedom = np.random.default_rng(options.seed), covariance.ratings.freedom
        best = list(probability_best(fit.log_strengths, covariance.matrix, freedom, rng).tolist())
    columns = zip(rows, ranges.low.tolist(), ranges.high.tolist(), best, closed.tolist(), strict=True)
    return [
        replace(row, ranks=(low, high), best=probability) if known else row
        for row, low, high, probability, known in columns
    ]


def without_interval(names: Sequence[str], reasons: Sequence[str]) -> tuple[str, ...]:
    """A note on those of the contestants *names* with a reason why they have no interval, "none: ..."; or nothing.

    >>> without_interval(["a", "b"], ["none: 3 prompts of its own, at least 5 are needed", ""])
    ('No interval: a (3 prompts of its own, at least 5 are needed).',)
    """
    without = [f"{name} ({reason.removeprefix(NONE)})" for name, reason in zip(names, reasons, strict=True) if reason]
    return (f"No interval: {'; '.join(without)}.",) if without else ()


def unknown_anchors(fit: BradleyTerryFit, options: RankOptions) -> str:
    """Why no rating has an interval relative to the anchors, "none: ..."; empty if ratings have one, or no anchor."""
    names, covariance = fit.battles.contestants, fit.covariance
    codes = [names.index(name) for name in _anchors(fit, options)]
    if not codes or covariance.effects is None or covariance.eligible[codes].any():
        return ""
    reasons = "; ".join(f"{names[i]} ({covariance.reasons[i].removeprefix(NONE)})" for i in codes)
    return f"{NONE}no anchor has an interval: {reasons}"


def _anchors(fit: BradleyTerryFit, options: RankOptions) -> list[str]:
    """The contestants of *fit* whose ratings are fixed."""
    fixed = options.anchors if options.anchor is None else (options.anchor, *options.anchors)
    return [name for name, _ in fixed if name in fit.battles.contestants]


def interval_notes(fit: BradleyTerryFit, options: RankOptions) -> tuple[str, ...]:
    """Notes on the contestants without an interval, and on those whose interval rests on very few prompts."""
    names, covariance = fit.battles.contestants, fit.covariance
    if covariance.effects is None:
        return ()
    freedom = covariance.ratings.freedom.tolist()
    few = [name for name, degrees in zip(names, freedom, strict=True) if degrees < FEWEST_DEGREES]
    notes = list(without_interval(names, covariance.reasons))
    if unknown := unknown_anchors(fit, options):
        return (f"No rating has an interval, because {unknown.removeprefix(NONE)}.",)
    if notes and not _anchors(fit, options):
        notes = [f"{note} {RELATIVE}" for note in notes]
    if few:
        notes.append(f"The intervals of these depend mostly on one or two prompts: {', '.join(few)}.")
    return tuple(notes)


def pair_rows(fit: BradleyTerryFit, options: RankOptions) -> tuple[PairRow, ...]:
    """The difference between every two contestants, in the order of their codes; an open interval leaves it open."""
    names, covariance = fit.battles.contestants, fit.covariance
    m = len(names)
    strengths, errors = fit.log_strengths, covariance.pairs
    table = pairs(strengths, errors, options.scale_factor * POINTS, options.level)
    ends = [covariance.opened(table.low[:, j], table.high[:, j], j) for j in range(m)]
    low, high = (np.column_stack(side) for side in zip(*ends, strict=True))
    better = np.round(errors.probability_above_zero(np.subtract.outer(strengths, strengths)), 6)
    columns = [column.tolist() for column in (table.difference, low, high, better)]
    return tuple(
        PairRow(names[i], names[j], *(column[i][j] for column in columns)) for i in range(m) for j in range(i + 1, m)
    )
