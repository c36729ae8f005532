"""Has a judge changed? Verdicts on the same showings before and after, against how far it differs from itself.

A judge asked twice does not always say the same. With p and q the chances of its three outcomes on a showing before and
after, two verdicts from both sides differ with chance 1 - sum(p q), two of one side with 1 - sum(p p) or 1 - sum(q q).
What the first is above the mean of the others is half of sum((p - q)^2): 0 exactly where nothing has changed. All three
are estimated without bias from pairs of different repeats (G. J. Székely, M. L. Rizzo (2013), "Energy statistics",
J. Stat. Planning and Inference 143(8), on a discrete space), so a showing needs two repeats on one side at least.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints
from judge.stats.battles import TIE
from judge.stats.cluster_intervals import ALIKE, Estimate, mean

_PAIR = 2


@dataclass(frozen=True)
class Drift:
    """What has changed on so many *presentations*, judged both before and after; each figure has its interval over
    prompts.

    *changed* is the share of pairs of verdicts, one of before and one of after, that differ. *noise* is the share of
    pairs of repeats that differ, on the showings that have any; *beyond* is how far the changed share on these is above
    it: more than noise where the interval lies above 0. *ties* is how much more of the verdicts are ties after than
    before, and *first* how much more of them go to what was shown first, a tie going half to each.
    """

    presentations: int
    changed: Estimate
    noise: Estimate
    beyond: Estimate
    ties: Estimate
    first: Estimate

    @property
    def answer(self) -> str:
        """Changed, no more than noise, or cannot tell.

        >>> nothing = Estimate(None, None, None, None, "none: so it is", 0.95, 0, 0)
        >>> Drift(0, nothing, nothing, nothing, nothing, nothing).answer
        'cannot tell'
        """
        least = self.beyond.value if self.beyond.method == ALIKE else self.beyond.low
        if least is None:
            return "cannot tell"
        return "changed" if least > 0 else "no more than noise"


def drift(before: Floats, after: Floats, first: Ints, cluster: Ints, level: float = 0.95) -> Drift:
    """How a judge's verdicts on n showings have changed.

    *before* and *after* are float64[n, 3]: how many repeats said LEFT, RIGHT, TIE, at least one each; *first* is
    int32[n], which of LEFT and RIGHT was shown first; *cluster* is int32[n], the prompts. Raises ValueError where a
    showing has no verdict on one side.

    >>> before, after = np.tile([2.0, 0.0, 0.0], (50, 1)), np.tile([[2.0, 0, 0], [0, 2.0, 0]], (25, 1))
    >>> found = drift(before, after, np.zeros(50, dtype=np.int32), np.arange(50, dtype=np.int32))
    >>> found.changed.value, found.noise.value, found.answer
    (0.5, 0.0, 'changed')
    """
    many = np.stack((before.sum(axis=1), after.sum(axis=1)))
    if (many < 1).any():
        raise ValueError("A showing has no verdict before or after.")
    differ = 1 - (before * after).sum(axis=1) / (many[0] * many[1])
    noise = _noise(before, after, many)
    told = ~np.isnan(noise)
    shares = np.stack((before, after)) / many[:, :, None]
    at = np.arange(first.size)
    to_first = shares[:, at, first] + shares[:, :, TIE] / 2

    return Drift(
        first.size,
        changed=mean(differ, cluster, level, (0.0, 1.0)),
        noise=mean(noise[told], cluster[told], level, (0.0, 1.0)),
        beyond=mean((differ - noise)[told], cluster[told], level),
        ties=mean(shares[1, :, TIE] - shares[0, :, TIE], cluster, level, (-1.0, 1.0)),
        first=mean(to_first[1] - to_first[0], cluster, level, (-1.0, 1.0)),
    )


def _noise(before: Floats, after: Floats, many: Floats) -> Floats:
    """How often two repeats of a showing differ, the mean of the sides that have two; NaN where none has."""
    pairs = many * (many - 1)
    same = np.stack([(side * (side - 1)).sum(axis=1) for side in (before, after)])
    sides = np.count_nonzero(many >= _PAIR, axis=0)
    differ = np.where(many >= _PAIR, 1 - same / np.where(pairs > 0, pairs, 1), 0.0).sum(axis=0)
    found: Floats = np.where(sides > 0, differ / np.maximum(sides, 1), np.nan)
    return found
