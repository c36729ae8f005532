"""Tie rules: the probabilities of a win, a loss and a tie as functions of the advantage of the left side.

*eta* is the log strength of the left side minus that of the right one, plus the effects (position and covariates).

- HALF_WIN: a tie is half a win for each (R. A. Bradley, M. E. Terry (1952), Biometrika 39(3/4)).
- DAVIDSON: left e^(eta/2), right e^(-eta/2), tie e^tau, each over their sum (R. R. Davidson (1970), Journal of the
  American Statistical Association 65(329)). With a position effect in eta it is the model of R. R. Davidson, R. J.
  Beaver (1977), Biometrics 33(4).
- RAO_KUPPER: left s(eta - tau), right s(-eta - tau), tie the rest, with s the logistic function and tau > 0 (P. V.
  Rao, L. L. Kupper (1967), Journal of the American Statistical Association 62(317)).

Each log likelihood is concave in (eta, tau).
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Codes, Floats
from judge.stats.battles import LEFT, RIGHT, TIE

HALF_WIN = "half-win"
DAVIDSON = "davidson"
RAO_KUPPER = "rao-kupper"
RULES = (HALF_WIN, DAVIDSON, RAO_KUPPER)
"""The names of the rules."""


@dataclass(frozen=True, eq=False)
class Terms:
    """The derivatives of each battle's log likelihood, float64[k] each: first ones, and negated second ones."""

    eta: Floats
    tau: Floats
    eta_eta: Floats
    eta_tau: Floats
    tau_tau: Floats


def expected(rule: str, eta: Floats, tau: float) -> Floats:
    """The expected score of the left side, where a tie counts half, in the shape of *eta*.

    >>> expected(RAO_KUPPER, np.array([0.0, 1.0]), 0.5).round(4).tolist()
    [0.5, 0.72]
    """
    if rule == HALF_WIN:
        return _logistic(eta)
    if rule == DAVIDSON:
        left, right, _ = _davidson(eta, tau)
        return (1 + left - right) / 2
    return (1 + _logistic(eta - tau) - _logistic(-eta - tau)) / 2


def terms(rule: str, outcome: Codes, eta: Floats, tau: float) -> Terms:
    """The derivatives for battles with *outcome* (int8[k]), with respect to *eta* (float64[k]) and *tau*.

    >>> derivatives = terms(HALF_WIN, np.array([LEFT, TIE], dtype=np.int8), np.zeros(2), 0.0)
    >>> derivatives.eta.tolist()
    [0.5, 0.0]
    """
    if rule == HALF_WIN:
        return _half_win_terms(outcome, eta)
    if rule == DAVIDSON:
        return _davidson_terms(outcome, eta, tau)
    return _rao_kupper_terms(outcome, eta, tau)


def _half_win_terms(outcome: Codes, eta: Floats) -> Terms:
    chance, none = _logistic(eta), np.zeros(eta.size)
    return Terms(
        eta=np.where(outcome == TIE, 0.5, outcome == LEFT) - chance,
        tau=none,
        eta_eta=chance * (1 - chance),
        eta_tau=none,
        tau_tau=none,
    )


def _davidson_terms(outcome: Codes, eta: Floats, tau: float) -> Terms:
    tie = outcome == TIE
    left, right, tied = _davidson(eta, tau)
    ahead = left - right
    won = np.where(tie, 0.0, np.where(outcome == LEFT, 1.0, -1.0))
    return Terms(
        eta=(won - ahead) / 2,
        tau=tie - tied,
        eta_eta=(left + right - ahead**2) / 4,
        eta_tau=-tied * ahead / 2,
        tau_tau=tied * (1 - tied),
    )


def _rao_kupper_terms(outcome: Codes, eta: Floats, tau: float) -> Terms:
    tie = outcome == TIE
    above, below = _logistic(eta - tau), _logistic(-eta - tau)
    not_right, not_left = outcome != RIGHT, outcome != LEFT
    miss_left, miss_right = not_right * (1 - above), not_left * (1 - below)
    spread_left, spread_right = miss_left * above, miss_right * below
    margin = -np.expm1(-2 * tau)
    return Terms(
        eta=miss_left - miss_right,
        tau=tie * (2 / margin) - miss_left - miss_right,
        eta_eta=spread_left + spread_right,
        eta_tau=spread_right - spread_left,
        tau_tau=spread_left + spread_right + tie * (4 * np.exp(-2 * tau) / margin**2),
    )


def _logistic(eta: Floats) -> Floats:
    # tanh does not overflow, and keeps the precision of small values.
    half: Floats = 0.5 + 0.5 * np.tanh(0.5 * eta)
    return half


def _davidson(eta: Floats, tau: float) -> tuple[Floats, Floats, Floats]:
    most = np.maximum(np.abs(eta) / 2, tau)
    left, right, tied = np.exp(eta / 2 - most), np.exp(-eta / 2 - most), np.exp(tau - most)
    whole = left + right + tied
    return left / whole, right / whole, tied / whole
