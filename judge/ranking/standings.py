"""The standings of contestants against the reference contestant, adjusted for their number.

Intervals, and what the prompts can detect, depend on all leaderboards of a request: a report with twenty categories
makes twenty times as many comparisons as one without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from judge.columns.arrays import Floats
from judge.ranking.leaderboard import UNSPECIFIED, EquivalenceRow, Leaderboard, ShareRow, StandingRow
from judge.ranking.options import OVER_PROMPTS, RankOptions
from judge.stats.bradley_terry import BradleyTerryFit
from judge.stats.cluster_intervals import ALIKE, FEWEST
from judge.stats.equivalence import Answer, equivalences
from judge.stats.planning_power import detectable, prompts_needed
from judge.stats.scorecard import Block, critical_values, intervals, levels
from judge.stats.win_rate import WinRates


def standing_rows(
    fit: BradleyTerryFit, options: RankOptions, reference: int, others: Sequence[int]
) -> tuple[StandingRow, ...]:
    """The standings of *others* (codes) against *reference*; `adjust_standings` adds their intervals."""
    against, reasons = fit.differences(reference, options.level), fit.covariance.reasons
    return tuple(
        StandingRow(
            contestant=fit.battles.contestants[i],
            difference=round(options.scale_factor * float(against.difference[i]), 6),
            low=math.nan,
            high=math.nan,
            probability_better=float(against.probability_better[i]),
            no_interval=reasons[i] or reasons[reference] or ("" if against.standard_error[i] > 0 else ALIKE),
        )
        for i in others
    )


def win_rate_standings(rates: WinRates, block: Block, others: Sequence[int]) -> tuple[StandingRow, ...]:
    """The standings of *others* (codes) by their win rates; `adjust_standings` adds their intervals."""
    from scipy.special import stdtr  # noqa: PLC0415  # a slow import, needed only here

    better = stdtr(block.freedom, block.difference / np.where(block.error > 0, block.error, 1.0))
    columns = zip(others, block.difference.tolist(), better.tolist(), strict=True)
    return tuple(
        StandingRow(
            contestant=rates.battles.contestants[i],
            difference=round(difference, 6),
            low=math.nan,
            high=math.nan,
            probability_better=round(probability, 6),
        )
        for i, difference, probability in columns
    )


def adjust_standings(leaderboards: Sequence[Leaderboard], options: RankOptions) -> tuple[Leaderboard, ...]:
    """*leaderboards* with standings that are adjusted for all cells of all of them.

    The adjusted figures are the intervals, the detectable differences, the prompts needed, and tests of equivalence.
    """
    compared = [leaderboard for leaderboard in leaderboards if leaderboard.block is not None]
    blocks = [leaderboard.block for leaderboard in compared if leaderboard.block is not None]
    cell_levels = levels(blocks, options.adjustment, np.random.default_rng(options.seed), options.level)
    # A single difference is found at the strictest level, which with Holm's method is that of its first step.
    strictest = max((float(level) for column in cell_levels for level in column), default=options.level)
    adjusted = [
        _with_planning(_with_intervals(leaderboard, block, column), block, strictest)
        for leaderboard, block, column in zip(compared, blocks, cell_levels, strict=True)
    ]
    if options.within:
        tests = _equivalence_rows(blocks, options, options.within, options.scale_factor, cell_levels)
        adjusted = _with_tests(adjusted, tests, lambda row, test: replace(row, within=test))
    if options.within_win_rate:
        scores = [leaderboard.score_block for leaderboard in compared if leaderboard.score_block is not None]
        tests = _equivalence_rows(scores, options, options.within_win_rate, 1.0, cell_levels)
        adjusted = _with_tests(adjusted, tests, lambda row, test: replace(row, within_win_rate=test))
    remaining = iter(adjusted)
    return tuple(
        _cannot_tell(leaderboard, options) if leaderboard.block is None else next(remaining)
        for leaderboard in leaderboards
    )


def _cannot_tell(leaderboard: Leaderboard, options: RankOptions) -> Leaderboard:
    """*leaderboard*, which has no intervals, with tests of equivalence that tell nothing where they were asked for."""
    if not leaderboard.standings:
        return leaderboard

    def untested(margin: float) -> EquivalenceRow | None:
        unknown, answer = math.nan, Answer.CANNOT_TELL
        if not margin:
            return None
        return EquivalenceRow(margin=margin, low=unknown, high=unknown, equivalent=answer, non_inferior=answer)

    within = untested(round(options.scale_factor * options.within, 6))
    rows = [
        replace(row, within=within, within_win_rate=untested(options.within_win_rate)) for row in leaderboard.standings
    ]
    return replace(leaderboard, standings=tuple(rows))


def _with_intervals(leaderboard: Leaderboard, block: Block, cell_levels: Floats) -> Leaderboard:
    """*leaderboard* with the intervals of its standings."""
    bounds = intervals(block, cell_levels, leaderboard.options.level)
    lows, highs = ((np.round(leaderboard.options.scale_factor * column, 6) + 0.0).tolist() for column in bounds)
    rows = zip(leaderboard.standings, lows, highs, strict=True)
    return replace(leaderboard, standings=tuple(replace(row, low=low, high=high) for row, low, high in rows))


def _with_planning(leaderboard: Leaderboard, block: Block, level: float) -> Leaderboard:
    """*leaderboard* with what its prompts can detect, and how many would be needed, with tests at *level*."""
    factor, wanted = leaderboard.options.scale_factor, leaderboard.options.wanted
    if leaderboard.scale == "share":
        wanted = 1 / (1 + 10 ** (-wanted / 400)) - 0.5
    prompts = {row.contestant: row.prompts for row in leaderboard.ratings}
    # Win rates have no row of the reference contestant, which has battles wherever another has one.
    reference = prompts.get(leaderboard.options.reference, leaderboard.prompts)
    critical = critical_values(block, np.full(block.difference.size, level), leaderboard.options.level)
    figures = (column.tolist() for column in (block.error, block.freedom, critical))
    # Otherwise, the clusters are battles or annotators, and it would be their number.
    over_prompts = leaderboard.options.inference == OVER_PROMPTS
    rows = []
    for row, error, freedom, quantile in zip(leaderboard.standings, *figures, strict=True):
        # An interval needs enough prompts with battles of this contestant, not only of any.
        fewest = math.ceil(FEWEST * leaderboard.prompts / max(1, min(prompts[row.contestant], reference)))
        known = error > 0
        smallest = detectable(error, freedom, quantile) if known else math.nan
        rows.append(
            replace(
                row,
                detectable=round(factor * smallest, 6) if smallest <= block.limit else math.nan,
                needed=prompts_needed(
                    error=error,
                    freedom=freedom,
                    clusters=leaderboard.clusters,
                    difference=wanted,
                    alpha=1 - level,
                    fewest=max(FEWEST, fewest),
                )
                if known and over_prompts
                else None,
                wanted=round(factor * wanted, 6),
            )
        )
    return replace(leaderboard, standings=tuple(rows))


def _equivalence_rows(
    blocks: Sequence[Block], options: RankOptions, margin: float, factor: float, cell_levels: Sequence[Floats]
) -> list[list[EquivalenceRow]]:
    """The tests of all cells of *blocks* against a *margin*, in units times *factor*."""
    results = equivalences(blocks, margin, options.adjustment, cell_levels, options.level)
    rows = []
    for result in results:
        lows, highs = ((np.round(factor * column, 6) + 0.0).tolist() for column in (result.low, result.high))
        columns = zip(lows, highs, result.equivalent, result.non_inferior, strict=True)
        rows.append(
            [
                EquivalenceRow(
                    margin=round(factor * margin, 6),
                    low=low,
                    high=high,
                    equivalent=equivalent,
                    non_inferior=non_inferior,
                )
                for low, high, equivalent, non_inferior in columns
            ]
        )
    return rows


def _with_tests(
    leaderboards: Sequence[Leaderboard],
    tests: Sequence[Sequence[EquivalenceRow]],
    add: Callable[[StandingRow, EquivalenceRow], StandingRow],
) -> list[Leaderboard]:
    """*leaderboards* with one of the *tests* added to each of their standings."""
    return [
        replace(leaderboard, standings=tuple(map(add, leaderboard.standings, rows)))
        for leaderboard, rows in zip(leaderboards, tests, strict=True)
    ]


def share_rows(slices: Sequence[Leaderboard], options: RankOptions) -> tuple[ShareRow, ...]:
    """In how many of the target categories (all, if none is named) each contestant is ahead and behind.

    A category in which a contestant has no interval is not counted for it.
    """
    targets = [s for s in slices if not options.targets or s.part.category in options.targets]
    cells = [(row.contestant, row.standing) for leaderboard in targets for row in leaderboard.standings]
    names = sorted({name for name, _ in cells})
    return tuple(
        ShareRow(
            contestant=name,
            ahead=cells.count((name, "AHEAD")),
            behind=cells.count((name, "BEHIND")),
            cells=sum(cell == name and standing != UNSPECIFIED for cell, standing in cells),
        )
        for name in names
    )
