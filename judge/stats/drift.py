"""Drift: whether a judge has changed, from verdicts on the same presentations before and after.

The same judge does not always give the same verdict twice. Let p and q be the probabilities of its three outcomes on a
presentation before and after. A verdict from before and one from after differ with probability 1 - sum(p q). Two
verdicts from the same time differ with probability 1 - sum(p p) or 1 - sum(q q). The first minus the mean of the other
two is half of sum((p - q)^2), which is 0 exactly if nothing has changed. All three are estimated without bias from
pairs of different repeats (G. J. Székely, M. L. Rizzo (2013), "Energy statistics", J. Stat. Planning and Inference
143(8), on a discrete space), so a presentation needs two repeats before or after.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints
from judge.stats.battles import TIE
from judge.stats.cluster_intervals import ALIKE, Estimate, mean
from judge.stats.errors import StatisticsError

_PAIR = 2


@dataclass(frozen=True)
class Drift:
    """The changes on the *presentations* that were judged before and after. Intervals are over prompts.

    *changed* is the share of pairs of verdicts, one from before and one from after, that differ. *noise* is the share
    of pairs of repeats that differ, on the presentations that have repeats. *beyond* is the changed share on those
    presentations minus the noise; the judge has changed if the interval lies above 0. *ties* is the share of ties after
    minus the share before. *first* is the same difference for verdicts for the output shown first (a tie counts half).
    """

    presentations: int
    changed: Estimate
    noise: Estimate
    beyond: Estimate
    ties: Estimate
    first: Estimate

    @property
    def answer(self) -> str:
        """The answer in words: "changed", "no more than noise" or "cannot tell".

        >>> nothing = Estimate(None, None, None, None, "none: no prompts", 0.95, 0, 0)
        >>> Drift(0, nothing, nothing, nothing, nothing, nothing).answer
        'cannot tell'
        """
        least = self.beyond.value if self.beyond.method == ALIKE else self.beyond.low
        if least is None:
            return "cannot tell"
        return "changed" if least > 0 else "no more than noise"


def drift(before: Floats, after: Floats, first: Ints, cluster: Ints, level: float = 0.95) -> Drift:
    """Measure how a judge's verdicts on n presentations have changed.

    *before* and *after* are float64[n, 3], the counts of LEFT, RIGHT and TIE over the repeats. *first* is int32[n],
    which of LEFT and RIGHT was shown first. *cluster* is int32[n], the prompts. Raises StatisticsError if a
    presentation has no verdict before or after.

    >>> before, after = np.tile([2.0, 0.0, 0.0], (50, 1)), np.tile([[2.0, 0, 0], [0, 2.0, 0]], (25, 1))
    >>> result = drift(before, after, np.zeros(50, dtype=np.int32), np.arange(50, dtype=np.int32))
    >>> result.changed.value, result.noise.value, result.answer
    (0.5, 0.0, 'changed')
    """
    repeats = np.stack((before.sum(axis=1), after.sum(axis=1)))
    if (repeats < 1).any():
        raise StatisticsError(f"Presentation {int((repeats < 1).any(axis=0).argmax())} has no verdict before or after.")
    differ = 1 - (before * after).sum(axis=1) / (repeats[0] * repeats[1])
    noise = _noise(before, after, repeats)
    known = ~np.isnan(noise)
    shares = np.stack((before, after)) / repeats[:, :, None]
    at = np.arange(first.size)
    to_first = shares[:, at, first] + shares[:, :, TIE] / 2

    return Drift(
        presentations=first.size,
        changed=mean(differ, cluster, level, (0.0, 1.0)),
        noise=mean(noise[known], cluster[known], level, (0.0, 1.0)),
        beyond=mean((differ - noise)[known], cluster[known], level),
        ties=mean(shares[1, :, TIE] - shares[0, :, TIE], cluster, level, (-1.0, 1.0)),
        first=mean(to_first[1] - to_first[0], cluster, level, (-1.0, 1.0)),
    )


def _noise(before: Floats, after: Floats, repeats: Floats) -> Floats:
    """The share of pairs of repeats that differ, the mean of before and after; NaN without repeats."""
    pairs = repeats * (repeats - 1)
    same = np.stack([(side * (side - 1)).sum(axis=1) for side in (before, after)])
    sides = np.count_nonzero(repeats >= _PAIR, axis=0)
    differ = np.where(repeats >= _PAIR, 1 - same / np.where(pairs > 0, pairs, 1), 0.0).sum(axis=0)
    noise: Floats = np.where(sides > 0, differ / np.maximum(sides, 1), np.nan)
    return noise
