"""What people tell of a judge besides how often it agrees with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from judge.domain.outcome import Outcome
from judge.domain.source import Merge
from judge.runs.agreed import TIES, AgreeOptions, Beside, Codes, Cut, cuts_of, ints
from judge.runs.drift import drifted
from judge.runs.orders_agree import leaderboards, steps
from judge.runs.sources import merged
from judge.runs.votes import Votes
from judge.stats.agreement import AgreementFigure, agreement
from judge.stats.alternative import Alternative, alternative_annotator
from judge.stats.calibration import Calibration, calibration
from judge.stats.cascade import Cascade, cascade
from judge.stats.ceiling import Ceiling, ceiling
from judge.stats.clustered import jackknife
from judge.stats.rank_agreement import RankAgreement
from judge.stats.rivals import Rivals, rivals
from judge.stats.votes import pairs_between

BOARDS = 1000
"""Resamples of the two leaderboards."""


def beside(source: Votes, target: Votes, compared: Votes, options: AgreeOptions, rival: Votes | None) -> Beside:
    """All of it of *source*: *target* has every vote, *compared* what agreement is counted with."""
    orders, gaps, notes = _boards(source, compared, options)
    changed = drifted(target, source, options.level)
    if isinstance(changed, str):
        notes = (changed, *notes) if changed else notes
    if source.source == target.source:
        notes = (f"Both sides are {source.source}: it agrees with itself.", *notes)
    ceilings, test, annotators = _people(source, target, options)
    return Beside(
        _calibrated(source, compared, options),
        orders,
        gaps,
        notes,
        ceilings,
        test,
        annotators,
        _cascaded(source, compared, options) if options.cascade_target else None,
        drift=None if isinstance(changed, str) else changed,
        rivals=() if rival is None else tuple(_rivals(source, rival, compared, options)),
    )


def _rivals(source: Votes, rival: Votes, target: Votes, options: AgreeOptions) -> Iterator[Rivals]:
    codes = Codes()
    one, other, people = (codes.votes(votes.rows) for votes in (source, rival, target))
    for ties in TIES[options.ties]:
        yield rivals(one, other, people, ties, options.level, options.doubt or jackknife, options.wanted)


def _cascaded(source: Votes, target: Votes, options: AgreeOptions) -> Cascade | None:
    """Where the source may answer alone, held against the target's plurality; None with nothing in common."""
    most = {vote.where: vote.outcome for vote in merged(target.rows, Merge.PLURALITY)}
    rows = [vote for vote in source.rows if vote.where in most]
    if not rows:
        return None
    prompts: dict[str, int] = {}
    return cascade(
        np.array([1.0 if vote.share is None else abs(2 * vote.share - 1) for vote in rows]),
        np.array([vote.outcome is most[vote.where] for vote in rows]),
        ints([prompts.setdefault(vote.where.prompt_id, len(prompts)) for vote in rows]),
        np.random.default_rng(options.seed),
        options.cascade_target,
        options.cascade_delta,
        options.level,
    )


def _calibrated(source: Votes, target: Votes, options: AgreeOptions) -> Calibration | None:
    """What the source's probabilities are worth, if it has other than those that two orders make of whole outcomes."""
    given = {vote.where: vote.share for vote in source.rows if vote.share is not None}
    if all((4 * share).is_integer() for share in given.values()):
        return None
    votes = [vote for vote in target.rows if vote.where in given and vote.outcome is not Outcome.TIE]
    if not votes:
        return None
    prompts: dict[str, int] = {}
    return calibration(
        np.array([given[vote.where] for vote in votes]),
        np.array([float(vote.outcome is Outcome.LEFT) for vote in votes]),
        ints([prompts.setdefault(vote.where.prompt_id, len(prompts)) for vote in votes]),
        np.random.default_rng(options.seed),
        options.level,
    )


def _boards(
    source: Votes, target: Votes, options: AgreeOptions
) -> tuple[RankAgreement | None, tuple[tuple[float, float, AgreementFigure], ...], tuple[str, ...]]:
    """The two leaderboards, and agreement by how far apart contestants are in the target's."""
    boards = leaderboards(source, target, options.level, BOARDS, options.seed)
    notes = (f"The two leaderboards are not compared: {boards.reason.rstrip('.')}.",) if boards.reason else ()
    gaps = []
    for least, most, votes in steps(target.rows, boards.ratings):
        codes = Codes()
        theirs = codes.votes(votes)
        inside = {vote.where for vote in votes}
        pairs = pairs_between(codes.votes([vote for vote in source.rows if vote.where in inside]), theirs)
        for ties in TIES[options.ties]:
            figure = agreement(pairs, ties, options.orientation, options.level, options.doubt)
            gaps.append((least, most, figure))
    return boards.orders, tuple(gaps), notes


def _people(
    source: Votes, target: Votes, options: AgreeOptions
) -> tuple[tuple[tuple[Cut, Ceiling], ...], Alternative | None, tuple[str, ...]]:
    """The source beside the target's votes among themselves, and the alternative-annotator test.

    Nothing where no comparison has two votes of the target, or the source has several on one.
    """
    if len({vote.where for vote in source.rows}) < len(source.rows):
        return (), None, ()
    counts = Counter(vote.where for vote in target.rows)
    common = {vote.where for vote in source.rows} & {where for where, many in counts.items() if many > 1}
    if not common:
        return (), None, ()
    ceilings: list[tuple[Cut, Ceiling]] = []
    doubt = options.doubt or jackknife
    for cut in cuts_of(replace(target, rows=tuple(v for v in target.rows if v.where in common)), options):
        codes, every = Codes(), replace(cut, annotator="")
        people = codes.votes([vote for vote in target.rows if every.takes(vote, target)])
        judge = codes.votes([vote for vote in source.rows if every.takes(vote, source)])
        one = codes.annotators.index(cut.annotator) if cut.annotator else None
        ceilings.extend(
            (cut, ceiling(judge, people, ties, options.orientation, options.level, doubt, options.wanted, one))
            for ties in TIES[options.ties]
        )
    codes = Codes()
    judge, people = codes.votes(source.rows), codes.votes(target.rows)
    rng = np.random.default_rng(options.seed)
    if len({vote.annotator for vote in target.rows}) < 2:  # noqa: PLR2004  # one has nobody to be compared with
        return tuple(ceilings), None, ()
    test = alternative_annotator(judge, people, rng, options.epsilon, options.q, options.least_items)
    return tuple(ceilings), test, codes.annotators
