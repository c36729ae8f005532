"""The covariance of the parameters of a model of battles over prompts, and the standard errors of its contrasts.

The scores of a prompt's battles sum to U_g, and the information is H. The covariance is H^- (sum of U_g U_g') H^-,
with each prompt's scores corrected for its leverage on each contestant, and every contrast has a critical value of its
own: see `own_leverage`. The same holds for effects and tie parameters, each with its own leverage, and with a ridge,
which is part of H. With strata, squares are taken around the mean score of each stratum, and critical values are those
of Satterthwaite's t. The strengths sum to zero, so H^- is the inverse on vectors that sum to zero.

A contestant needs at least 5 prompts of its own. On fewer, its few scores nearly cancel, because the fit follows them,
and no correction helps. Such a contestant has a rating without an interval, and is not part of the mean that the
intervals of the others are relative to.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Flags, Floats, Ints
from judge.stats.battles import Battles
from judge.stats.cluster_intervals import ALIKE, too_few
from judge.stats.errors import StatisticsError
from judge.stats.own_leverage import Blocks, Strata, own_leverage
from judge.stats.paired_model import Model, invert
from judge.stats.prompt_sums import sum_battles, sum_prompts, sum_sparse_prompts
from judge.stats.standard_errors import StandardErrors

METHOD = "sandwich-cr2"
"""The covariance by own leverage."""

NOBODY = "none: no contestant has enough prompts of its own"

_CELLS = 1 << 22
"""The most entries of a table of prompts and parameters: 32 MB for each of about ten arrays."""

_NOTHING = 1e-18
"""Smaller variances are rounding errors of zero."""


class Leverage(Protocol):
    """What gives the standard errors of contrasts of the parameters, and of the differences of all pairs."""

    def of_contrasts(self, contrasts: Floats) -> StandardErrors:
        """The standard errors of k *contrasts* (float64[k, p]), float64[k]."""
        ...

    def of_pairs(self) -> StandardErrors:
        """The standard errors of the differences of all pairs of parameters, float64[p, p]."""
        ...


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of all parameters, *effects*, float64[p, p] in the order of a `Model`; or None.

    *method* names it, or has the reason, "none: ...". *clusters* is the number of prompts with battles of positive
    weight. *reasons* says for each of the m contestants why it has no interval, "none: ..."; or it is empty. *leverage*
    has the precision of the variances; without it, they have the degrees of freedom of all clusters. *open_above* and
    *open_below*, bool[m], mark the contestants whose interval has no upper or lower end; they are None if all intervals
    have both.
    """

    effects: Floats | None
    method: str
    clusters: int
    reasons: tuple[str, ...]
    leverage: Leverage | None = None
    open_above: Flags | None = None
    open_below: Flags | None = None

    @classmethod
    def none(cls, reason: str, clusters: int, m: int) -> "Covariance":
        """No covariance of *m* contestants, with the *reason*, "none: ..."."""
        return cls(effects=None, method=reason, clusters=clusters, reasons=(reason,) * m)

    @property
    def m(self) -> int:
        """The number of contestants."""
        return len(self.reasons)

    @cached_property
    def eligible(self) -> Flags:
        """Which contestants have an interval, bool[m]."""
        return np.array([not reason for reason in self.reasons], dtype=np.bool_)

    @cached_property
    def matrix(self) -> Floats | None:
        """The covariance of the log strengths, relative to the mean of those with intervals: float64[m, m], or None.

        It is NaN for contestants without an interval.
        """
        if self.effects is None:
            return None
        center = self.eligible / self.eligible.sum()
        contrasts = np.eye(self.m) - center
        matrix = contrasts @ self.effects[: self.m, : self.m] @ contrasts.T
        scale = self.ratings.error / _roots(matrix.diagonal())
        scaled: Floats = matrix * np.outer(scale, scale)
        return scaled

    @cached_property
    def ratings(self) -> StandardErrors:
        """The standard errors of the log strengths, relative to the mean of those with intervals: [m]."""
        return self.relative_to(range(self.m))

    def relative_to(self, group: Iterable[int]) -> StandardErrors:
        """The standard errors of the log strengths, relative to the mean of a *group* (codes): [m].

        Members of the group without an interval do not count. If none has one, all are NaN.
        """
        center = np.zeros(self.m)
        center[[i for i in group if self.eligible[i]]] = 1
        if self.effects is None or not center.any():
            return StandardErrors.unknown(self.m)
        return self._of_contrasts(np.eye(self.m) - center / center.sum()).limited_to(self.eligible)

    @cached_property
    def pairs(self) -> StandardErrors:
        """The standard errors of the differences of all pairs, [m, m]."""
        if self.effects is None:
            return StandardErrors.unknown(self.m, self.m)
        among = (slice(self.m), slice(self.m))
        both = np.logical_and.outer(self.eligible, self.eligible)
        if self.leverage is not None:
            return self.leverage.of_pairs().at(among).limited_to(both)
        matrix = self.effects[among]
        variance = np.add.outer(matrix.diagonal(), matrix.diagonal()) - matrix - matrix.T
        return StandardErrors.of_t(_roots(variance), max(self.clusters - 1, 1)).limited_to(both)

    @property
    def closed(self) -> Flags:
        """Which contestants have an interval with both ends, bool[m]."""
        if self.open_above is None or self.open_below is None:
            return self.eligible
        return self.eligible & ~self.open_above & ~self.open_below

    @property
    def of_effects(self) -> StandardErrors:
        """The standard errors of the parameters after the log strengths, [p - m]."""
        if self.effects is None:
            return StandardErrors.unknown(0)
        return self._of_contrasts(np.eye(len(self.effects))[self.m :])

    def _of_contrasts(self, contrasts: Floats) -> StandardErrors:
        assert self.effects is not None  # noqa: S101 - the callers have checked
        whole = np.pad(contrasts, ((0, 0), (0, len(self.effects) - contrasts.shape[1])))
        if self.leverage is not None:
            return self.leverage.of_contrasts(whole)
        variance = ((whole @ self.effects) * whole).sum(axis=1)
        return StandardErrors.of_t(_roots(variance), max(self.clusters - 1, 1))

    def opened(self, low: Floats, high: Floats, reference: int | None = None) -> tuple[Floats, Floats]:
        """Replace the ends of intervals (float64[m] each) that are open by infinities.

        With a *reference* (a code), the intervals are of differences to it. An end that is NaN stays so: there is no
        interval.
        """
        if self.open_above is None or self.open_below is None:
            return low, high
        above, below = self.open_above, self.open_below
        if reference is not None:
            above, below = above | below[reference], below | above[reference]
            above[reference] = below[reference] = False
        return np.where(below & ~np.isnan(low), -np.inf, low), np.where(above & ~np.isnan(high), np.inf, high)


def covariance(model: Model, ridge: float = 0.0, strata: Ints | None = None) -> Covariance:
    """Compute the covariance of the parameters of *model* at its maximum.

    *ridge* is the penalty of the fit. *strata* is int32[n_clusters], the stratum of each cluster; with it, clusters
    vary only within their strata.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> fit = bradley_terry(Battles.from_names(["a"] * 60, ["b"] * 60, ["left", "left", "right"] * 20))
    >>> result = covariance(fit.model)
    >>> result.method, result.clusters, result.ratings.freedom.round(3).tolist()
    ('sandwich-cr2', 60, [59.0, 59.0])
    """
    m = model.m
    model = _counting(model)
    cluster, clusters, occupied = _occupied(model.design.battles)
    if few := too_few(clusters):
        return Covariance.none(few, clusters, m)
    by_stratum = None if strata is None or not occupied.size else _strata(strata[occupied])
    if by_stratum is not None and by_stratum.sizes.min() == 1:
        return Covariance.none("none: a stratum has a single prompt", clusters, m)
    penalty = np.zeros(model.parameters.size)
    penalty[:m] = ridge
    information = model.information() + np.diag(penalty)
    try:
        bread = invert(information, m)
    except StatisticsError:
        return Covariance.none("none: the battles hardly determine the ratings", clusters, m)
    blocks = _blocks_of(model, cluster, clusters, each=by_stratum is not None)
    own_prompts = np.sum([block.own_prompts() for block, _ in blocks()], axis=0)
    reasons = own_prompts_reasons(own_prompts[:m].astype(np.int64))
    pooled = np.zeros(penalty.size, dtype=np.bool_)
    pooled[:m] = [not reason for reason in reasons]
    leverage = own_leverage(
        blocks=blocks,
        bread=bread,
        information=np.maximum(information.diagonal(), _NOTHING),
        phi=model.battle_variance(),
        pooled=pooled,
        strata=by_stratum,
    )
    method = METHOD if by_stratum is None else f"{METHOD}-stratified"
    return checked(
        Covariance(effects=leverage.matrix, method=method, clusters=clusters, reasons=reasons, leverage=leverage)
    )


def checked(covariance: Covariance) -> Covariance:
    """The *covariance*, with a reason for each contestant whose variance is zero; none if all of them are.

    >>> checked(Covariance(np.zeros((2, 2)), METHOD, clusters=9, reasons=("", ""))).method
    'none: every prompt has the same result, so nothing shows how far a new one could differ'
    """
    known = np.isfinite(covariance.ratings.error)
    if known.all():
        return covariance
    reasons = tuple(reason or ("" if known[i] else ALIKE) for i, reason in enumerate(covariance.reasons))
    if not known.any():
        whole = reasons[0] if len(set(reasons)) == 1 else next((r for r in reasons if r == ALIKE), NOBODY)
        return replace(Covariance.none(whole, covariance.clusters, covariance.m), reasons=reasons)
    return replace(covariance, reasons=reasons)


def own_prompts_reasons(prompts: npt.NDArray[np.integer], of: str = " of its own") -> tuple[str, ...]:
    """Why each of m contestants has no interval: too few *prompts* of its own ([m]); empty for the others.

    >>> own_prompts_reasons(np.array([3, 5]))
    ('none: 3 prompts of its own, at least 5 are needed', '')
    """
    return tuple(too_few(n, of) for n in prompts.tolist())


def _roots(variance: Floats) -> Floats:
    """The square roots of variances, NaN where they are rounding errors of zero."""
    return np.sqrt(np.where(variance > _NOTHING, variance, np.nan))


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
    if occupied.all():
        return battles.cluster, battles.n_clusters, np.arange(battles.n_clusters, dtype=np.int32)
    code: Ints = (np.cumsum(occupied) - occupied).astype(np.int32)
    return code[battles.cluster], int(occupied.sum()), np.flatnonzero(occupied).astype(np.int32)


def _blocks_of(model: Model, cluster: Ints | None, clusters: int, *, each: bool) -> Blocks:
    """The sums of the prompts, in blocks of at most 32 MB if each has a single battle.

    With *each*, equal prompts are not counted together.
    """
    battles = model.design.battles
    if clusters == battles.n:
        # Prompts of a single battle need no table of prompts and parameters.
        in_order = model if cluster is None else model.among(np.argsort(cluster, kind="stable"))
        single = sum_battles(in_order, each=each)
        return lambda: single.parts(max(1, _CELLS // len(single.score)))
    code = np.arange(battles.n, dtype=np.int32) if cluster is None else cluster
    if clusters * model.parameters.size <= _CELLS:
        table = sum_prompts(model, slice(None), code, clusters)
        return lambda: [(table, slice(None))]
    sparse = sum_sparse_prompts(model, code, clusters)
    return lambda: [(sparse, slice(None))]


def _strata(strata: Ints) -> Strata:
    """The strata of prompts. Several strata of one prompt are merged; a single one stays."""
    kinds, code = np.unique(strata, return_inverse=True)
    sizes = np.bincount(code)
    alone = sizes == 1
    if alone.sum() > 1:
        # This overestimates the variance: W. G. Cochran (1977), 5A.12.
        kinds, code = np.unique(np.where(alone[code], -1, kinds[code]), return_inverse=True)
    return Strata(code.astype(np.int32), np.bincount(code, minlength=kinds.size).astype(np.float64))
