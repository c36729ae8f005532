"""The agreement of two leaderboards of the same contestants, in order and in ratings.

Spearman's rho and Kendall's tau-b compare the orders: C. Spearman (1904), American Journal of Psychology 15(1); M. G.
Kendall (1945), Biometrika 33(3). The slope is the least-squares slope of the first log strengths on the second, both
with mean 0. A slope below 1 means that the judge separates contestants less than people do. Errors in the strengths
pull the slope towards 0 if there are few votes.

Intervals come from resampled prompts, the same for both leaderboards: by standard error and t for the slope, and by
percentiles for the rank correlations, which have a bound at 1.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.battles import Battles
from judge.stats.bootstrap import resampled_wins
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.cluster_bootstrap import interval_from_replicates
from judge.stats.cluster_intervals import (
    FEWEST,
    Estimate,
    method_for,
    without_interval,
)
from judge.stats.components import strong_components
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level
from judge.stats.newton import refit

UNRANKED = "none: in more than 1 % of resamples somebody cannot be ranked"
_PLACES = 6
_FEWEST = 3

_LEVEL = 1e-18
"""Smaller sums of squares are rounding errors of zero: all values are equal."""


@dataclass(frozen=True, eq=False)
class RankAgreement:
    """Two leaderboards of m *contestants*: *spearman*, *kendall* and the *slope* of the first on the second.

    *residuals* is float64[m], the rating in the first minus the prediction from the second and the slope, in points.
    """

    contestants: tuple[str, ...]
    spearman: Estimate
    kendall: Estimate
    slope: Estimate
    residuals: Floats


def rank_agreement(
    first_battles: Battles,
    second_battles: Battles,
    rng: np.random.Generator,
    level: float = 0.95,
    replicates: int = 1000,
) -> RankAgreement:
    """Compare the ratings from two sets of battles between the same contestants on the same clusters (prompts).

    Raises StatisticsError if the contestants or the numbers of clusters differ, if there are fewer than three
    contestants, or if all ratings of a leaderboard are equal. Raises Disconnected if one of them cannot be ranked.

    >>> left, right = ["a", "b", "a"] * 20, ["b", "c", "c"] * 20
    >>> prompts = np.repeat(np.arange(20), 3)
    >>> words = ["left", "left", "left", "right", "right", "left"] * 10
    >>> people = Battles.from_names(left, right, words, cluster=prompts)
    >>> agreement = rank_agreement(people, people, np.random.default_rng(0), replicates=50)
    >>> agreement.spearman.value, agreement.slope.value
    (1.0, 1.0)
    """
    check_level(level)
    if first_battles.cluster is None or second_battles.cluster is None:
        raise StatisticsError("Comparing two leaderboards needs battles with clusters (their prompts).")
    if first_battles.contestants != second_battles.contestants or first_battles.n_clusters != second_battles.n_clusters:
        raise StatisticsError("Comparing two leaderboards needs the same contestants and prompts in both.")
    if len(first_battles.contestants) < _FEWEST:
        raise StatisticsError(
            f"Comparing two leaderboards needs at least {_FEWEST} contestants, not {len(first_battles.contestants)}."
        )
    first_strengths, second_strengths = (
        bradley_terry(battles).log_strengths for battles in (first_battles, second_battles)
    )
    values = _figures(first_strengths[None, :], second_strengths[None, :])[0]
    if np.isnan(values).any():
        raise StatisticsError(
            "All contestants of one leaderboard have the same rating, so there is no order to compare."
        )
    drawn = _resampled(first_battles, second_battles, (first_strengths, second_strengths), rng, replicates)
    clusters = first_battles.n_clusters
    m = len(first_battles.contestants)
    residuals = np.round(POINTS * (first_strengths - values[2] * second_strengths), _PLACES)

    def interval(at: int, *, percentile: bool) -> Estimate:
        value = float(values[at])
        if clusters < FEWEST:
            return without_interval(round(value, _PLACES), method_for(clusters), level, m, clusters)
        return interval_from_replicates(
            value, drawn[:, at], replicates, level, m, clusters, percentile=percentile, undetermined=UNRANKED
        )

    return RankAgreement(
        contestants=first_battles.contestants,
        spearman=interval(0, percentile=True),
        kendall=interval(1, percentile=True),
        slope=interval(2, percentile=False),
        residuals=residuals,
    )


def _figures(first: Floats, second: Floats) -> Floats:
    """Spearman's rho, Kendall's tau and the slope of each row, float64[k, 3]; NaN where all values are equal."""
    signs = [np.sign(np.round(x[:, :, None] - x[:, None, :], 9)) for x in (first, second)]
    ranked = [sign.sum(axis=2) for sign in signs]
    rho = _cosine(*ranked)
    tau = _cosine(*(sign.reshape(len(sign), -1) for sign in signs))
    slope = _ratio((first * second).sum(axis=1), np.square(second).sum(axis=1))
    return np.column_stack((rho, tau, slope))


def _cosine(x: Floats, y: Floats) -> Floats:
    return _ratio((x * y).sum(axis=1), np.sqrt(np.square(x).sum(axis=1) * np.square(y).sum(axis=1)))


def _ratio(top: Floats, bottom: Floats) -> Floats:
    quotient: Floats = top / np.where(bottom > _LEVEL, bottom, np.nan)
    return quotient


def _resampled(
    first_battles: Battles,
    second_battles: Battles,
    start: tuple[Floats, Floats],
    rng: np.random.Generator,
    replicates: int,
) -> Floats:
    """The three figures of resamples that can be ranked, float64[k, 3]. Both leaderboards use the same prompts."""
    seed = int(rng.integers(2**63))
    resamples = []
    for battles in (first_battles, second_battles):
        # The same seed draws the same prompts for both.
        again = np.random.default_rng(seed)
        drawn = resampled_wins(battles, battles.cluster, battles.n_clusters, again, replicates)
        resamples.append(np.concatenate(list(drawn)))
    rankable = np.array(
        [all(len(strong_components(leaderboard[i])) == 1 for leaderboard in resamples) for i in range(replicates)],
        dtype=bool,
    )
    if not rankable.any():
        return np.empty((0, 3))
    first, second = (
        np.array(refit(leaderboard[rankable], at)) for leaderboard, at in zip(resamples, start, strict=True)
    )
    return _figures(first, second)
