"""Newton's method for the Bradley-Terry likelihood of sums of wins: for one fit, or for many at once.

The gradient is a row sum of A - A' with A = wins * (probability of the opposite outcome). In this form it is
antisymmetric to the last bit, rounding cancels between contestants, and convergence does not depend on the number of
battles.
"""

import math

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.errors import NotConverged

_FURTHEST = 700.0
_SHARES = tuple(0.5**halvings for halvings in range(30))
_NEAR = 0.1
_TOGETHER = 16
_STEPS = 12
_SETTLED = 4e-3
"""After a Newton step this small, the remaining error is about its square: negligible next to a standard error."""


def newton(wins: Floats, tolerance: float, max_iterations: int, start: Floats | None = None) -> tuple[Floats, int]:
    """Fit the log strengths, float64[m] summing to 0, to sums of wins. Returns them and the number of steps.

    *wins* is float64[m, m], with half of the ties. An entry may be negative if its sum with the mirrored entry is not.
    Iteration begins at *start*, and stops when the remaining error is less than *tolerance*. Raises NotConverged after
    *max_iterations* steps.

    >>> strengths, _ = newton(np.array([[0.0, 3.0], [1.0, 0.0]]), 1e-10, 100)
    >>> strengths.round(4).tolist()
    [0.5493, -0.5493]
    """
    wins = wins / wins.max()
    battles = wins + wins.T
    # In a dense table, the log odds of each contestant's score are three steps closer than zero.
    strengths: Floats = np.log(wins.sum(axis=1) / wins.sum(axis=0)) if start is None else start
    chances = _chances(strengths)
    gradient = _gradient(wins, chances)
    for iteration in range(1, max_iterations + 1):
        try:
            step = np.linalg.solve(_information(battles, chances), gradient)
        except np.linalg.LinAlgError:
            raise NotConverged(iteration, tolerance) from None
        before, uphill = strengths, float(gradient @ step)
        for share in _SHARES:
            strengths = np.clip(before + share * step, -_FURTHEST, _FURTHEST)
            chances = _chances(strengths)
            gradient = _gradient(wins, chances)
            if float(gradient @ step) >= -uphill / 2:
                break
        # The error after a Newton step is of the order of its square.
        if np.abs(step).max() <= _NEAR * math.sqrt(tolerance):
            return strengths - strengths.mean(), iteration
    raise NotConverged(max_iterations, tolerance)


def refit(wins: Floats, start: Floats) -> list[Floats]:
    """Fit the log strengths, float64[m] each, to k tables of wins that are close to the table of another fit.

    *wins* is float64[k, m, m], and *start* float64[m], the log strengths of that other fit. Several tables are fitted
    at once, which is faster than one by one. A table that does not settle is fitted alone. Raises NotConverged if that
    fails.

    >>> wins = np.array([[[0.0, 3.0], [1.0, 0.0]], [[0.0, 2.0], [2.0, 0.0]]])
    >>> [strengths.round(4).tolist() for strengths in refit(wins, np.zeros(2))]
    [[0.5493, -0.5493], [0.0, 0.0]]
    """
    chances = _chances(start)
    # All start at the same point, so the first step uses the information of the mean table for all of them.
    battles = wins.mean(axis=0) if len(wins) else np.zeros_like(chances)
    try:
        inverse = np.linalg.inv(_information(battles + battles.T, chances)) if len(wins) else battles
    except np.linalg.LinAlgError:
        inverse = np.zeros_like(chances)
    fits: list[Floats] = []
    for block in np.array_split(wins, range(_TOGETHER, len(wins), _TOGETHER)):
        surprise = block * chances.T
        gradient = (surprise - surprise.transpose(0, 2, 1)).sum(axis=2)
        fits.extend(_near(block, start + gradient @ inverse))
    return fits


def _near(wins: Floats, strengths: Floats) -> list[Floats]:
    battles = wins + wins.transpose(0, 2, 1)
    m = strengths.shape[1]
    moved = np.full(len(wins), np.inf)
    diagonal = np.arange(m)
    for _ in range(_STEPS):
        strength = np.exp(strengths)
        chances = strength[:, None, :] / (strength[:, :, None] + strength[:, None, :])
        surprise = wins * chances
        gradient = (surprise - surprise.transpose(0, 2, 1)).sum(axis=2)
        information = battles * chances * chances.transpose(0, 2, 1)
        trace = information.sum(axis=2)
        np.negative(information, out=information)
        information[:, diagonal, diagonal] += trace
        information += (trace.sum(axis=1) / m**2)[:, None, None]
        try:
            step = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            # One table without a solution stops them all, so each is fitted alone.
            return [newton(table, _SETTLED**2, 100)[0] for table in wins]
        moved = np.abs(step).max(axis=1)
        strengths = np.clip(strengths + step, -_FURTHEST, _FURTHEST)
        if not (moved > _SETTLED).any():
            break
    return [
        row - row.mean() if moved[i] <= _SETTLED else newton(wins[i], _SETTLED**2, 100)[0]
        for i, row in enumerate(strengths)
    ]


def information(wins: Floats, log_strengths: Floats) -> Floats:
    """The information matrix of *log_strengths* (float64[m]), invertible as from `make_invertible`: float64[m, m].

    *wins* is float64[m, m], wins of row over column with half of the ties.

    >>> information(np.array([[0.0, 3.0], [1.0, 0.0]]), np.zeros(2)).tolist()
    [[1.5, -0.5], [-0.5, 1.5]]
    """
    return _information(wins + wins.T, _chances(log_strengths))


def _chances(log_strengths: Floats) -> Floats:
    """The probability that row beats column, float64[m, m]."""
    strength: Floats = np.exp(log_strengths)
    chances: Floats = strength[:, None] / np.add.outer(strength, strength)
    return chances


def _gradient(wins: Floats, chances: Floats) -> Floats:
    surprise: Floats = wins * chances.T
    gradient: Floats = (surprise - surprise.T).sum(axis=1)
    return gradient


def _information(battles: Floats, chances: Floats) -> Floats:
    """The information matrix of the log strengths, invertible as from `make_invertible`: float64[m, m]."""
    information: Floats = battles * chances * chances.T
    np.negative(information, out=information)
    trace = -float(information.sum()) + float(information.trace())
    np.fill_diagonal(information, information.diagonal() - information.sum(axis=1))
    information += trace / len(battles) ** 2
    return information
