"""Stopping rules: stop when intervals are precise enough, or when all required pairs are significantly different.

A rule that looks after each round takes the level of each look from `alpha_spending`. Pairs need no further adjustment,
because all of them must be significantly different: a single pair of equal contestants prevents stopping, at the level
of its own interval.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import round_to
from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, BradleyTerryFit, bradley_terry
from judge.stats.errors import Disconnected, NoMaximum, NotConverged

_PLACES = 6


@dataclass(frozen=True)
class Goal:
    """The conditions for stopping. If both are set, both must hold; if none is set, the goal is never reached.

    *precision* is the largest half-width of the intervals of all ratings, in rating points; 0 for no condition.
    *separated* requires that all pairs are significantly different, or, if *top* is not 0, each of the best *top* from
    each of the others.
    """

    precision: float = 0.0
    separated: bool = False
    top: int = 0


def is_reached(battles: Battles, goal: Goal, level: float) -> bool:
    """Whether intervals of *level* over prompts reach the *goal*. False while some contestant cannot be ranked.

    >>> even = Battles.from_names(["a"] * 400, ["b"] * 400, ["left", "right"] * 200)
    >>> is_reached(even, Goal(precision=20), 0.95), is_reached(even, Goal(precision=15), 0.95)
    (True, False)
    >>> is_reached(even, Goal(separated=True), 0.95)
    False
    """
    if not goal.precision and not goal.separated:
        return False
    try:
        fit = bradley_terry(battles)
    except (Disconnected, NoMaximum, NotConverged):
        return False
    if fit.covariance.effects is None or fit.covariance.open_above is not None:
        return False
    return (not goal.precision or _is_precise(fit, goal.precision, level)) and (
        not goal.separated or _is_separated(fit, goal.top, level)
    )


def _is_precise(fit: BradleyTerryFit, precision: float, level: float) -> bool:
    intervals = fit.interval(level)
    return bool((round_to((intervals.high - intervals.low) / 2, _PLACES) <= precision).all())


def _is_separated(fit: BradleyTerryFit, top: int, level: float) -> bool:
    half = fit.covariance.pairs.half_width(level)
    separated = round_to(POINTS * (np.abs(np.subtract.outer(fit.log_strengths, fit.log_strengths)) - half), _PLACES) > 0
    if top:
        order = np.argsort(-fit.ratings, kind="stable")
        return bool(separated[np.ix_(order[:top], order[top:])].all())
    np.fill_diagonal(separated, val=True)
    return bool(separated.all())
