"""How far two sources agree on the same comparisons, or one source's annotators among themselves."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Literal

import numpy as np

from judge.domain.errors import InvalidInput
from judge.domain.source import Merge
from judge.runs.agreed import TIES, AgreeOptions, Beside, Codes, Cut, Figure, Report, cuts_of, ints
from judge.runs.beside import beside
from judge.runs.sources import merged
from judge.runs.votes import Votes, whole
from judge.stats.agreement import AgreementFigure, agreement
from judge.stats.clustered import Estimate, mean
from judge.stats.names import coded
from judge.stats.order_effects import OrderEffects, order_consistency
from judge.stats.votes import pairs_between, pairs_within


def measure(source: Votes, target: Votes | None, options: AgreeOptions, rival: Votes | None = None) -> Report:
    """The report of *source* against *target*, or among the source's own annotators without one.

    A *rival* is held against the same votes of the target, beside the source.
    """
    unit = _unit(options.unit, among_themselves=target is None)
    other = source if target is None else target
    if unit == "PLURALITY":
        other = replace(other, rows=tuple(merged(other.rows, Merge.PLURALITY)))
    figures = [
        Figure(cut.part, ties, unit, _figure(source, other, options, ties, cut, target is None), cut.annotator)
        for cut in cuts_of(other, options)
        for ties in TIES[options.ties]
    ]
    mine, theirs = {v.where for v in source.rows}, {v.where for v in other.rows}
    consistency, incomplete = _consistency(source, options.level)
    return Report(
        source,
        other,
        options,
        tuple(figures),
        len(mine - theirs),
        len(theirs - mine),
        len(mine & theirs),
        consistency,
        incomplete,
        _repeats(source, options.level),
        Beside() if target is None else beside(source, target, other, options, rival),
    )


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


def _figure(
    source: Votes,
    target: Votes,
    options: AgreeOptions,
    ties: Literal["KEEP", "DROP"],
    cut: Cut,
    among_themselves: bool,
) -> AgreementFigure:
    codes = Codes()
    theirs = codes.votes([vote for vote in target.rows if cut.takes(vote, target)])
    if among_themselves:
        pairs = pairs_within(theirs)
    else:
        wanted = {vote.where for vote in target.rows if cut.takes(vote, target)}
        pairs = pairs_between(codes.votes([vote for vote in source.rows if vote.where in wanted]), theirs)
    return agreement(pairs, ties=ties, orientation=options.orientation, level=options.level, doubt=options.doubt)


def _repeats(votes: Votes, level: float) -> Estimate | None:
    """How often two repeats of the same showing have the same outcome; None where nothing was repeated."""
    same, prompts = [], []
    for told in votes.shares.values():
        for where, by_order in told.items():
            for shares in by_order.values():
                said = [whole(share) for share in shares if share is not None]
                for pair in combinations(said, 2):
                    same.append(float(pair[0] is pair[1]))
                    prompts.append(where.prompt_id)
    if not same:
        return None
    return mean(np.array(same), coded(prompts)[1][0], level, (0.0, 1.0))


def _consistency(votes: Votes, level: float) -> tuple[OrderEffects | None, int]:
    whole = [o for o in votes.orders if o.left_first is not None and o.right_first is not None]
    incomplete = len(votes.orders) - len(whole)
    if not votes.orders:
        return None, 0
    prompts: dict[str, int] = {}
    found = order_consistency(
        np.array([o.left_first - 1 for o in whole if o.left_first], dtype=np.int8),
        np.array([o.right_first - 1 for o in whole if o.right_first], dtype=np.int8),
        ints([prompts.setdefault(o.where.prompt_id, len(prompts)) for o in whole]),
        level=level,
    )
    return found, incomplete
