"""The agreement of two leaderboards of the same contestants, in order and in ratings.

Spearman's rho and Kendall's tau-b compare the orders: C. Spearman (1904), American Journal of Psychology 15(1); M. G.
Kendall (1945), Biometrika 33(3). Both are *attenuated*: noise in the ratings shuffles close contestants, so two
leaderboards with the same true order agree in less than 1. They have no interval, because one around the attenuated
value would not contain the true one. Each leaderboard's reliability shows how strong the attenuation is.

The slope of the first log strengths on the second is corrected for the noise in the second, and for noise that both
share because they use the same prompts (see `attenuation`). Below 1, the judge separates contestants less than people
do. The errors come from the influences of the prompts on both leaderboards at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.stats.attenuation import BoundedFigure, NoisyRatings
from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.cluster_intervals import ALIKE, FEWEST, Estimate, too_few, without_interval
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level
from judge.stats.prompt_influences import PromptInfluences, prompt_influences

ATTENUATED = "none: noise in the ratings attenuates it, so an interval around it would not contain the true value"
UNDETERMINED = "none: not determined, since the target's ratings hardly differ by more than noise"
UNRELIABLE = "none: not determined, since a leaderboard's reliability is below 0.6"
FIELLER, DELTA = "fieller-t", "delta-t"
LEAST_RELIABILITY = 0.6
"""With less reliable ratings, a correlation without attenuation is not meaningful."""
_PLACES = 6
_FEWEST = 3

_LEVEL = 1e-18
"""Smaller sums of squares are rounding errors of zero: all values are equal."""


@dataclass(frozen=True, eq=False)
class RankAgreement:
    """Two leaderboards of m *contestants*, and those *left_out* for their few prompts.

    *spearman* and *kendall* are attenuated and have no interval. *reliabilities* are those of the first and the second
    leaderboard, None if they are unknown. *slope* (of the first on the second) and *pearson* are corrected for
    attenuation, and have no value if the data do not determine them; *least_squares_slope* is not corrected.
    *residuals*, float64[m], is the rating in the first minus the prediction from the second and the slope (the
    least-squares slope where the other is not determined), in points.
    """

    contestants: tuple[str, ...]
    left_out: tuple[str, ...]
    spearman: Estimate
    kendall: Estimate
    reliabilities: tuple[float, float] | None
    least_squares_slope: float
    slope: Estimate
    pearson: Estimate
    residuals: Floats


def rank_agreement(first_battles: Battles, second_battles: Battles, level: float = 0.95) -> RankAgreement:
    """Compare the ratings from two sets of battles between the same contestants on the same clusters (prompts).

    Contestants with fewer than 5 clusters of their own in one set are left out if at least three others remain.

    Raises StatisticsError if the contestants or the numbers of clusters differ, if there are fewer than three
    contestants, or if all ratings of a leaderboard are equal. Raises Disconnected if one of them cannot be ranked.

    >>> left, right = ["a", "b", "a"] * 20, ["b", "c", "c"] * 20
    >>> prompts = np.repeat(np.arange(20), 3)
    >>> words = ["left", "left", "left", "right", "right", "left"] * 10
    >>> people = Battles.from_names(left, right, words, cluster=prompts)
    >>> agreement = rank_agreement(people, people)
    >>> agreement.spearman.value, agreement.least_squares_slope
    (1.0, 1.0)
    """
    check_level(level)
    _check_comparable(first_battles, second_battles)
    first_fit, second_fit = bradley_terry(first_battles), bradley_terry(second_battles)
    whole = prompt_influences(first_fit), prompt_influences(second_fit)
    kept = _with_enough_prompts(whole)
    influences = whole[0].among(kept), whole[1].among(kept)
    first, second = (fit.log_strengths[kept] - fit.log_strengths[kept].mean() for fit in (first_fit, second_fit))
    spearman, kendall = _rank_correlations(first, second)
    ratings = NoisyRatings(x=second, y=first, x_influences=influences[1].values, y_influences=influences[0].values)
    shape = _Shape(level, int(kept.sum()), first_battles.n_clusters)
    reason = _why_unknown(influences, first_battles)
    slope, pearson = (shape.without(reason),) * 2 if reason else _corrected(ratings, influences, shape)
    names = np.array(first_battles.contestants, dtype=np.object_)
    predicted = (ratings.least_squares_slope if slope.value is None else slope.value) * second
    return RankAgreement(
        contestants=tuple(names[kept].tolist()),
        left_out=tuple(names[~kept].tolist()),
        spearman=shape.without(ATTENUATED, spearman),
        kendall=shape.without(ATTENUATED, kendall),
        reliabilities=None if reason else (ratings.reliabilities[1], ratings.reliabilities[0]),
        least_squares_slope=round(ratings.least_squares_slope, _PLACES),
        slope=slope,
        pearson=pearson,
        residuals=np.round(POINTS * (first - predicted), _PLACES),
    )


@dataclass(frozen=True)
class _Shape:
    """What all estimates have in common: their *level*, the number of contestants, *m*, and that of *clusters*."""

    level: float
    m: int
    clusters: int

    def without(self, reason: str, value: float | None = None) -> Estimate:
        """An estimate without an interval."""
        return without_interval(
            value if value is None else round(value, _PLACES), reason, self.level, self.m, self.clusters
        )

    def estimate(self, bounded: BoundedFigure, method: str, undetermined: str) -> Estimate:
        """An estimate with the interval of *bounded*; without a value if the data do not determine it."""
        if bounded.value is None or bounded.low is None or bounded.high is None:
            return self.without(undetermined)
        value, low, high = (round(figure, _PLACES) for figure in (bounded.value, bounded.low, bounded.high))
        return Estimate(
            value=value,
            low=low,
            high=high,
            standard_error=None,
            method=method,
            level=self.level,
            n=self.m,
            clusters=self.clusters,
        )


def _corrected(
    ratings: NoisyRatings, influences: Sequence[PromptInfluences], shape: _Shape
) -> tuple[Estimate, Estimate]:
    """The slope and Pearson's correlation, corrected for attenuation."""
    from scipy.special import stdtrit  # noqa: PLC0415 - a slow import, needed only here

    freedom = max(min(fit.effective_prompts for fit in influences) - 1, 1.0)
    critical = float(stdtrit(freedom, (1 + shape.level) / 2))
    slope = shape.estimate(ratings.slope(critical), FIELLER, UNDETERMINED)
    if min(ratings.reliabilities) < LEAST_RELIABILITY:
        return slope, shape.without(UNRELIABLE)
    return slope, shape.estimate(ratings.pearson(critical), DELTA, UNRELIABLE)


def _with_enough_prompts(influences: Sequence[PromptInfluences]) -> Flags:
    """Which contestants have enough prompts of their own in both leaderboards, bool[m]; all, if fewer than three do."""
    kept: Flags = np.minimum(*(fit.own_prompts for fit in influences)) >= FEWEST
    return kept if kept.sum() >= _FEWEST else np.ones_like(kept)


def _why_unknown(influences: Sequence[PromptInfluences], battles: Battles) -> str:
    """Why the errors of the ratings are unknown; empty if they are known."""
    if few := too_few(battles.n_clusters):
        return few
    own_prompts = np.minimum(*(fit.own_prompts for fit in influences))
    if own_prompts.min() < FEWEST:
        fewest = int(own_prompts.argmin())
        name, count = battles.contestants[fewest], int(own_prompts[fewest])
        return f"none: {name} has {count} prompts of its own in one leaderboard, at least {FEWEST} are needed"
    return ALIKE if any(np.square(fit.values).sum() <= _LEVEL for fit in influences) else ""


def _check_comparable(first_battles: Battles, second_battles: Battles) -> None:
    if first_battles.cluster is None or second_battles.cluster is None:
        raise StatisticsError("Comparing two leaderboards needs battles with clusters (their prompts).")
    if first_battles.contestants != second_battles.contestants or first_battles.n_clusters != second_battles.n_clusters:
        raise StatisticsError("Comparing two leaderboards needs the same contestants and prompts in both.")
    if len(first_battles.contestants) < _FEWEST:
        raise StatisticsError(
            f"Comparing two leaderboards needs at least {_FEWEST} contestants, not {len(first_battles.contestants)}."
        )


def _rank_correlations(first: Floats, second: Floats) -> tuple[float, float]:
    """Spearman's rho and Kendall's tau-b. Raises StatisticsError if all values of one are equal."""
    first_signs, second_signs = (np.sign(np.round(np.subtract.outer(x, x), 9)) for x in (first, second))
    if not (first_signs.any() and second_signs.any()):
        raise StatisticsError(
            "All contestants of one leaderboard have the same rating, so there is no order to compare."
        )
    rho = _cosine(first_signs.sum(axis=1), second_signs.sum(axis=1))
    return rho, _cosine(first_signs.ravel(), second_signs.ravel())


def _cosine(x: Floats, y: Floats) -> float:
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))
