"""How far two sources agree on the same comparisons, or one source's annotators among themselves."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from judge.agreement.cuts import agreement_by_ties, list_cuts
from judge.agreement.diagnostics import diagnose
from judge.agreement.drift import drifted
from judge.agreement.options import AgreeOptions
from judge.agreement.report import Diagnostics, Figure, Report
from judge.columns.names import coded
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
    """The report of *source* against *target*, or among the source's own annotators without one.

    A *second* is held against the same votes of the target, beside the source.
    """
    unit = _unit(options.unit, among_themselves=target is None)
    told = [source, *(votes for votes in (target, second) if votes is not None)]
    table = Table.of(source.categories, *(votes.rows for votes in told))
    ours = table.sides[0].votes
    every = theirs = ours if target is None else table.sides[1].votes
    if unit == "PLURALITY":
        theirs = plurality(every)
    figures = []
    for cut in list_cuts(table, theirs, options):
        counted = cut.of(table, theirs)
        pairs = pairs_within(counted) if target is None else pairs_between(_on(counted, ours), counted)
        figures += [
            Figure(cut.part, ties, unit, figure, cut.annotator) for ties, figure in agreement_by_ties(pairs, options)
        ]
    mine, other = np.unique(ours.item), np.unique(theirs.item)
    both = np.intersect1d(mine, other).size
    consistency, incomplete = _consistency(source, options.level)
    found = Diagnostics()
    if target is None and np.unique(ours.annotator).size == 1:
        found = Diagnostics(notes=(f"{source.source} is one annotator, who has nobody to be compared with.",))
    if target is not None:
        found = diagnose(table, every, theirs, options)
        changed = drifted(target, source, options.level)
        if isinstance(changed, str):
            found = replace(found, notes=(*filter(None, (changed,)), *found.notes))
        else:
            found = replace(found, drift=changed)
    return Report(
        source,
        target or source,
        options,
        tuple(figures),
        mine.size - both,
        other.size - both,
        both,
        consistency,
        incomplete,
        _repeats(source, options.level),
        found,
    )


def _on(votes: VoteColumns, source: VoteColumns) -> VoteColumns:
    """What *source* says of the items of *votes*."""
    return source.select(np.isin(source.item, votes.item))


def _unit(said: str, *, among_themselves: bool) -> str:
    if among_themselves:
        if said not in ("UNSPECIFIED", "ANNOTATOR_PAIR"):
            raise InvalidInput("options.unit", "one source alone is compared by unit ANNOTATOR_PAIR")
        return "ANNOTATOR_PAIR"
    if said == "ANNOTATOR_PAIR":
        raise InvalidInput(
            "options.unit", "unit ANNOTATOR_PAIR compares one source's own annotators; leave target empty"
        )
    return "VOTE" if said == "UNSPECIFIED" else said


def _repeats(votes: SourceVotes, level: float) -> Estimate | None:
    """How often two repeats of the same showing have the same outcome; None where nothing was repeated."""
    same, prompts = [], []
    for told in votes.left_scores.values():
        for key, by_order in told.items():
            for shares in by_order.values():
                said = [whole(share) for share in shares if share is not None]
                for pair in combinations(said, 2):
                    same.append(float(pair[0] is pair[1]))
                    prompts.append(key.prompt_id)
    if not same:
        return None
    return mean(np.array(same), coded(prompts)[1][0], level, (0.0, 1.0))


def _consistency(votes: SourceVotes, level: float) -> tuple[OrderEffects | None, int]:
    whole = [o for o in votes.orders if o.left_first is not None and o.right_first is not None]
    incomplete = len(votes.orders) - len(whole)
    if not votes.orders:
        return None, 0
    found = order_consistency(
        np.array([o.left_first - 1 for o in whole if o.left_first], dtype=np.int8),
        np.array([o.right_first - 1 for o in whole if o.right_first], dtype=np.int8),
        coded([o.key.prompt_id for o in whole])[1][0],
        level=level,
    )
    return found, incomplete
