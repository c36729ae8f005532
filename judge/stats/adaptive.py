"""Which comparisons to make next: a pure function of the closed rounds, a seed and counts.

Two rules choose where a verdict would settle most, by a Bradley-Terry fit to what the closed rounds say:

- "least-settled", for the whole order: pairs in proportion to P(misordered) * p (1 - p), the chance under the fit that
  two contestants stand the other way round, times the information in one battle between them.
- "top", for who the best k are: a draw from the fit (W. R. Thompson (1933), Biometrika 25(3/4)) ranks everybody, and
  the k-th meets the next; a new draw for each comparison.

A share of each round, at least a fifth, is drawn uniformly from all comparisons not made yet: what it says is free of
the choice, and can be fitted alone. One virtual battle of everybody, spread over all others, half won, makes the
planning fit exist from the first round on; ratings that are reported never contain it.

What is compared or divided is rounded to 1e-9 first, and from there on counted in integers: a processor's last bits do
not reach the choice (law 5). Equals stand in the order of their pairs.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats, sums
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
    """The *n* comparisons of the next round, or as many as are left.

    *present* is bool[prompts, m], who has an output; *made* is bool[prompts, m, m], which comparisons the closed rounds
    hold (left below right); *wins* is float64[m, m], what they said, ties as halves. *k* is for the rule "top", and
    *uniform* the share drawn uniformly. Raises ValueError for an unknown rule, a share below a fifth or above 1, or a
    *k* that leaves nobody out.

    >>> present, made = np.ones((9, 3), dtype=bool), np.zeros((9, 3, 3), dtype=bool)
    >>> found = next_round(present, made, np.zeros((3, 3)), 10, np.random.default_rng(0))
    >>> found.pairs.n, int(found.uniform.sum())
    (10, 2)
    """
    m = present.shape[1]
    if not LEAST_UNIFORM <= uniform <= 1:
        raise ValueError(f"The share drawn uniformly is from {LEAST_UNIFORM} to 1, and not {uniform}.")
    every = all_pairs(present)
    free = ~made[every.prompt, every.left, every.right]
    prompt, left, right = every.prompt[free], every.left[free], every.right[free]
    n = min(n, prompt.size)
    order = rng.permutation(prompt.size)
    n_uniform = int(np.ceil(uniform * n))
    drawn, rest = order[:n_uniform], order[n_uniform:]
    pair = left.astype(np.int64) * m + right
    many = wanted(wins, sums(pair[rest], None, m * m).astype(np.int64), n - n_uniform, rng, rule, k)
    chosen = np.concatenate((drawn, rest[_taken(pair[rest], many)]))
    if chosen.size < n:
        # Pairs that are wanted have run out: the rest falls by lot.
        spare = np.setdiff1d(rest, chosen, assume_unique=True)
        drawn = np.concatenate((drawn, rng.permutation(spare)[: n - chosen.size]))
        chosen = np.concatenate((drawn, chosen[n_uniform:]))
    sort = np.lexsort((right[chosen], left[chosen], prompt[chosen]))
    is_uniform = np.arange(chosen.size) < drawn.size
    return Round(PairColumns(prompt[chosen][sort], left[chosen][sort], right[chosen][sort]), is_uniform[sort])


def wanted(wins: Floats, there: Wide, n: int, rng: np.random.Generator, rule: str = LEAST_SETTLED, k: int = 5) -> Wide:
    """How many of *n* comparisons each pair should have, int64[m * m], at row * m + column with row below column.

    *wins* is float64[m, m], what the closed rounds said; *there* is int64[m * m], how many comparisons each pair can
    have. Where those that are wanted most run out, the next have theirs; with the rule "top", fewer come out. Raises
    ValueError for an unknown rule, or a *k* that leaves nobody out.

    >>> many = np.array([0, 9, 9, 0, 0, 9, 0, 0, 0])
    >>> wins = np.array([[0.0, 9.0, 9.0], [1.0, 0.0, 5.0], [1.0, 5.0, 0.0]])
    >>> wanted(wins, many, 6, np.random.default_rng(0)).reshape(3, 3).tolist()
    [[0, 0, 0], [0, 0, 6], [0, 0, 0]]
    """
    m = len(wins)
    if rule not in RULES:
        raise ValueError(f"The rule {rule!r} is none of {', '.join(RULES)}.")
    if rule == TOP and not 1 <= k < m:
        raise ValueError(f"The best {k} of {m} leave nobody out, or nobody in.")
    strengths, covariance = planning_fit(wins)
    if rule == TOP:
        return np.minimum(_top(strengths, covariance, n, k, rng), there)
    return _least_settled(strengths, covariance, there, n, rng)


def planning_fit(wins: Floats) -> tuple[Floats, Floats]:
    """The log strengths that rounds are planned by, float64[m], and their covariance: with one virtual battle each.

    >>> [round(float(one), 3) for one in planning_fit(np.array([[0.0, 3.0], [1.0, 0.0]]))[0]]
    [0.424, -0.424]
    """
    m = len(wins)
    virtual = np.full((m, m), 0.5 / max(m - 1, 1))
    np.fill_diagonal(virtual, 0)
    told = wins + virtual
    strengths, _ = newton(told, _TOLERANCE, _MOST_STEPS)
    covariance = np.linalg.inv(information(told, strengths))
    return strengths, covariance.astype(np.float64, copy=False)


def _least_settled(strengths: Floats, covariance: Floats, there: Wide, n: int, rng: np.random.Generator) -> Wide:
    """In proportion to what a battle would settle."""
    from scipy.special import ndtr  # noqa: PLC0415 - a slow import, needed only here

    difference = np.subtract.outer(strengths, strengths)
    variance = np.add.outer(covariance.diagonal(), covariance.diagonal()) - 2 * covariance
    np.fill_diagonal(variance, 1)
    p = 1 / (1 + np.exp(-difference))
    settles = ndtr(-np.abs(difference) / np.sqrt(variance)) * p * (1 - p)
    worth = np.rint(settles * _BILLION).astype(np.int64).ravel()
    many = np.zeros(worth.size, dtype=np.int64)
    n = min(n, int(there.sum()))
    while left := n - int(many.sum()):
        share = np.where(many < there, worth, 0)
        if not share.any():
            # Whatever is left is settled: it is shared out evenly.
            share = (many < there).astype(np.int64)
        whole = int(share.sum())
        more, rest = np.divmod(left * share, whole)
        if odd := left - int(more.sum()):
            more += np.bincount(rng.choice(worth.size, odd, p=rest / (odd * whole)), minlength=worth.size)
        many = np.minimum(many + more, there)
    return many


def _top(strengths: Floats, covariance: Floats, n: int, k: int, rng: np.random.Generator) -> Wide:
    """The k-th and the next of as many draws from the fit."""
    m = strengths.size
    root = np.linalg.cholesky(covariance + _SLIGHT * float(covariance.trace()) / m * np.eye(m))
    drawn = np.rint((strengths + rng.standard_normal((n, m)) @ root.T) * _BILLION)
    ranked = np.argsort(-drawn, axis=1, kind="stable")
    ends = np.sort(ranked[:, k - 1 : k + 1], axis=1)
    many: Wide = np.bincount(ends[:, 0] * m + ends[:, 1], minlength=m * m)
    return many


def _taken(pair: Wide, many: Wide) -> Flags:
    """Of comparisons with these codes of pairs, the first so *many* of each pair."""
    order = np.argsort(pair, kind="stable")
    grouped = pair[order]
    place = np.arange(pair.size) - np.searchsorted(grouped, grouped)
    taken = np.zeros(pair.size, dtype=bool)
    taken[order] = place < many[grouped]
    return taken
