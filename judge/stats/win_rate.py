"""Win rates: the share of its battles that a contestant wins, where a tie counts half.

The share is a ratio of two sums over prompts, with the interval of a ratio estimator (see `cluster_intervals`). Where
prompts with many battles are harder or easier, no interval repairs it, so the mean of the prompts' own rates is beside.

AlpacaEval publishes the mean of such scores with its standard error, sd / sqrt(n), and the discrete win rate, for which
a score counts as a win, a tie or a loss (Y. Dubois and others (2024), arXiv:2404.04475; Li and others (2023), the code
of AlpacaEval, metrics/helpers.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.battles import LEFT, TIE, Battles
from judge.stats.cluster_intervals import Estimate, mean_by_cluster, ratio, t_quantile
from judge.stats.errors import StatisticsError
from judge.stats.scorecard import WIDEST_LEAD, Block


@dataclass(frozen=True, eq=False)
class WinRates:
    """The win rate of each contestant of *battles*, with its interval, in the order of the contestants' codes.

    With a *reference* (a code), only battles against it count, and its own rate has no value. A contestant without
    counted battles has no value either. *by_prompt* has the mean win rates of the prompts, each of which counts once.
    *votes* is the vote of each battle, int32[n]: a fractional score is one vote that makes two battles. None if each
    battle is a vote. *counts* has the wins, losses and ties of each contestant: votes with a score above, below and
    exactly at 0.5, without their weights. *standard_errors* are those of CR2, None where they cannot be estimated; with
    one vote in each cluster, they are sd / sqrt(n), which the intervals limit to what shares can vary.
    """

    battles: Battles
    reference: int | None
    level: float
    rates: tuple[Estimate, ...]
    by_prompt: tuple[Estimate, ...]
    counts: tuple[tuple[int, int, int], ...] = ()
    standard_errors: tuple[float | None, ...] = ()
    votes: Ints | None = None


def win_rates(
    battles: Battles, reference: int | None = None, level: float = 0.95, votes: Ints | None = None
) -> WinRates:
    """Compute the win rate of every contestant, against the *reference* (a code) or over all its battles.

    *votes* says which battles are of one vote, int32[n]. Raises StatisticsError for a level outside 0 to 1 or an
    unknown reference.

    >>> result = win_rates(Battles.from_names(["a"] * 20, ["b"] * 20, ["left", "tie"] * 10), 1)
    >>> result.rates[0].value, result.rates[0].method
    (0.75, 'cr2-wilson')
    """
    m = len(battles.contestants)
    if reference is not None and not 0 <= reference < m:
        raise StatisticsError(f"There is no contestant with the code {reference} to compare with.")
    contestant, score, weight, cluster = _sides(battles, reference, votes)
    order = np.argsort(contestant, kind="stable")
    ends = np.searchsorted(contestant, np.arange(m + 1), sorter=order)
    rates, by_prompt, counts, errors = [], [], [], []
    for i in range(m):
        rows = order[ends[i] : ends[i + 1]]
        prompts = None if cluster is None else cluster[rows]
        columns = score[rows] * weight[rows], weight[rows], prompts, level
        rates.append(ratio(*columns, (0.0, 1.0)))
        by_prompt.append(mean_by_cluster(*columns, (0.0, 1.0)))
        errors.append(ratio(*columns).standard_error)
        counts.append(_counts(score[rows]))
    return WinRates(
        battles=battles,
        reference=reference,
        level=level,
        rates=tuple(rates),
        by_prompt=tuple(by_prompt),
        counts=tuple(counts),
        standard_errors=tuple(errors),
        votes=votes,
    )


def _counts(score: Floats) -> tuple[int, int, int]:
    """How many of the scores are wins, losses and ties."""
    return int((score > 0.5).sum()), int((score < 0.5).sum()), int((score == 0.5).sum())  # noqa: PLR2004  # a tie


def advantages(rates: WinRates, others: Sequence[int]) -> Block:
    """The win rates of *others* (codes) against the reference, minus 0.5.

    Each standard error is that of the rate's interval, on its wider side, with one degree of freedom less
    than that contestant has prompts. The correlations come from the prompts that the contestants share. Raises
    StatisticsError for rates without a reference or without an interval.

    >>> battles = Battles.from_names(["a"] * 20, ["b"] * 20, ["left", "tie"] * 10, cluster=np.arange(20))
    >>> cells = advantages(win_rates(battles, 1), [0])
    >>> cells.difference.tolist(), cells.error.round(2).tolist(), cells.freedom.round(3).tolist()
    ([0.25], [0.06], [19.0])
    """
    if rates.reference is None:
        raise StatisticsError("Advantages need win rates against a reference.")
    values, errors, freedoms = [], [], []
    for i in others:
        rate = rates.rates[i]
        if rate.value is None or rate.low is None or rate.high is None:
            raise StatisticsError(f"The win rate of {rates.battles.contestants[i]} has no interval.")
        values.append(rate.value - 0.5)
        errors.append(max(rate.value - rate.low, rate.high - rate.value) / t_quantile(rates.level, rate.clusters))
        freedoms.append(rate.clusters - 1)
    return Block.of_t(
        difference=np.array(values),
        covariance=_correlations(rates, others) * np.outer(errors, errors),
        freedom=np.array(freedoms, dtype=np.float64),
        limit=WIDEST_LEAD,
    )


def _correlations(rates: WinRates, others: Sequence[int]) -> Floats:
    """The correlations of the win rates of *others*, float64[k, k]: those of their residuals, summed over prompts."""
    contestant, score, weight, cluster = _sides(rates.battles, rates.reference, rates.votes)
    k = len(others)
    if cluster is None:
        return np.eye(k)
    residuals = np.zeros((rates.battles.n_clusters, k))
    for column, i in enumerate(others):
        rows = contestant == i
        excess = (score[rows] - (rates.rates[i].value or 0.0)) * weight[rows]
        residuals[:, column] = sums(cluster[rows], excess, rates.battles.n_clusters)
    length = np.sqrt(np.square(residuals).sum(axis=0))
    scaled = residuals / np.where(length > 0, length, 1.0)
    correlations: Floats = scaled.T @ scaled
    np.fill_diagonal(correlations, 1.0)
    return correlations


def _sides(battles: Battles, reference: int | None, votes: Ints | None) -> tuple[Ints, Floats, Floats, Ints | None]:
    """The contestant, score, weight and cluster of each side of each counted vote, one row each."""
    seen_left = np.ones(battles.n, dtype=bool) if reference is None else battles.right == reference
    seen_right = np.ones(battles.n, dtype=bool) if reference is None else battles.left == reference
    left_score = np.where(battles.outcome == TIE, 0.5, battles.outcome == LEFT)
    weight = np.ones(battles.n) if battles.weight is None else battles.weight
    cluster = battles.cluster
    contestant = np.concatenate((battles.left[seen_left], battles.right[seen_right]))
    score = np.concatenate((left_score[seen_left], 1 - left_score[seen_right]))
    weight = np.concatenate((weight[seen_left], weight[seen_right]))
    cluster = None if cluster is None else np.concatenate((cluster[seen_left], cluster[seen_right]))
    if votes is None or not votes.size:
        return contestant, score, weight, cluster
    # A vote has two sides, so the right ones are numbered after the left ones.
    side = np.concatenate((votes[seen_left], votes[seen_right] + int(votes.max()) + 1))
    _, first, row = np.unique(side, return_index=True, return_inverse=True)
    total = sums(row, weight)
    mean = np.divide(sums(row, score * weight), total, out=np.full(total.size, 0.5), where=total > 0)
    return contestant[first], mean, total, None if cluster is None else cluster[first]
