"""AlpacaEval's length-controlled win rate: the win rate if the outputs of both sides were equally long.

For a contestant against the baseline, on prompt i,

    logit P(the contestant is preferred) = theta + phi tanh(d_i / s) + psi g_i,

where d_i is the baseline's number of characters less the contestant's, s the standard deviation of d, and g_i the
difficulty of the prompt. The figure is the mean over prompts of the logistic of theta + psi g_i.

Y. Dubois, B. Galambosi, P. Liang, T. B. Hashimoto (2024), "Length-Controlled AlpacaEval", arXiv:2404.04475. Its code
chooses an L1 penalty by cross-validation, and adds preferences between outputs of the baseline that were made longer
and shorter, with a weight of 0.1 each. Both are left out here: an L2 penalty of 0.01 (C = 100) keeps coefficients
finite, so the figures differ from published ones by what these two do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints, places, present, sums

PENALTY = 0.01
"""Half of this times the squared coefficients is added to the negative log likelihood."""
_STEPS, _TOLERANCE = 100, 1e-10
_HALVINGS = 30


@dataclass(frozen=True)
class LengthControl:
    """A length-controlled win rate, its standard error (None with fewer than two clusters), and the coefficients.

    *coefficients* are theta, phi and, with difficulties, psi: float64[2 or 3].
    """

    win_rate: float
    standard_error: float | None
    coefficients: Floats


def length_terms(baseline: Floats, contestant: Floats) -> Floats:
    """tanh(d / s) of the numbers of characters of two sides, float64[n] each; zeros if all differences are equal.

    >>> length_terms(np.array([10.0, 30.0]), np.array([20.0, 20.0])).round(3).tolist()
    [-0.609, 0.609]
    """
    difference = baseline - contestant
    spread = float(difference.std(ddof=1)) if difference.size > 1 else 0.0
    return np.tanh(difference / spread) if spread > 0 else np.zeros(difference.size)


def length_control(
    score: Floats, length: Floats, difficulty: Floats | None, weight: Floats, cluster: Ints
) -> LengthControl:
    """Fit one contestant's preferences and return its length-controlled win rate.

    All are float64[n]: *score* from 0 to 1, *length* the terms of `length_terms`, *difficulty* None to leave it out,
    and *weight* positive. *cluster* is int32[n]; the standard error is over clusters.

    >>> length = np.tile([-0.5, 0.5], 50)
    >>> result = length_control(np.tile([0.9, 0.6], 50), length, None, np.ones(100), np.arange(100, dtype=np.int32))
    >>> round(result.win_rate, 3), result.coefficients.round(2).tolist()
    (0.786, [1.3, -1.79])
    """
    columns = [np.ones(score.size), length, *([] if difficulty is None else [difficulty])]
    design = np.column_stack(columns)
    coefficients = _logistic_fit(design, score, weight)
    level = design.copy()
    level[:, 1] = 0.0
    chance, even = _logistic(design @ coefficients), _logistic(level @ coefficients)
    total = float(weight.sum())
    value = float(weight @ even) / total
    slope = (weight * even * (1 - even)) @ level / total
    direction = np.linalg.solve(_information(design, chance, weight), slope)
    # How far each row moves the figure: by its own prompt, and by the coefficients.
    influence = weight * ((even - value) / total + (score - chance) * (design @ direction))
    groups = sums(places(cluster, present(cluster)), influence)
    n = groups.size
    error = float(np.sqrt(n / (n - 1) * (groups @ groups))) if n > 1 else None
    return LengthControl(win_rate=value, standard_error=error, coefficients=coefficients)


def fitted_difficulties(score: Floats, length: Floats, weight: Floats, contestant: Ints, prompt: Ints) -> Floats | None:
    """The difficulty of each row's prompt, from the preferences of all other contestants on it, float64[n].

    The arguments are those of `length_control`, over all contestants (codes, int32[n]) and prompts (int32[n]). A
    difficulty is what a prompt adds to the log odds of the others: one Newton step from 0 under a standard normal
    prior. None with a single contestant, whose preferences do not tell a difficulty.

    >>> columns = np.array([1.0, 0, 1, 0]), np.zeros(4), np.ones(4)
    >>> fitted_difficulties(*columns, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])).tolist()
    [0.4, -0.4, 0.4, -0.4]
    """
    codes = present(contestant)
    if codes.size < 2:  # noqa: PLR2004  # one contestant tells no difficulty
        return None
    chance = np.empty(score.size)
    for code in codes:
        rows = contestant == code
        design = np.column_stack((np.ones(int(rows.sum())), length[rows]))
        chance[rows] = _logistic(design @ _logistic_fit(design, score[rows], weight[rows]))
    gradient, curvature = weight * (score - chance), weight * chance * (1 - chance)
    own = np.unique(np.stack((contestant, prompt)), axis=1, return_inverse=True)[1].ravel()
    others = [sums(prompt, column)[prompt] - sums(own, column)[own] for column in (gradient, curvature)]
    return others[0] / (1 + others[1])


def _logistic(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -x))


def _information(design: Floats, chance: Floats, weight: Floats) -> Floats:
    information: Floats = (design.T * (weight * chance * (1 - chance))) @ design
    return information + PENALTY * np.eye(design.shape[1])


def _logistic_fit(design: Floats, score: Floats, weight: Floats) -> Floats:
    """The coefficients of a logistic regression of fractional scores, by Newton's method with halved steps."""
    coefficients = np.zeros(design.shape[1])

    def loss(at: Floats) -> float:
        linear = design @ at
        return float(weight @ (np.logaddexp(0, linear) - score * linear) + PENALTY / 2 * (at @ at))

    for _ in range(_STEPS):
        chance = _logistic(design @ coefficients)
        gradient = design.T @ (weight * (score - chance)) - PENALTY * coefficients
        step = np.linalg.solve(_information(design, chance, weight), gradient)
        if float(gradient @ step) < _TOLERANCE:
            return coefficients
        before = loss(coefficients)
        candidates = (coefficients + 0.5**halvings * step for halvings in range(_HALVINGS))
        better = next((each for each in candidates if loss(each) < before), None)
        if better is None:  # by less than can be computed
            return coefficients
        coefficients = better
    return coefficients
