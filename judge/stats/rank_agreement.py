"""How far two leaderboards of the same contestants are one: their order, and how one's ratings go with the other's.

Spearman's rho and Kendall's tau-b compare the orders: C. Spearman (1904), American Journal of Psychology 15(1); M. G.
Kendall (1945), Biometrika 33(3). The slope is that of the one's log strengths on the other's, both of mean 0, by least
squares: below 1 the judge tells contestants less apart than people do. Strengths are measured with error, which pulls
the slope towards 0 where there are few votes.

All of it is doubted by drawing prompts anew for both at once: the interval of the slope by the standard error of the
resamples and t, that of a rank correlation by their percentiles, as it has a bound at 1.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.battles import Battles
from judge.stats.bootstrap import resampled_wins
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.cluster_intervals import FEWEST, Estimate, checked_level, method_for, replicated
from judge.stats.components import strong_components
from judge.stats.newton import refitted

UNRANKED = "none: in more than 1 % of resamples somebody cannot be ranked"
_PLACES = 6
_FEWEST = 3


_LEVEL = 1e-18
"""What is left of a sum of squares where all are the same."""


@dataclass(frozen=True, eq=False)
class RankAgreement:
    """Two leaderboards of m *contestants*: *spearman*, *kendall* and the *slope* of the first on the second.

    *residuals* is float64[m], how far a contestant's rating in the first is above what the second and the slope give,
    in rating points.
    """

    contestants: tuple[str, ...]
    spearman: Estimate
    kendall: Estimate
    slope: Estimate
    residuals: Floats


def rank_agreement(
    one: Battles, other: Battles, rng: np.random.Generator, level: float = 0.95, replicates: int = 1000
) -> RankAgreement:
    """How the ratings by battles *one* go with those by *other*, of the same contestants and clusters (prompts).

    Raises ValueError where contestants or clusters are not the same, or are fewer than three, or all are level, and
    Disconnected where one of the two does not rank them all.

    >>> left, right = ["a", "b", "a"] * 20, ["b", "c", "c"] * 20
    >>> prompts = np.repeat(np.arange(20), 3)
    >>> words = ["left", "left", "left", "right", "right", "left"] * 10
    >>> people = Battles.from_names(left, right, words, cluster=prompts)
    >>> found = rank_agreement(people, people, np.random.default_rng(0), replicates=50)
    >>> found.spearman.value, found.slope.value
    (1.0, 1.0)
    """
    checked_level(level)
    if one.cluster is None or other.cluster is None:
        raise ValueError("Two leaderboards are compared over prompts: their battles need clusters.")
    if one.contestants != other.contestants or one.n_clusters != other.n_clusters:
        raise ValueError("Two leaderboards are compared on the same contestants and prompts.")
    if len(one.contestants) < _FEWEST:
        raise ValueError(f"An order of {len(one.contestants)} contestants has nothing to be compared with.")
    first, second = (bradley_terry(battles).log_strengths for battles in (one, other))
    values = _compared(first[None, :], second[None, :])[0]
    if np.isnan(values).any():
        raise ValueError("On one of the two leaderboards all contestants are level, which is no order.")
    drawn = _resampled(one, other, (first, second), rng, replicates)
    clusters = one.n_clusters
    many = len(one.contestants)
    residuals = np.round(POINTS * (first - values[2] * second), _PLACES)

    def told(at: int, *, percentile: bool) -> Estimate:
        value = float(values[at])
        if clusters < FEWEST:
            return Estimate(round(value, _PLACES), None, None, None, method_for(clusters), level, many, clusters)
        return replicated(
            value, drawn[:, at], replicates, level, many, clusters, percentile=percentile, undetermined=UNRANKED
        )

    return RankAgreement(
        one.contestants, told(0, percentile=True), told(1, percentile=True), told(2, percentile=False), residuals
    )


def _compared(first: Floats, second: Floats) -> Floats:
    """Spearman's rho, Kendall's tau and the slope of each row, float64[k, 3]; NaN where a side is level."""
    signs = [np.sign(np.round(x[:, :, None] - x[:, None, :], 9)) for x in (first, second)]
    ranked = [sign.sum(axis=2) for sign in signs]
    rho = _cosine(*ranked)
    tau = _cosine(*(sign.reshape(len(sign), -1) for sign in signs))
    slope = _ratio((first * second).sum(axis=1), np.square(second).sum(axis=1))
    return np.column_stack((rho, tau, slope))


def _cosine(x: Floats, y: Floats) -> Floats:
    return _ratio((x * y).sum(axis=1), np.sqrt(np.square(x).sum(axis=1) * np.square(y).sum(axis=1)))


def _ratio(top: Floats, bottom: Floats) -> Floats:
    found: Floats = top / np.where(bottom > _LEVEL, bottom, np.nan)
    return found


def _resampled(
    one: Battles, other: Battles, start: tuple[Floats, Floats], rng: np.random.Generator, replicates: int
) -> Floats:
    """The same of resampled prompts, drawn for both at once, float64[k, 3]; those that fall apart are left out."""
    seed = int(rng.integers(2**63))
    resamples = []
    for battles in (one, other):
        # The same seed draws the same prompts for both.
        again = np.random.default_rng(seed)
        drawn = resampled_wins(battles, battles.cluster, battles.n_clusters, again, replicates)
        resamples.append(np.concatenate(list(drawn)))
    held = np.array(
        [all(len(strong_components(leaderboard[i])) == 1 for leaderboard in resamples) for i in range(replicates)],
        dtype=bool,
    )
    if not held.any():
        return np.empty((0, 3))
    first, second = (
        np.array(refitted(leaderboard[held], at)) for leaderboard, at in zip(resamples, start, strict=True)
    )
    return _compared(first, second)
