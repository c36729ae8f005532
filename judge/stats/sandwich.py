"""The covariance of the parameters of a model of battles over prompts.

The scores of a prompt's battles sum to U_g, and the information is H. For G prompts:

- CR1, from 40 prompts on: G / (G - 1) * H^- (sum of U_g U_g') H^-.
- CR3, from 5 to 39: the jackknife (G - 1) / G * sum of d_g d_g', where d_g = -(H - H_g)^- U_g is the change from
  leaving prompt g out, in one Newton step from the whole fit.

With strata, CR1 sums G_s / (G_s - 1) times the squares around the mean score of each stratum. A ridge is part of H. The
strengths sum to zero, so H^- is the inverse on vectors that sum to zero. A. C. Cameron, D. L. Miller (2015), Journal of
Human Resources 50(2), sections II and VI; J. G. MacKinnon, M. O. Nielsen, M. D. Webb (2023), "Fast and reliable
jackknife and bootstrap methods for cluster-robust inference", Journal of Applied Econometrics 38(5).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.battles import Battles
from judge.stats.cluster_intervals import ALIKE, FEWEST, JACKKNIFE, SANDWICH, method_for
from judge.stats.components import each_connected, weak_components
from judge.stats.paired_model import Model, make_invertible

_CELLS = 1 << 22
"""The number of entries of scores in memory at once: 32 MB."""

_NOTHING = 1e-18
"""Smaller variances are rounding errors of zero."""


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance *matrix* of the m natural log strengths, float64[m, m]; or None, and *method* has the reason.

    *effects* is the covariance of all parameters, float64[p, p], in the order of a `Model`. *clusters* is the number of
    prompts with battles of positive weight. *open_above* and *open_below*, bool[m], mark the contestants whose interval
    has no upper or lower end; they are None if all intervals have both.
    """

    matrix: Floats | None
    method: str
    clusters: int
    effects: Floats | None = None
    strata: int = 1
    open_above: Flags | None = None
    open_below: Flags | None = None

    @property
    def freedom(self) -> int:
        """The degrees of freedom of Student's t: clusters minus strata."""
        return max(self.clusters - self.strata, 1)

    def opened(self, low: Floats, high: Floats, reference: int | None = None) -> tuple[Floats, Floats]:
        """Replace the ends of intervals (float64[m] each) that are open by infinities.

        With a *reference* (a code), the intervals are of differences to it.
        """
        if self.open_above is None or self.open_below is None:
            return low, high
        above, below = self.open_above, self.open_below
        if reference is not None:
            above, below = above | below[reference], below | above[reference]
            above[reference] = below[reference] = False
        return np.where(below, -np.inf, low), np.where(above, np.inf, high)


def covariance(model: Model, ridge: float = 0.0, strata: Ints | None = None) -> Covariance:
    """Compute the covariance of the parameters of *model* at its maximum.

    *ridge* is the penalty of the fit. *strata* is int32[n_clusters], the stratum of each cluster; with it, clusters
    vary only within their strata.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> fit = bradley_terry(Battles.from_names(["a"] * 60, ["b"] * 60, ["left", "left", "right"] * 20))
    >>> result = covariance(fit.model)
    >>> result.method, result.clusters, result.freedom
    ('sandwich-cr1-t', 60, 59)
    """
    m = model.m
    penalty = np.zeros(model.parameters.size)
    penalty[:m] = ridge
    model = _counting(model)
    battles = model.design.battles
    cluster, clusters, occupied = _occupied(battles)
    method = method_for(clusters)
    if strata is not None and cluster is not None and clusters >= FEWEST:
        kinds = strata[occupied]
        scores = model.scores(slice(None), cluster, clusters)
        meat, n_strata = _stratified(scores, kinds)
        if n_strata is None:
            return Covariance(None, "none: a stratum has a single prompt", clusters)
        bread = np.linalg.inv(make_invertible(model.information() + np.diag(penalty), m))
        return _checked(bread @ meat @ bread, m, f"{SANDWICH}-stratified", clusters, n_strata)
    if method == SANDWICH:
        meat = model.meat() if cluster is None else _meat(model, cluster, clusters)
        bread = np.linalg.inv(make_invertible(model.information() + np.diag(penalty), m))
        return _checked(clusters / (clusters - 1) * bread @ meat @ bread, m, method, clusters)
    if method == JACKKNIFE:
        code = np.arange(battles.n, dtype=np.int32) if cluster is None else cluster
        shifts = _shifts(model, code, clusters, penalty)
        if shifts is None:
            return Covariance(None, "none: without one of the prompts the contestants fall apart", clusters)
        return _checked((clusters - 1) / clusters * shifts.T @ shifts, m, method, clusters)
    return Covariance(None, method, clusters)


def _checked(matrix: Floats, m: int, method: str, clusters: int, strata: int = 1) -> Covariance:
    if matrix[:m, :m].diagonal().max() <= _NOTHING:
        return Covariance(None, ALIKE, clusters)
    return Covariance(matrix=matrix[:m, :m], method=method, clusters=clusters, effects=matrix, strata=strata)


def _counting(model: Model) -> Model:
    """The model with only the battles of positive weight."""
    battles = model.design.battles
    if battles.weight is None or battles.weight.all():
        return model
    rows = battles.weight > 0
    kept = model.design.among(rows)
    cluster = None if battles.cluster is None else battles.cluster[rows]
    return replace(model, design=replace(kept, battles=replace(kept.battles, cluster=cluster)))


def _occupied(battles: Battles) -> tuple[Ints | None, int, Ints]:
    """The cluster codes without gaps, int32[n] or None; the number of clusters; and the codes they had before."""
    if battles.cluster is None:
        return None, battles.n, np.empty(0, dtype=np.int32)
    occupied = np.bincount(battles.cluster, minlength=battles.n_clusters) > 0
    code: Ints = (np.cumsum(occupied) - occupied).astype(np.int32)
    return code[battles.cluster], int(occupied.sum()), np.flatnonzero(occupied).astype(np.int32)


def _meat(model: Model, cluster: Ints, clusters: int) -> Floats:
    """The sum of U_g U_g' over clusters, with at most one block of them in memory."""
    size = model.parameters.size
    meat = np.zeros((size, size))
    for rows, first, count in blocks(cluster, clusters, max(1, _CELLS // size)):
        scores = model.scores(rows, cluster[rows] - first, count)
        meat += scores.T @ scores
    return meat


def blocks(cluster: Ints, clusters: int, size: int) -> Iterator[tuple[slice | Ints, int, int]]:
    """Yield the rows of at most *size* clusters at a time, with the first cluster and the number of clusters.

    >>> [(rows.tolist(), first, count) for rows, first, count in blocks(np.array([2, 0, 1, 0]), 3, 2)]
    [([1, 3, 2], 0, 2), ([0], 2, 1)]
    """
    if clusters <= size:
        yield slice(None), 0, clusters
        return
    order = np.argsort(cluster, kind="stable").astype(np.int32)
    starts = np.append(np.arange(0, clusters, size), clusters)
    ends = np.searchsorted(cluster, starts, sorter=order)
    for i in range(starts.size - 1):
        yield order[ends[i] : ends[i + 1]], int(starts[i]), int(starts[i + 1] - starts[i])


def _stratified(scores: Floats, strata: Ints) -> tuple[Floats, int | None]:
    """The sum of squares of *scores* around the means of their strata, and the number of strata.

    The number is None if exactly one stratum has a single cluster.
    """
    kinds, code = np.unique(strata, return_inverse=True)
    sizes = np.bincount(code).astype(np.float64)
    alone = sizes == 1
    if alone.sum() == 1:
        return scores, None
    if alone.any():
        # Strata of one cluster are merged, which overestimates the variance: W. G. Cochran (1977), 5A.12.
        kinds, code = np.unique(np.where(alone[code], -1, code), return_inverse=True)
        sizes = np.bincount(code).astype(np.float64)
    about = scores - np.stack([sums(code, column) / sizes for column in scores.T], axis=1)[code]
    return about.T @ (about * (sizes / (sizes - 1))[code][:, None]), kinds.size


def _shifts(model: Model, cluster: Ints, clusters: int, penalty: Floats) -> Floats | None:
    """The change of the parameters without each cluster, float64[clusters, p]; None if that disconnects them."""
    scores = model.scores(slice(None), cluster, clusters)
    shifts = np.empty_like(scores)
    for some, rest in (_rests if model.small else _single_rests)(model, cluster, clusters):
        if rest is None:
            return None
        held = make_invertible(rest + np.diag(penalty), model.m)
        try:
            shifts[some] = np.linalg.solve(held, -scores[some, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            return None
    return shifts


def _rests(model: Model, cluster: Ints, clusters: int) -> Iterator[tuple[Ints, Floats | None]]:
    """Yield clusters in blocks, with the information without each of them, float64[k, p, p].

    The information is None if the remaining battles do not connect the contestants.
    """
    size = max(1, _CELLS // (4 * model.m**2))
    for first in range(0, clusters, size):
        some = np.arange(first, min(first + size, clusters), dtype=np.int32)
        tables = model.design.battles.cells_without(cluster, some)
        met = tables.max(axis=3) > 0
        connected = each_connected(met | met.transpose(0, 2, 1))
        yield some, model.informations(tables) if connected else None


def _single_rests(model: Model, cluster: Ints, clusters: int) -> Iterator[tuple[Ints, Floats | None]]:
    """The same as `_rests` for any model, one cluster at a time."""
    m, battles = model.m, model.design.battles
    pair = battles.left.astype(np.intp) * m + battles.right
    for g in range(clusters):
        kept = cluster != g
        connected = kept.any() and len(weak_components(sums(pair[kept], None, m * m).reshape(m, m))) == 1
        yield np.array([g], dtype=np.int32), model.among(kept).information()[None] if connected else None
