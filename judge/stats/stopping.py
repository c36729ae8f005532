"""When verdicts say enough: the precision asked for, or everybody told apart who is to be.

Whoever looks after each round and stops on what he sees takes the level of each look from `looks`. Pairs need no
further adjustment: all of them must be told apart, so that one pair of equals alone keeps the rule from stopping, with
the level of its own intervals.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import rounded
from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, BradleyTerryFit, bradley_terry
from judge.stats.cluster_intervals import t_quantile
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.simultaneous import difference_errors

_PLACES = 6


@dataclass(frozen=True)
class Goal:
    """What is to be reached: all that is asked for of the two, or never without either.

    *precision* is rating points to either side of every rating. *separated* is everybody told from everybody, or the
    best *top* from all others where it is not 0.
    """

    precision: float = 0.0
    separated: bool = False
    top: int = 0


def reached(battles: Battles, goal: Goal, level: float) -> bool:
    """Whether intervals of *level* over prompts say that *goal* is reached. Never while somebody can't be ranked.

    >>> even = Battles.from_names(["a"] * 400, ["b"] * 400, ["left", "right"] * 200)
    >>> reached(even, Goal(precision=20), 0.95), reached(even, Goal(precision=15), 0.95)
    (True, False)
    >>> reached(even, Goal(separated=True), 0.95)
    False
    """
    if not goal.precision and not goal.separated:
        return False
    try:
        fit = bradley_terry(battles)
    except (Disconnected, NotConverged):
        return False
    if fit.covariance.matrix is None or fit.covariance.open_above is not None:
        return False
    return (not goal.precision or _narrow(fit, goal.precision, level)) and (
        not goal.separated or _apart(fit, goal.top, level)
    )


def _narrow(fit: BradleyTerryFit, precision: float, level: float) -> bool:
    found = fit.interval(level)
    return bool((rounded((found.high - found.low) / 2, _PLACES) <= precision).all())


def _apart(fit: BradleyTerryFit, top: int, level: float) -> bool:
    found = fit.covariance
    assert found.matrix is not None  # noqa: S101  # the caller has looked
    half = t_quantile(level, found.freedom + 1) * difference_errors(found.matrix)
    told = rounded(POINTS * (np.abs(np.subtract.outer(fit.log_strengths, fit.log_strengths)) - half), _PLACES) > 0
    if top:
        order = np.argsort(-fit.ratings, kind="stable")
        return bool(told[np.ix_(order[:top], order[top:])].all())
    np.fill_diagonal(told, val=True)
    return bool(told.all())
