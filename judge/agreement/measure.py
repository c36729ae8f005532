"""How far two sources agree on the same comparisons, or one source's annotators among themselves."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from judge.agreement.cuts import agreement_by_ties, list_cuts
from judge.agreement.diagnostics import diagnose
from judge.agreement.drift import measure_drift
from judge.agreement.options import AgreeOptions
from judge.agreement.report import Diagnostics, Figure, Report
from judge.columns.names import encode_names
from judge.domain.errors import InvalidInput
from judge.domain.outcome import whole
from judge.stats.cluster_intervals import Estimate, mean
from judge.stats.order_effects import OrderEffects, order_consistency
from judge.stats.votes import VoteColumns, pairs_between, pairs_within, plurality
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
    every = theirs = ours if target is None else table.sides[1].votes
    if unit == "PLURALITY":
        theirs = plurality(every)
    figures = []
    for cut in list_cuts(table, theirs, options):
        counted = cut.of(table, theirs)
        pairs = pairs_within(counted) if target is None else pairs_between(_on(counted, ours), counted)
        figures += [
            Figure(part=cut.part, ties=ties, unit=unit, figure=figure, annotator=cut.annotator)
            for ties, figure in agreement_by_ties(pairs, options)
        ]
    mine, other = np.unique(ours.item), np.unique(theirs.item)
    both = np.intersect1d(mine, other).size
    consistency, incomplete = _consistency(source, options.level)
    diagnostics = Diagnostics()
    if target is None and np.unique(ours.annotator).size == 1:
        diagnostics = Diagnostics(notes=(f"{source.source} has one annotator, so there is nobody to compare with.",))
    if target is not None:
        diagnostics = diagnose(table, every, theirs, options)
        drift = measure_drift(target, source, options.level)
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
        diagnostics=diagnostics,
    )


def _on(votes: VoteColumns, source: VoteColumns) -> VoteColumns:
    """The votes of *source* on the items of *votes*."""
    return source.select(np.isin(source.item, votes.item))


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
    """How often two repeats of the same presentation have the same outcome; None if nothing was repeated."""
    same, prompts = [], []
    for by_key in votes.left_scores.values():
        for key, by_order in by_key.items():
            for left_scores in by_order.values():
                outcomes = [whole(left_score) for left_score in left_scores if left_score is not None]
                for first, second in combinations(outcomes, 2):
                    same.append(float(first is second))
                    prompts.append(key.prompt_id)
    if not same:
        return None
    return mean(np.array(same), encode_names(prompts)[1][0], level, (0.0, 1.0))


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
