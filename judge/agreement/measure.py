"""How far two sources agree on the same comparisons, or one source's annotators among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from judge.agreement.cuts import Cut, agreement_by_ties, list_cuts
from judge.agreement.diagnostics import diagnose
from judge.agreement.drift import measure_drift
from judge.agreement.gold import NO_GOLD, GoldAccuracy, measure_gold
from judge.agreement.options import AgreeOptions
from judge.agreement.report import Diagnostics, Figure, Report
from judge.columns.names import encode_names
from judge.domain.errors import InvalidInput
from judge.domain.outcome import whole
from judge.stats.cluster_intervals import Estimate, mean
from judge.stats.order_effects import OrderEffects, order_consistency
from judge.stats.repeats import intra_annotator_agreement
from judge.stats.votes import VoteColumns, VotePairs, pairs_between, pairs_within, plurality
from judge.votes.shared_codes import Table
from judge.votes.votes import SourceVotes


def measure(
    source: SourceVotes, target: SourceVotes | None, options: AgreeOptions, second: SourceVotes | None = None
) -> Report:
    """Report how far *source* agrees with *target*, or without a target, its own annotators with each other.

    A *second* source is compared with the same votes of the target. Raises InvalidInput for a unit that does not fit.
    """
    unit = _unit(options.unit, among_themselves=target is None)
    sources = [source, *(votes for votes in (target, second) if votes is not None)]
    table = Table.of(source.categories, *(votes.rows for votes in sources))
    ours = table.sides[0].votes
    other_people = _share_people(source, target, options)
    every = ours if target is None else _targets_votes(table, other_people=other_people)
    theirs = _counted(every, unit, options)
    figures = []
    cuts = list_cuts(table, theirs, options)
    for cut in cuts:
        pairs = _cut_pairs(cut, table, theirs, options, among_themselves=target is None, other_people=other_people)
        figures += [
            Figure(part=cut.part, ties=ties, unit=unit, figure=figure, annotator=cut.annotator)
            for ties, figure in agreement_by_ties(pairs, options)
        ]
    mine, other = np.unique(ours.item), np.unique(theirs.item)
    both = np.intersect1d(mine, other).size
    consistency, incomplete = _consistency(source, options.level)
    diagnostics = Diagnostics()
    if target is None and np.unique(ours.annotator).size == 1 and not figures[0].figure.n:
        diagnostics = Diagnostics(notes=(f"{source.source} has one annotator, so there is nobody to compare with.",))
    if target is not None:
        of_others = [_share_people(side, target, options) for side in (source, second)]
        diagnostics = diagnose(
            table, every, theirs, _counted(_without_own_votes(table, of_others), unit, options), options
        )
        drift = measure_drift(target, source, options.level, options.drift_margin)
        if isinstance(drift, str):
            diagnostics = replace(diagnostics, notes=(*filter(None, (drift,)), *diagnostics.notes))
        else:
            diagnostics = replace(diagnostics, drift=drift)
    return Report(
        source=source,
        target=target or source,
        options=options,
        figures=tuple(figures),
        source_only=mine.size - both,
        target_only=other.size - both,
        both=both,
        consistency=consistency,
        incomplete=incomplete,
        repeats=_repeats(source, options.level),
        intra_annotator=(
            _intra_annotator(table, 0, source, options.level),
            None if target is None else _intra_annotator(table, 1, target, options.level),
        ),
        gold=_gold(source, target, cuts, options),
        diagnostics=diagnostics,
    )


def _gold(source: SourceVotes, target: SourceVotes | None, cuts: Sequence[Cut], options: AgreeOptions) -> GoldAccuracy:
    """The accuracy of *source* in the parts of the data that the *cuts* name, if *target* is gold labels."""
    parts = [cut.part for cut in cuts if not cut.annotator]
    if target is not None:
        return measure_gold(source, target, parts, options)
    if options.gold:
        raise InvalidInput("options.gold", "accuracy is measured against a target: name one")
    return NO_GOLD


def _share_people(source: SourceVotes | None, target: SourceVotes | None, options: AgreeOptions) -> bool:
    """Whether an annotator's name means the same person in both sources, so that own votes do not count."""
    both = source is not None and target is not None and source.has_people and target.has_people
    return both and options.weighting != "VOTES"


def _counted(votes: VoteColumns, unit: str, options: AgreeOptions) -> VoteColumns:
    """The votes that figures of a *unit* count: *votes*, or the plurality of each comparison."""
    if unit != "PLURALITY":
        return votes
    return plurality(votes.anonymous() if options.weighting == "VOTES" else votes)


def _without_own_votes(table: Table, of_others: Sequence[bool]) -> VoteColumns:
    """The target's votes without those of the annotators of the source and of the second source.

    *of_others* says of each of the two whether its annotators may be the target's.
    """
    votes = table.sides[1].votes
    for side, leave_out in zip((table.sides[0], *table.sides[2:]), of_others, strict=False):
        votes = votes.others(side.votes) if leave_out else votes
    return votes


def _targets_votes(table: Table, *, other_people: bool) -> VoteColumns:
    """The votes of the target; with *other_people*, without those of the annotator whose vote is the source's."""
    ours, theirs = (side.votes for side in table.sides[:2])
    single = np.unique(ours.item).size == ours.n
    return theirs.others(ours) if other_people and single else theirs


def _cut_pairs(
    cut: Cut, table: Table, votes: VoteColumns, options: AgreeOptions, *, among_themselves: bool, other_people: bool
) -> VotePairs:
    """The pairs that *cut* counts: of *votes* among themselves, or with those of the first source of *table*."""
    counted = cut.of(table, votes)
    source = table.sides[0].votes
    if options.weighting == "VOTES":
        counted, source = counted.anonymous(), source.anonymous()
    if among_themselves:
        return pairs_within(counted)
    return pairs_between(source.select(np.isin(source.item, counted.item)), counted, same_annotator=not other_people)


def _unit(unit: str, *, among_themselves: bool) -> str:
    if among_themselves:
        if unit not in ("UNSPECIFIED", "ANNOTATOR_PAIR"):
            raise InvalidInput("options.unit", f"without a target, use unit ANNOTATOR_PAIR, not {unit}")
        return "ANNOTATOR_PAIR"
    if unit == "ANNOTATOR_PAIR":
        raise InvalidInput(
            "options.unit",
            "unit ANNOTATOR_PAIR needs a single source: leave target empty, or choose another unit",
        )
    return "VOTE" if unit == "UNSPECIFIED" else unit


def _repeats(votes: SourceVotes, level: float) -> Estimate | None:
    """How often two repeats of a presentation have the same outcome, each presentation once; None without repeats."""
    same, prompts = [], []
    for by_key in votes.left_scores.values():
        for key, by_order in by_key.items():
            for left_scores in by_order.values():
                outcomes = [whole(left_score) for left_score in left_scores if left_score is not None]
                if len(outcomes) > 1:
                    same.append(np.mean([first is second for first, second in combinations(outcomes, 2)]))
                    prompts.append(key.prompt_id)
    if not same:
        return None
    return mean(np.array(same), encode_names(prompts)[1][0], level, (0.0, 1.0))


def _intra_annotator(table: Table, side: int, votes: SourceVotes, level: float) -> Estimate | None:
    return intra_annotator_agreement(table.sides[side].votes, level) if votes.has_people else None


def _consistency(votes: SourceVotes, level: float) -> tuple[OrderEffects | None, int]:
    complete = [o for o in votes.orders if o.left_first is not None and o.right_first is not None]
    incomplete = len(votes.orders) - len(complete)
    if not votes.orders:
        return None, 0
    consistency = order_consistency(
        np.array([o.left_first - 1 for o in complete if o.left_first], dtype=np.int8),
        np.array([o.right_first - 1 for o in complete if o.right_first], dtype=np.int8),
        encode_names([o.key.prompt_id for o in complete])[1][0],
        level=level,
    )
    return consistency, incomplete
