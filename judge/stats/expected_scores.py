"""Differences of ratings as expected scores against the reference, by the delta method.

A score has the same meaning whatever the model of ties is, while a difference of ratings has not: under a model with a
parameter for ties, ratings lie further apart. Without such a parameter, a margin for the score is a margin in points.
"""

from dataclasses import replace

import numpy as np

from judge.stats.bradley_terry import POINTS, BradleyTerryFit
from judge.stats.scorecard import WIDEST_LEAD, Block
from judge.stats.tie_rules import expected

_STEP = 1e-4
"""The step of the central difference, in log odds: its error is of the order of its square."""


def expected_scores(fit: BradleyTerryFit, differences: Block) -> Block:
    """The expected scores minus 0.5 of the cells of *differences*, which are in rating points of *fit*.

    The tie parameter is taken as known: near a score of 0.5, the score does not depend on it.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import block, bradley_terry
    >>> fit = bradley_terry(Battles.from_names(["a"] * 60, ["b"] * 60, ["left", "left", "right"] * 20))
    >>> scores = expected_scores(fit, block(fit, 1, [0]))
    >>> scores.difference.round(4).tolist(), scores.error.round(4).tolist()
    ([0.1667], [0.0614])
    """
    ahead = differences.difference / POINTS
    above, score, below = (expected(fit.model.rule, ahead + step, fit.model.tau) for step in (_STEP, 0.0, -_STEP))
    gain = (above - below) / (2 * _STEP * POINTS)
    return replace(
        differences,
        difference=score - 0.5,
        covariance=differences.covariance * np.outer(gain, gain),
        errors=replace(differences.errors, error=differences.errors.error * gain),
        limit=WIDEST_LEAD,
    )
