"""The scores of pairs of contestants on each prompt, beside what a model expects of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.battles import LEFT, TIE, cluster_codes
from judge.stats.paired_model import Model, make_invertible
from judge.stats.prompt_sums import sum_prompts
from judge.stats.tie_rules import Terms, expected, terms

_MOST_GROUPS = 1000
"""Prompts beyond this number are taken together in groups, which are as independent as prompts are."""


@dataclass(frozen=True, eq=False)
class PairScores:
    """The k pairs that met, and their scores on each of the *clusters* (prompts) of battles of positive weight.

    *left* and *right* are codes of contestants, int32[k], left < right; *observed* and *expected* the mean scores of
    the left side, float64[k]. A cell is a pair on a prompt: *prompt* and *pair* are int32[cells]. *residual* is the sum
    of the derivatives of the log likelihood with respect to the pair's log odds (with half wins, the observed less the
    expected score), *slope* that of the negated second derivatives, and *margin* the weighted score of the left side
    above a half; float64[cells] each.
    """

    model: Model
    left: Ints
    right: Ints
    observed: Floats
    expected: Floats
    clusters: int
    prompt: Ints
    pair: Ints
    residual: Floats
    slope: Floats
    margin: Floats
    slope_squares: float
    """The weighted sum over battles of the squared slopes."""
    residual_squares: float
    """The same of the squared residuals."""
    scores: Floats
    """The scores of all parameters by group of prompts, float64[groups, parameters]."""
    curvature: Floats
    """The derivatives of each pair's residual, negated, with respect to all parameters, float64[k, parameters]."""

    @property
    def k(self) -> int:
        """The number of pairs."""
        return self.left.size

    @cached_property
    def prompts(self) -> Ints:
        """The number of prompts on which each pair met, int32[k]."""
        return np.bincount(self.pair, minlength=self.k).astype(np.int32)

    @cached_property
    def inverse(self) -> Floats:
        """The inverse information of the model, float64[parameters, parameters]."""
        inverse = np.linalg.inv(make_invertible(self.model.information(), self.model.m))
        return inverse.astype(np.float64, copy=False)

    @property
    def groups(self) -> int:
        """The number of groups of prompts that tests sum over: one for each prompt, and at most 1,000."""
        return len(self.scores)

    def by_group(self, cells: Floats) -> Floats:
        """Sum a column of *cells* by group of prompts and pair, float64[groups, k]."""
        at = (self.prompt % self.groups).astype(np.int64) * self.k + self.pair
        return sums(at, cells, self.groups * self.k).reshape(self.groups, self.k)

    def effective_residuals(self) -> Floats:
        """The residuals by group less what fitting takes out of them, float64[groups, k]; their sum is the residual."""
        residuals = self.by_group(self.residual)
        residuals -= (self.scores @ self.inverse) @ self.curvature.T
        return residuals

    def covariance(self) -> Floats:
        """The covariance of the effective residuals in the model, if all battles are independent, float64[k, k]."""
        slope = sums(self.pair, self.slope, self.k)
        covariance: Floats = np.diag(slope) - self.curvature @ self.inverse @ self.curvature.T
        covariance *= self.residual_squares / slope.sum()
        return covariance


def pair_scores(model: Model) -> PairScores:
    """Sum the scores of *model* by pair and prompt.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> scores = pair_scores(bradley_terry(Battles.from_names("aab", "bbc", ["left", "right", "tie"])).model)
    >>> scores.left.tolist(), scores.right.tolist(), scores.observed.tolist(), scores.expected.round(3).tolist()
    ([0, 1], [1, 2], [0.5, 0.5], [0.5, 0.5])
    """
    model, cluster, clusters = _with_clusters(model)
    groups = min(clusters, _MOST_GROUPS)
    battles, m = model.design.battles, model.m
    weight = np.ones(battles.n) if battles.weight is None else battles.weight
    columns = model.design.columns(slice(None))
    eta = model.parameters[battles.left] - model.parameters[battles.right]
    eta = eta + columns @ model.parameters[m : m + columns.shape[1]]
    derivatives = terms(model.rule, battles.outcome, eta, model.tau)
    sign = np.where(battles.left < battles.right, 1.0, -1.0)
    low, high = np.minimum(battles.left, battles.right), np.maximum(battles.left, battles.right)
    codes, inverse = np.unique(low.astype(np.int64) * m + high, return_inverse=True)
    pair = inverse.astype(np.int32)
    k = codes.size
    total = sums(pair, weight, k)
    score = np.where(battles.outcome == TIE, 0.5, battles.outcome == LEFT)
    above = sign * (score - 0.5)
    ahead = sign * (expected(model.rule, eta, model.tau) - 0.5)
    cells, cell = np.unique(cluster.astype(np.int64) * k + pair, return_inverse=True)
    return PairScores(
        model=model,
        left=(codes // m).astype(np.int32),
        right=(codes % m).astype(np.int32),
        observed=0.5 + sums(pair, weight * above, k) / total,
        expected=0.5 + sums(pair, weight * ahead, k) / total,
        clusters=clusters,
        prompt=(cells // k).astype(np.int32),
        pair=(cells % k).astype(np.int32),
        residual=sums(cell, weight * sign * derivatives.eta, cells.size),
        slope=sums(cell, weight * derivatives.eta_eta, cells.size),
        margin=sums(cell, weight * above, cells.size),
        slope_squares=float(weight @ np.square(derivatives.eta_eta)),
        residual_squares=float(weight @ np.square(derivatives.eta)),
        scores=sum_prompts(model, slice(None), cluster % groups, groups).score,
        curvature=_curvature(model, pair, weight, derivatives, columns),
    )


def _with_clusters(model: Model) -> tuple[Model, Ints, int]:
    """*model* with the battles of positive weight alone, the prompt of each without gaps, and the number of prompts."""
    battles = model.design.battles
    rows = np.ones(battles.n, dtype=np.bool_) if battles.weight is None else battles.weight > 0
    cluster = np.arange(battles.n, dtype=np.int32) if battles.cluster is None else battles.cluster
    return model.among(rows), *cluster_codes(cluster[rows])


def _curvature(model: Model, pair: Ints, weight: Floats, derivatives: Terms, columns: Floats) -> Floats:
    """How much each pair's residual falls with each parameter, float64[k, parameters]."""
    battles, m = model.design.battles, model.m
    sign = np.where(battles.left < battles.right, 1.0, -1.0)
    slope = weight * derivatives.eta_eta
    k = int(pair.max()) + 1
    curvature = np.zeros((k, model.parameters.size))
    total = sums(pair, slope, k)
    low, high = np.zeros(k, dtype=np.intp), np.zeros(k, dtype=np.intp)
    low[pair], high[pair] = np.minimum(battles.left, battles.right), np.maximum(battles.left, battles.right)
    curvature[np.arange(k), low], curvature[np.arange(k), high] = total, -total
    for at, column in enumerate(columns.T, m):
        curvature[:, at] = sums(pair, sign * slope * column, k)
    if model.ties:
        curvature[:, -1] = sums(pair, sign * weight * derivatives.eta_tau, k)
    return curvature
