"""The covariance of Bradley-Terry strengths over prompts.

The scores of a prompt's battles sum to U_g, and the information is H. For G prompts:

- CR1, from 40 prompts on: G / (G - 1) * H^- (sum of U_g U_g') H^-.
- CR3, from 5 to 39: the jackknife (G - 1) / G * sum of d_g d_g', where d_g = -(H - H_g)^- U_g is the change that
  leaving prompt g out makes, in one Newton step from the whole fit.

The strengths sum to zero, so H^- is the inverse on the vectors that do. A. C. Cameron, D. L. Miller (2015), Journal of
Human Resources 50(2), sections II and VI; J. G. MacKinnon, M. O. Nielsen, M. D. Webb (2023), "Fast and reliable
jackknife and bootstrap methods for cluster-robust inference", Journal of Applied Econometrics 38(5).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from judge.stats.arrays import Floats, Ints, sums
from judge.stats.battles import LEFT, TIE, Battles, Counts
from judge.stats.clustered import JACKKNIFE, SANDWICH, method_for
from judge.stats.components import weak_components

_CELLS = 1 << 22
"""How many cells of scores are held at once: 32 MB."""

_NOTHING = 1e-18
"""A variance that is zero but for rounding."""


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of the log strengths, float64[m, m] (natural, summing to zero), or None with *method* saying why.

    *clusters* is the number of prompts with battles that count.
    """

    matrix: Floats | None
    method: str
    clusters: int


def covariance(battles: Battles, counts: Counts, expected: Floats) -> Covariance:
    """The covariance of the strengths fitted to *battles*, of which *counts* are the sums.

    *expected* is float64[m, m], the fitted chance that row beats column.
    """
    battles = _counting(battles)
    cluster, clusters = _occupied(battles)
    method = method_for(clusters)
    if method == SANDWICH:
        inner = (
            _meat_of_independent(battles, counts, expected)
            if cluster is None
            else _meat(battles, expected, cluster, clusters)
        )
        bread = inverse(information(counts.wins, expected))
        return _checked(clusters / (clusters - 1) * bread @ inner @ bread, method, clusters)
    if method == JACKKNIFE:
        shifts = _shifts(
            battles, expected, np.arange(battles.n, dtype=np.int32) if cluster is None else cluster, clusters
        )
        if shifts is None:
            return Covariance(None, "none: without one of the prompts the contestants fall apart", clusters)
        return _checked((clusters - 1) / clusters * shifts.T @ shifts, method, clusters)
    return Covariance(None, method, clusters)


def _checked(matrix: Floats, method: str, clusters: int) -> Covariance:
    if matrix.diagonal().max() <= _NOTHING:
        return Covariance(
            None, "none: the prompts do not differ, so they do not tell how far a new one would", clusters
        )
    return Covariance(matrix, method, clusters)


def information(wins: Floats, expected: Floats) -> Floats:
    """Fisher's information about the strengths, float64[m, m]: of rank m - 1 where the contestants are connected."""
    cells = (wins + wins.T) * expected * expected.T
    return np.diag(cells.sum(axis=1)) - cells


def inverse(matrix: Floats) -> Floats:
    """The inverse of an information *matrix* on vectors that sum to zero, up to a multiple of the all-ones matrix."""
    return np.linalg.inv(grounded(matrix)).astype(np.float64, copy=False)


def grounded(matrix: Floats) -> Floats:
    """The information *matrix* made invertible: as much information is given about the sum as there is on average."""
    return matrix + float(matrix.trace()) / len(matrix) ** 2


def _counting(battles: Battles) -> Battles:
    """The battles of positive weight."""
    if battles.weight is None or battles.weight.all():
        return battles
    rows = battles.weight > 0
    return replace(
        battles,
        left=battles.left[rows],
        right=battles.right[rows],
        outcome=battles.outcome[rows],
        weight=battles.weight[rows],
        cluster=None if battles.cluster is None else battles.cluster[rows],
    )


def _occupied(battles: Battles) -> tuple[Ints | None, int]:
    """The cluster codes without gaps, int32[n], or None, and how many clusters there are (as many as battles)."""
    if battles.cluster is None:
        return None, battles.n
    occupied = np.bincount(battles.cluster, minlength=battles.n_clusters) > 0
    code: Ints = (np.cumsum(occupied) - occupied).astype(np.int32)
    return code[battles.cluster], int(occupied.sum())


def _residuals(battles: Battles, expected: Floats, rows: slice | Ints = slice(None)) -> Floats:
    """The weighted score of each battle: the left side's result less its expected result."""
    outcome = battles.outcome[rows]
    scored = np.where(outcome == TIE, 0.5, outcome == LEFT)
    scored -= expected[battles.left[rows], battles.right[rows]]
    return scored if battles.weight is None else scored * battles.weight[rows]


def _meat_of_independent(battles: Battles, counts: Counts, expected: Floats) -> Floats:
    """The sum of U U' where every battle stands for itself: it needs no more than counts."""
    squares = counts if battles.weight is None else battles.tally(np.square(battles.weight))
    won = squares.wins - squares.ties / 2
    cells = won * np.square(expected.T)
    cells = cells + cells.T + squares.ties * np.square(0.5 - expected)
    return np.diag(cells.sum(axis=1)) - cells


def _meat(battles: Battles, expected: Floats, cluster: Ints, clusters: int) -> Floats:
    """The sum of U_g U_g' over clusters, with at most a block of them held at once."""
    m = len(battles.contestants)
    meat = np.zeros((m, m))
    for rows, first, count in _blocks(cluster, clusters, max(1, _CELLS // m)):
        scores = _scores(battles, expected, rows, cluster[rows] - first, count)
        meat += scores.T @ scores
    return meat


def _blocks(cluster: Ints, clusters: int, size: int) -> Iterator[tuple[slice | Ints, int, int]]:
    """Rows of at most *size* clusters at a time, with the first cluster and the number of clusters."""
    if clusters <= size:
        yield slice(None), 0, clusters
        return
    order = np.argsort(cluster, kind="stable").astype(np.int32)
    starts = np.append(np.arange(0, clusters, size), clusters)
    ends = np.searchsorted(cluster, starts, sorter=order)
    for i in range(starts.size - 1):
        yield order[ends[i] : ends[i + 1]], int(starts[i]), int(starts[i + 1] - starts[i])


def _scores(battles: Battles, expected: Floats, rows: slice | Ints, cluster: Ints, clusters: int) -> Floats:
    """The score of each cluster, float64[clusters, m]: every row sums to zero."""
    m = len(battles.contestants)
    residual = _residuals(battles, expected, rows)
    at = cluster.astype(np.intp) * m
    scores = sums(at + battles.left[rows], residual, clusters * m)
    scores -= sums(at + battles.right[rows], residual, clusters * m)
    return scores.reshape(clusters, m)


def _shifts(battles: Battles, expected: Floats, cluster: Ints, clusters: int) -> Floats | None:
    """What leaving out each cluster does to the strengths, float64[clusters, m]; None where that disconnects them."""
    m = len(battles.contestants)
    scores = _scores(battles, expected, slice(None), cluster, clusters)
    pair = battles.left.astype(np.intp) * m + battles.right
    shifts = np.empty_like(scores)
    for g in range(clusters):
        kept = cluster != g
        rest = sums(pair[kept], None if battles.weight is None else battles.weight[kept], m * m).reshape(m, m)
        if len(weak_components(rest)) > 1:
            return None
        shifts[g] = np.linalg.solve(grounded(information(rest, expected)), -scores[g])
    return shifts
