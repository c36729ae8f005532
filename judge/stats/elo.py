"""Online Elo: ratings that move after every battle.

A. E. Elo (1978), "The Rating of Chessplayers, Past and Present". The result **depends on the order of the battles**:
the same battles in a different order give different ratings. So online Elo has no interval. Its mean over random orders
has one, from resampled prompts: the variance of ratings over resamples, each in one random order, times G / (G - 1),
minus the variance that the order alone causes, with Student's t of G - 1 degrees of freedom. A contestant needs
at least 5 prompts of its own, as in `sandwich`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from math import exp, isfinite, log

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Floats, Ints, round_to
from judge.stats.battles import LEFT, TIE, Battles
from judge.stats.cancellation import go_on
from judge.stats.cluster_intervals import ALIKE, t_quantile, too_few
from judge.stats.errors import StatisticsError
from judge.stats.ranks import ranks
from judge.stats.sandwich import NOBODY, own_prompts_reasons

RESAMPLED = "bootstrap-of-prompts-se-t"
_SCORE = {LEFT: 1.0, TIE: 0.5}
_SLIGHT = 1e-9
"""A smaller error, as a share of the K factor, is a rounding error of zero."""


@dataclass(frozen=True, eq=False)
class Elo:
    """The ratings after the last of the *battles*, and the settings behind them.

    *ratings* is float64[m], rounded to 1e-6; a contestant without battles keeps *start*.
    """

    battles: Battles
    k: float
    start: float
    scale: float
    base: float
    ratings: Floats

    @property
    def ranks(self) -> Ints:
        """The rank of each contestant, int32[m]: 1 is best, and ties share the better rank."""
        return ranks(self.ratings)


def elo(battles: Battles, k: float = 4.0, start: float = 1000.0, scale: float = 400.0, base: float = 10.0) -> Elo:
    """Compute the online Elo ratings of *battles* in the given order, which matters.

    A win counts 1 and a tie 0.5. Each battle moves both ratings by *k* times its weight times (score - expected score),
    where the expected score is 1 / (1 + base ** ((other - own) / scale)). Raises StatisticsError if a setting is not
    finite or out of range, or so large that the ratings overflow.

    >>> elo(Battles.from_names(["a", "a"], ["b", "b"], ["left", "tie"])).ratings.tolist()
    [1001.976975, 998.023025]
    """
    _check_settings(k, start, scale, base)
    try:
        ratings = _play(battles, k, start, scale, base)
    except OverflowError:
        raise StatisticsError(
            f"The Elo ratings overflow with k = {k:g} and scale = {scale:g}: use a smaller k or a larger scale."
        ) from None
    return Elo(battles=battles, k=k, start=start, scale=scale, base=base, ratings=round_to(np.array(ratings), 6))


@dataclass(frozen=True, eq=False)
class PermutedElo:
    """Elo averaged over random orders of the *battles*: *ratings* and their spread *order_sd*, float64[m].

    *order_sd* is the standard deviation over orders; it is no interval. *low*, *high* and *standard_error* are for new
    prompts, and NaN if *method* begins with "none: ", and for each contestant with a reason of its own in *reasons*:
    "none: ...", or empty.
    """

    battles: Battles
    permutations: int
    ratings: Floats
    order_sd: Floats
    low: Floats
    high: Floats
    standard_error: Floats
    method: str
    reasons: tuple[str, ...]
    clusters: int

    @property
    def ranks(self) -> Ints:
        """The rank of each contestant, int32[m]: 1 is best, and ties share the better rank."""
        return ranks(self.ratings)


def permuted_elo(
    battles: Battles,
    rng: np.random.Generator,
    permutations: int = 100,
    k: float = 4.0,
    start: float = 1000.0,
    scale: float = 400.0,
    base: float = 10.0,
    level: float = 0.95,
) -> PermutedElo:
    """Compute the mean of `elo` over random *permutations* of *battles*, with its uncertainty over prompts.

    The uncertainty comes from as many resamples of prompts. Raises StatisticsError like `elo`, and for fewer than 2
    permutations or a level outside 0 to 1.

    >>> average = permuted_elo(Battles.from_names(["a", "a"], ["b", "b"], ["left", "tie"]), np.random.default_rng(0))
    >>> average.ratings.round(1).tolist(), average.method
    ([1002.0, 998.0], 'none: 2 prompts, at least 5 are needed')
    """
    if permutations < 2:  # noqa: PLR2004 - a spread needs two
        raise StatisticsError(f"The mean over orders needs at least 2 permutations, not {permutations}.")
    settings = _check_settings(k, start, scale, base)
    orders = rng.permuted(np.tile(np.arange(battles.n, dtype=np.int32), (permutations, 1)), axis=1)
    by_order = _play_many(battles, orders, *settings)
    order_sd = by_order.std(axis=0, ddof=1)
    cluster = np.arange(battles.n, dtype=np.int32) if battles.cluster is None else battles.cluster
    _, code = np.unique(cluster, return_inverse=True)
    clusters = int(code.max()) + 1
    few = too_few(clusters)
    reasons, error = (few,) * order_sd.size, np.full(order_sd.size, np.nan)
    quantile = t_quantile(level, max(clusters, 2))
    if not few:
        again = _play_many(battles, _resampled(code.astype(np.int32), clusters, permutations, rng), *settings)
        variance = again.var(axis=0, ddof=1) * clusters / (clusters - 1) - np.square(order_sd)
        error = np.sqrt(np.maximum(variance, np.square(order_sd) / permutations))
        reasons = _reasons(battles, error / k)
        error[[bool(reason) for reason in reasons]] = np.nan
    mean, half = by_order.mean(axis=0), quantile * error
    return PermutedElo(
        battles=battles,
        permutations=permutations,
        ratings=round_to(mean, 6),
        order_sd=round_to(order_sd, 6),
        low=round_to(mean - half, 6),
        high=round_to(mean + half, 6),
        standard_error=round_to(error, 6),
        method=_method(reasons),
        reasons=reasons,
        clusters=clusters,
    )


def _reasons(battles: Battles, error: Floats) -> tuple[str, ...]:
    """Why each contestant has no interval, or empty. *error* is float64[m], in units of the K factor."""
    few = own_prompts_reasons(battles.own_prompts())
    return tuple(
        reason or ("" if known else ALIKE) for reason, known in zip(few, (error > _SLIGHT).tolist(), strict=True)
    )


def _method(reasons: tuple[str, ...]) -> str:
    """The method of the intervals; if nobody has one, the reason that all share."""
    if not all(reasons):
        return RESAMPLED
    return reasons[0] if len(set(reasons)) == 1 else NOBODY


def _resampled(code: Ints, clusters: int, replicates: int, rng: np.random.Generator) -> Ints:
    """Resamples of clusters, each in a random order: battles, int32[replicates, n], -1 for no battle."""
    members = np.argsort(code, kind="stable")
    ends = np.cumsum(np.bincount(code, minlength=clusters))
    drawn = [
        rng.permutation(np.concatenate([members[ends[g - 1] if g else 0 : ends[g]] for g in row]))
        for row in rng.integers(0, clusters, (replicates, clusters)).tolist()
    ]
    orders = np.full((replicates, max(map(len, drawn))), -1, dtype=np.int32)
    for row, battles in zip(orders, drawn, strict=True):
        row[: len(battles)] = battles
    return orders


def _play_many(battles: Battles, orders: Ints, k: float, start: float, scale: float, base: float) -> Floats:
    """The final ratings for each of several *orders* (int32[R, n], -1 for no battle): float64[R, m]."""
    ratings = np.full((len(orders), len(battles.contestants)), start)
    row = np.arange(len(orders))
    scores = np.array([_SCORE.get(code, 0.0) for code in range(3)])
    weight = np.ones(battles.n) if battles.weight is None else battles.weight
    rate = np.log(base) / scale
    for at in orders.T:
        go_on()
        left, right = battles.left[at], battles.right[at]
        own, other = ratings[row, left], ratings[row, right]
        expected = 0.5 + 0.5 * np.tanh(rate * (own - other) / 2)
        change = np.where(at < 0, 0.0, k * weight[at] * (scores[battles.outcome[at]] - expected))
        ratings[row, left] = own + change
        ratings[row, right] = other - change
    if not np.isfinite(ratings).all():
        raise StatisticsError(
            f"The Elo ratings overflow with k = {k:g} and scale = {scale:g}: use a smaller k or a larger scale."
        )
    return ratings


def _check_settings(k: float, start: float, scale: float, base: float) -> tuple[float, float, float, float]:
    sound = {"k": k > 0, "scale": scale > 0, "base": base > 1, "start": True}
    for (name, in_range), value in zip(sound.items(), (k, scale, base, start), strict=True):
        if not (isfinite(value) and in_range):
            raise StatisticsError(
                f"Elo needs a finite start, k and scale above 0, and a base above 1; {name} is {value}."
            )
    return k, start, scale, base


def _play(battles: Battles, k: float, start: float, scale: float, base: float) -> list[float]:
    # This loop takes all the time. It works in natural units, and walks over bytes if codes are small.
    unit = log(base) / scale
    ratings = [start * unit] * len(battles.contestants)
    scores = [_SCORE.get(code, 0.0) for code in range(3)]
    moves = repeat(k * unit) if battles.weight is None else (k * unit * battles.weight).tolist()
    columns = (_numbers(column) for column in (battles.left, battles.right, battles.outcome))
    for left, right, outcome, move in zip(*columns, moves):  # noqa: B905 - a constant has no end
        own, other = ratings[left], ratings[right]
        change = move * (scores[outcome] - 1.0 / (1.0 + exp(other - own)))
        ratings[left] = own + change
        ratings[right] = other - change
    return [rating / unit for rating in ratings]


def _numbers(codes: npt.NDArray[np.integer]) -> Sequence[int]:
    """The *codes* as bytes if they are small, which is faster to iterate over than a list."""
    return codes.astype(np.uint8).tobytes() if codes.max() <= np.iinfo(np.uint8).max else codes.tolist()
