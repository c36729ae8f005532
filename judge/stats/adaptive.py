"""Choose the comparisons of the next round: a pure function of the closed rounds, a seed and counts.

Two rules choose the pairs from which a verdict would teach most, by a Bradley-Terry fit to the closed rounds:

- "least-settled", for the whole order: pairs in proportion to P(misordered) * p (1 - p). This is the probability under
  the fit that the two contestants are in the wrong order, times the information in one battle between them.
- "top", for the best k: a draw from the fit (W. R. Thompson (1933), Biometrika 25(3/4)) ranks all contestants, and the
  k-th meets the next one; a new draw for each comparison.

A share of each round, at least a fifth, is drawn uniformly from all comparisons that were not made yet. Its verdicts
do not depend on the choice and can be fitted alone. Each contestant gets one virtual battle, spread over all others and
half won, so that the planning fit exists from the first round on. Reported ratings never contain it.

Scores are rounded to 1e-9 and then counted in integers, so that the last bits of a processor's results do not change
the choice. Equal scores are ordered by their pairs.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats, sums
from judge.stats.errors import StatisticsError
from judge.stats.newton import information, newton
from judge.stats.pairing import PairColumns, Wide, all_pairs

LEAST_SETTLED, TOP = "least-settled", "top"
RULES = (LEAST_SETTLED, TOP)
LEAST_UNIFORM = 0.2

_TOLERANCE = 1e-8
_MOST_STEPS = 100
_SLIGHT = 1e-10
_BILLION = 10**9
"""Scores are whole billionths."""


@dataclass(frozen=True, eq=False)
class Round:
    """The comparisons of a round, and which of them were drawn uniformly, bool[n]."""

    pairs: PairColumns
    uniform: Flags


def next_round(
    present: Flags,
    made: Flags,
    wins: Floats,
    n: int,
    rng: np.random.Generator,
    rule: str = LEAST_SETTLED,
    k: int = 5,
    uniform: float = LEAST_UNIFORM,
) -> Round:
    """Choose the *n* comparisons of the next round, or as many as are left.

    *present* is bool[prompts, m]: which contestants have an output. *made* is bool[prompts, m, m]: the comparisons of
    the closed rounds (left below right). *wins* is float64[m, m], the wins of row over column in them, with half of the
    ties. *k* is for the rule "top". *uniform* is the share drawn uniformly. Raises StatisticsError for an unknown rule,
    a share below a fifth or above 1, or a *k* that is not from 1 to m - 1.

    >>> present, made = np.ones((9, 3), dtype=bool), np.zeros((9, 3, 3), dtype=bool)
    >>> chosen_round = next_round(present, made, np.zeros((3, 3)), 10, np.random.default_rng(0))
    >>> chosen_round.pairs.n, int(chosen_round.uniform.sum())
    (10, 2)
    """
    m = present.shape[1]
    if not LEAST_UNIFORM <= uniform <= 1:
        raise StatisticsError(f"The share drawn uniformly must be from {LEAST_UNIFORM} to 1, not {uniform}.")
    every = all_pairs(present)
    free = ~made[every.prompt, every.left, every.right]
    prompt, left, right = every.prompt[free], every.left[free], every.right[free]
    n = min(n, prompt.size)
    order = rng.permutation(prompt.size)
    n_uniform = int(np.ceil(uniform * n))
    drawn, rest = order[:n_uniform], order[n_uniform:]
    pair = left.astype(np.int64) * m + right
    quota = pair_quotas(wins, sums(pair[rest], None, m * m).astype(np.int64), n - n_uniform, rng, rule, k)
    chosen = np.concatenate((drawn, rest[_first_of_each_pair(pair[rest], quota)]))
    if chosen.size < n:
        # The chosen pairs have no comparisons left, so the rest is drawn uniformly.
        spare = np.setdiff1d(rest, chosen, assume_unique=True)
        drawn = np.concatenate((drawn, rng.permutation(spare)[: n - chosen.size]))
        chosen = np.concatenate((drawn, chosen[n_uniform:]))
    sort = np.lexsort((right[chosen], left[chosen], prompt[chosen]))
    is_uniform = np.arange(chosen.size) < drawn.size
    return Round(PairColumns(prompt[chosen][sort], left[chosen][sort], right[chosen][sort]), is_uniform[sort])


def pair_quotas(
    wins: Floats, available: Wide, n: int, rng: np.random.Generator, rule: str = LEAST_SETTLED, k: int = 5
) -> Wide:
    """Distribute *n* comparisons over the pairs: int64[m * m], at row * m + column with row below column.

    *wins* is float64[m, m], the wins of row over column in the closed rounds, with half of the ties. *available* is
    int64[m * m], the comparisons that each pair has left. When the first choice runs out, "least-settled" goes on with
    the next pairs, and "top" gives fewer than *n*. Raises StatisticsError for an unknown rule, or a *k* that is not
    from 1 to m - 1.

    >>> available = np.array([0, 9, 9, 0, 0, 9, 0, 0, 0])
    >>> wins = np.array([[0.0, 9.0, 9.0], [1.0, 0.0, 5.0], [1.0, 5.0, 0.0]])
    >>> pair_quotas(wins, available, 6, np.random.default_rng(0)).reshape(3, 3).tolist()
    [[0, 0, 0], [0, 0, 6], [0, 0, 0]]
    """
    m = len(wins)
    if rule not in RULES:
        raise StatisticsError(f"Unknown rule {rule!r}: choose one of {', '.join(RULES)}.")
    if rule == TOP and not 1 <= k < m:
        raise StatisticsError(f"k must be from 1 to {m - 1} to separate the best k of {m} contestants, not {k}.")
    strengths, covariance = planning_fit(wins)
    if rule == TOP:
        return np.minimum(_top_quotas(strengths, covariance, n, k, rng), available)
    return _least_settled_quotas(strengths, covariance, available, n, rng)


def planning_fit(wins: Floats) -> tuple[Floats, Floats]:
    """The log strengths that rounds are planned by, float64[m], and their covariance, float64[m, m].

    Each contestant has one virtual battle. *wins* is float64[m, m].

    >>> [round(float(strength), 3) for strength in planning_fit(np.array([[0.0, 3.0], [1.0, 0.0]]))[0]]
    [0.424, -0.424]
    """
    m = len(wins)
    virtual = np.full((m, m), 0.5 / max(m - 1, 1))
    np.fill_diagonal(virtual, 0)
    battles = wins + virtual
    strengths, _ = newton(battles, _TOLERANCE, _MOST_STEPS)
    covariance = np.linalg.inv(information(battles, strengths))
    return strengths, covariance.astype(np.float64, copy=False)


def _least_settled_quotas(
    strengths: Floats, covariance: Floats, available: Wide, n: int, rng: np.random.Generator
) -> Wide:
    """Quotas in proportion to P(misordered) * p (1 - p)."""
    from scipy.special import ndtr  # noqa: PLC0415 - a slow import, needed only here

    difference = np.subtract.outer(strengths, strengths)
    variance = np.add.outer(covariance.diagonal(), covariance.diagonal()) - 2 * covariance
    np.fill_diagonal(variance, 1)
    p = 1 / (1 + np.exp(-difference))
    settles = ndtr(-np.abs(difference) / np.sqrt(variance)) * p * (1 - p)
    score = np.rint(settles * _BILLION).astype(np.int64).ravel()
    quotas = np.zeros(score.size, dtype=np.int64)
    n = min(n, int(available.sum()))
    while left := n - int(quotas.sum()):
        share = np.where(quotas < available, score, 0)
        if not share.any():
            # All pairs that are left score zero, so they share the rest evenly.
            share = (quotas < available).astype(np.int64)
        whole = int(share.sum())
        more, rest = np.divmod(left * share, whole)
        if odd := left - int(more.sum()):
            more += np.bincount(rng.choice(score.size, odd, p=rest / (odd * whole)), minlength=score.size)
        quotas = np.minimum(quotas + more, available)
    return quotas


def _top_quotas(strengths: Floats, covariance: Floats, n: int, k: int, rng: np.random.Generator) -> Wide:
    """The k-th and the next contestant of *n* draws from the fit, counted by pair."""
    m = strengths.size
    root = np.linalg.cholesky(covariance + _SLIGHT * float(covariance.trace()) / m * np.eye(m))
    drawn = np.rint((strengths + rng.standard_normal((n, m)) @ root.T) * _BILLION)
    ranked = np.argsort(-drawn, axis=1, kind="stable")
    ends = np.sort(ranked[:, k - 1 : k + 1], axis=1)
    quotas: Wide = np.bincount(ends[:, 0] * m + ends[:, 1], minlength=m * m)
    return quotas


def _first_of_each_pair(pair: Wide, quota: Wide) -> Flags:
    """Mark the first *quota*[p] comparisons of each pair p. *pair* is int64[n], the pair of each comparison."""
    order = np.argsort(pair, kind="stable")
    grouped = pair[order]
    place = np.arange(pair.size) - np.searchsorted(grouped, grouped)
    first = np.zeros(pair.size, dtype=bool)
    first[order] = place < quota[grouped]
    return first
