"""The share of the variance of outcomes that lies between prompts.

If contestant i is stronger by a_gi on prompt g, with variance T, the residuals of two pairs that share a contestant on
a prompt have the covariance T d d', where d are their slopes p (1 - p). So T is the sum of the products of such
residuals over that of d d', and of the variance v = p (1 - p) of an outcome, the share 2 T v lies between prompts. The
products sum to U_gi^2 less the squares of the pairs, where U_gi is the summed residual of a contestant on a prompt. The
fit makes both smaller by their leverage, which is added again. The method of moments: S. R. Searle, G. Casella, C. E.
McCulloch (1992), "Variance Components", chapter 5.
"""

from dataclasses import replace

import numpy as np

from judge.columns.arrays import Floats, sums
from judge.stats.cluster_intervals import Estimate, jackknife, without_interval
from judge.stats.pair_scores import PairScores

NO_SHARED_CONTESTANT = "none: no two pairs on one prompt share a contestant"
NOTHING_VARIES = "none: every battle is a tie, so that outcomes do not vary"
_SLIGHT = 1e-9
_NOTHING = 1e-18
"""Squared residuals below this share of the squared slopes are rounding errors of zero."""


def share_between_prompts(scores: PairScores, level: float = 0.95) -> Estimate:
    """The share of the variance of outcomes that lies between prompts, with its interval over prompts.

    It has no value where no two pairs on one prompt share a contestant, or where every battle is a tie. Raises
    StatisticsError for a level outside 0 to 1.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> from judge.stats.pair_scores import pair_scores
    >>> outcomes = ["left", "left", "left", "right", "right", "right"] * 10
    >>> battles = Battles.from_names(["a", "b", "a"] * 20, ["b", "c", "c"] * 20, outcomes, cluster=np.arange(60) // 3)
    >>> round(share_between_prompts(pair_scores(bradley_terry(battles).model)).value or 0, 2)
    0.7
    """
    m, clusters = scores.model.m, scores.clusters
    if scores.residual_squares <= _NOTHING * scores.slope_squares:
        return without_interval(None, NOTHING_VARIES, level, scores.prompt.size, clusters)
    left, right = scores.left[scores.pair], scores.right[scores.pair]
    at = scores.prompt.astype(np.int64) * m
    size = clusters * m
    residual = sums(at + left, scores.residual, size) - sums(at + right, scores.residual, size)
    slope = sums(at + left, scores.slope, size) + sums(at + right, scores.slope, size)
    dispersion = float(np.square(scores.residual).sum() / scores.slope.sum())
    inverse = scores.inverse
    resistance = inverse[left, left] + inverse[right, right] - 2 * inverse[left, right]
    of_pairs = np.square(scores.residual) + dispersion * np.square(scores.slope) * resistance
    slope = slope.reshape(clusters, m)
    of_fit = dispersion * np.square(slope) / slope.sum(axis=0)
    of_contestants = np.square(residual).reshape(clusters, m) + of_fit
    products = of_contestants.sum(axis=1) - 2 * sums(scores.prompt, of_pairs, clusters)
    squares = np.square(slope).sum(axis=1) - 2 * sums(scores.prompt, np.square(scores.slope), clusters)
    if squares.sum() <= _SLIGHT * np.square(slope).sum():
        return without_interval(None, NO_SHARED_CONTESTANT, level, scores.prompt.size, clusters)
    scale = 2 * scores.slope_squares / scores.residual_squares

    def share(tables: Floats) -> Floats:
        return scale * tables[:, 0] / np.where(tables[:, 1] > 0, tables[:, 1], np.nan)

    result = jackknife(np.column_stack((products, squares)), share, level, scores.prompt.size)
    return _limited(result)


def _limited(share: Estimate) -> Estimate:
    """*share* within 0 to 1. An estimate below 0 is moved to 0 with its interval, whose upper end stays possible."""
    if share.value is None:
        return share
    value = min(max(share.value, 0.0), 1.0)
    if share.low is None or share.high is None:
        return replace(share, value=value)
    low, high = (min(max(end + value - share.value, 0.0), 1.0) for end in (share.low, share.high))
    return replace(share, value=value, low=low, high=high)
