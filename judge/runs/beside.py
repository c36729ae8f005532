"""What people tell of a judge besides how often it agrees with them."""

from __future__ import annotations

import numpy as np

from judge.runs.agreed import TIES, AgreeOptions, Beside, Cut, cuts_of, figured
from judge.runs.orders_agree import leaderboards, steps
from judge.runs.table import Side, Table
from judge.stats.agreement import AgreementFigure
from judge.stats.alternative import Alternative, alternative_annotator
from judge.stats.arrays import Floats, sums
from judge.stats.battles import LEFT, TIE
from judge.stats.calibration import Calibration, calibration
from judge.stats.cascade import Cascade, cascade
from judge.stats.ceiling import Ceiling, ceiling
from judge.stats.clustered import jackknife
from judge.stats.rank_agreement import RankAgreement
from judge.stats.rivals import rivals
from judge.stats.votes import NOBODY, Votes, pairs_between, plurality

BOARDS = 1000
"""Resamples of the two leaderboards."""


def beside(table: Table, every: Votes, target: Votes, options: AgreeOptions) -> Beside:
    """All of it of the *table*'s first source: *every* vote of the target, and the *target* that it is counted with."""
    source = table.sides[0]
    orders, gaps, notes = _boards(table, source.votes, target, options)
    ceilings, test = _people(table, source.votes, every, options)
    return Beside(
        _calibrated(source, target, options),
        orders,
        gaps,
        notes,
        ceilings,
        test,
        tuple(table.annotators),
        _cascaded(source, target, options, *table.sides[2:]) if options.cascade_target else None,
        rivals=tuple(
            rivals(source.votes, rival.votes, target, ties, options.level, options.doubt or jackknife, options.wanted)
            for rival in table.sides[2:]
            for ties in TIES[options.ties]
        ),
    )


def _cascaded(source: Side, target: Votes, options: AgreeOptions, rival: Side | None = None) -> Cascade | None:
    """Where the source may answer alone, held against the target's plurality; None with nothing in common.

    A *rival* answers the rest.
    """
    most = plurality(target)
    rows = np.isin(source.votes.item, most.item)
    if not rows.any():
        return None
    votes, share = source.votes.where(rows), source.share[rows]
    right = most.outcome[np.searchsorted(most.item, votes.item)] == votes.outcome
    sure = np.where(np.isnan(share), 1.0, np.abs(2 * share - 1))
    otherwise = None if rival is None else _right(rival.votes, most, votes)
    rng, target_share, delta = np.random.default_rng(options.seed), options.cascade_target, options.cascade_delta
    return cascade(sure, right, votes.cluster, rng, target_share, delta, options.level, otherwise)


def _right(rival: Votes, most: Votes, asked: Votes) -> Floats:
    """The share of the *rival*'s votes that are what *most* people say, for each row of *asked*; NaN without any."""
    pairs = pairs_between(rival, most)
    size = int(max(asked.item.max(), most.item.max())) + 1
    same = sums(pairs.item, (pairs.source == pairs.target).astype(np.float64), size)
    many = sums(pairs.item, size=size)
    found: Floats = (same / np.where(many > 0, many, np.nan))[asked.item]
    return found


def _calibrated(source: Side, target: Votes, options: AgreeOptions) -> Calibration | None:
    """What the source's probabilities are worth, if it has other than those that two orders make of whole outcomes."""
    told = ~np.isnan(source.share)
    item, share = source.votes.item[told], source.share[told]
    if not (share * 4 % 1).any():
        return None
    votes = target.where(np.isin(target.item, item) & (target.outcome != TIE))
    if votes.n == 0:
        return None
    order = np.argsort(item, kind="stable")
    given = share[order][np.searchsorted(item[order], votes.item)]
    rng = np.random.default_rng(options.seed)
    won = (votes.outcome == LEFT).astype(np.float64)
    return calibration(given, won, votes.cluster, rng, options.level)


def _boards(
    table: Table, source: Votes, target: Votes, options: AgreeOptions
) -> tuple[RankAgreement | None, tuple[tuple[float, float, AgreementFigure], ...], tuple[str, ...]]:
    """The two leaderboards, and agreement by how far apart contestants are in the target's."""
    boards = leaderboards(table, source, target, options.level, BOARDS, options.seed)
    notes = (f"The two leaderboards are not compared: {boards.reason.rstrip('.')}.",) if boards.reason else ()
    gaps = [
        (least, most, figure)
        for least, most, votes in steps(table, target, boards.ratings)
        for _, figure in figured(pairs_between(source.where(np.isin(source.item, votes.item)), votes), options)
    ]
    return boards.orders, tuple(gaps), notes


def _people(
    table: Table, source: Votes, target: Votes, options: AgreeOptions
) -> tuple[tuple[tuple[Cut, Ceiling], ...], Alternative | None]:
    """The source beside the target's votes among themselves, and the alternative-annotator test.

    Nothing where no comparison has two votes of the target, or the source has several on one.
    """
    mine, many = np.unique(source.item, return_counts=True)
    items, votes = np.unique(target.item, return_counts=True)
    common = np.intersect1d(mine, items[votes > 1])
    if common.size == 0 or many.max() > 1:
        return (), None
    doubt = options.doubt or jackknife
    ceilings: list[tuple[Cut, Ceiling]] = []
    for cut in cuts_of(table, target.where(np.isin(target.item, common)), options):
        every = Cut(cut.part)
        people, judge = every.of(table, target), every.of(table, source)
        one = table.annotators.index(cut.annotator) if cut.annotator else None
        ceilings.extend(
            (cut, ceiling(judge, people, ties, options.orientation, options.level, doubt, options.wanted, one))
            for ties in TIES[options.ties]
        )
    if np.unique(target.annotator[target.annotator != NOBODY]).size < 2:  # noqa: PLR2004  # one has nobody beside it
        return tuple(ceilings), None
    rng = np.random.default_rng(options.seed)
    return tuple(ceilings), alternative_annotator(source, target, rng, options.epsilon, options.q, options.least_items)
