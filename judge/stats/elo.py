"""Online Elo: ratings that move after every battle.

A. E. Elo (1978), "The Rating of Chessplayers, Past and Present". The result **depends on the order of the battles**:
the same battles in another order give other ratings. It therefore has no interval here; Bradley-Terry has.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from judge.stats.arrays import Floats, Ints, rounded
from judge.stats.battles import LEFT, TIE, Battles
from judge.stats.ranks import ranks

_SCORE = {LEFT: 1.0, TIE: 0.5}


@dataclass(frozen=True, eq=False)
class Elo:
    """The ratings after the last of the *battles*, and the settings they were computed with.

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
        """The rank of each contestant, int32[m]: 1 is best, equals share the better one."""
        return ranks(self.ratings)


def elo(battles: Battles, k: float = 4.0, start: float = 1000.0, scale: float = 400.0, base: float = 10.0) -> Elo:
    """The online Elo ratings of *battles* in the order given, which matters.

    A win counts 1 and a tie 0.5; each battle moves both ratings by *k* times its weight times (score - expected score),
    where the expected score is 1 / (1 + base ** ((other - own) / scale)). Raises ValueError where a setting is not
    finite or not positive, or so large that ratings leave the range of numbers.
    """
    sound = {"k": k > 0, "scale": scale > 0, "base": base > 1, "start": True}
    for (name, in_range), value in zip(sound.items(), (k, scale, base, start), strict=True):
        if not (isfinite(value) and in_range):
            raise ValueError(f"Elo needs a finite start, k and scale above 0 and a base above 1; {name} is {value}.")
    try:
        ratings = _play(battles, k, start, scale, base)
    except OverflowError:
        raise ValueError(f"Elo's ratings leave the range of numbers with k = {k:g} and scale = {scale:g}.") from None
    return Elo(battles, k, start, scale, base, rounded(np.array(ratings), 6))


def _play(battles: Battles, k: float, start: float, scale: float, base: float) -> list[float]:
    ratings = [start] * len(battles.contestants)
    scores = [_SCORE.get(code, 0.0) for code in range(3)]
    moves = [k] * battles.n if battles.weight is None else (k * battles.weight).tolist()
    columns = battles.left.tolist(), battles.right.tolist(), battles.outcome.tolist(), moves
    for left, right, outcome, move in zip(*columns, strict=True):
        own, other = ratings[left], ratings[right]
        change = move * (scores[outcome] - 1.0 / (1.0 + base ** ((other - own) / scale)))
        ratings[left] = own + change
        ratings[right] = other - change
    return ratings
