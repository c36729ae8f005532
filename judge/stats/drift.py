"""Drift: whether a judge has changed, from verdicts on the same presentations before and after.

The same judge does not always give the same verdict twice. Let p and q be the probabilities of its three outcomes on a
presentation before and after. A verdict from before and one from after differ with probability 1 - sum(p q). Two
verdicts from the same time differ with probability 1 - sum(p p) or 1 - sum(q q). The first minus the mean of the other
two is half of sum((p - q)^2), which is 0 exactly if nothing has changed. All three are estimated without bias from
pairs of different repeats (G. J. Székely, M. L. Rizzo (2013), "Energy statistics", J. Stat. Planning and Inference
143(8), on a discrete space). This needs two repeats before and two after: with repeats on one side alone the difference
is sum(p (p - q)), which may be 0 or negative although the judge has changed.

That no change was found does not mean that there is none. So "no more than noise" needs an upper bound of the change
that lies below a margin: D. J. Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15(6). If only a few prompts
change, and these by much, Student's t puts the bound too low. It is corrected for skewness as in N. J. Johnson (1978),
J. American Statistical Association 73, P. Hall (1992), J. Royal Statistical Society B 54(1). If prompts change as a
whole and few have many presentations, those that changed may be missing from the sample. So the bound is at least the
exact binomial one of the share of prompts that change altogether, for the effective number of prompts (Korn and
Graubard (1998), Survey Methodology 24(2)). A margin of 0.05 takes 72 effective prompts or more.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.battles import TIE
from judge.stats.cluster_intervals import ALIKE, Estimate, mean, t_quantile, without_interval
from judge.stats.cluster_variance import effective
from judge.stats.errors import StatisticsError
from judge.stats.score_intervals import clopper_pearson

_PAIR = 2
_PLACES = 9
ONE_SIDED = "none: no presentation has repeats both before and after"


@dataclass(frozen=True)
class Drift:
    """The changes on the *presentations* that were judged before and after. Intervals are over prompts.

    *changed* is the share of pairs of verdicts, one from before and one from after, that differ. *noise* is the share
    of pairs of repeats that differ, on the presentations that have repeats. *beyond* is the changed share minus the
    noise, on the presentations with repeats both before and after; *bound* is its upper bound and the higher end of its
    interval, and *margin* the largest change that counts as no more than noise. *ties* is the share of ties after minus
    the share before. *first* is the same difference for verdicts for the output shown first (a tie counts half).
    """

    presentations: int
    changed: Estimate
    noise: Estimate
    beyond: Estimate
    bound: float | None
    margin: float
    ties: Estimate
    first: Estimate

    @property
    def answer(self) -> str:
        """The answer in words: "changed", "no more than noise" or "cannot tell".

        The judge has changed if the interval of *beyond* lies above 0, and the change is no more than noise if its
        *bound* lies below the *margin*.

        >>> nothing = Estimate(None, None, None, None, "none: no prompts", 0.95, 0, 0)
        >>> drift_of_nothing = Drift(
        ...     presentations=0,
        ...     changed=nothing,
        ...     noise=nothing,
        ...     beyond=nothing,
        ...     bound=None,
        ...     margin=0.05,
        ...     ties=nothing,
        ...     first=nothing,
        ... )
        >>> drift_of_nothing.answer
        'cannot tell'
        """
        least = self.beyond.value if self.beyond.method == ALIKE else self.beyond.low
        if least is not None and least > 0:
            return "changed"
        return "no more than noise" if self.bound is not None and self.bound < self.margin else "cannot tell"

    @property
    def least_prompts(self) -> int:
        """The fewest prompts of one size whose bound can lie below the margin: that of prompts that never changed.

        It is 72 for a margin of 0.05 at the level 0.95.
        """
        return int(math.log((1 - self.beyond.level) / 2) / math.log(1 - self.margin)) + 1


def drift(
    before: Floats, after: Floats, first: Ints, cluster: Ints, level: float = 0.95, margin: float = 0.05
) -> Drift:
    """Measure how a judge's verdicts on n presentations have changed.

    *before* and *after* are float64[n, 3], the counts of LEFT, RIGHT and TIE over the repeats. *first* is int32[n],
    which of LEFT and RIGHT was shown first. *cluster* is int32[n], the prompts. *margin* is a share of verdicts. Raises
    StatisticsError if a presentation has no verdict before or after, or for a margin outside 0 to 1.

    >>> before, after = np.tile([2.0, 0.0, 0.0], (50, 1)), np.tile([[2.0, 0, 0], [0, 2.0, 0]], (25, 1))
    >>> result = drift(before, after, np.zeros(50, dtype=np.int32), np.arange(50, dtype=np.int32))
    >>> result.changed.value, result.noise.value, result.answer
    (0.5, 0.0, 'changed')
    """
    repeats = np.stack((before.sum(axis=1), after.sum(axis=1)))
    if (repeats < 1).any():
        raise StatisticsError(f"Presentation {int((repeats < 1).any(axis=0).argmax())} has no verdict before or after.")
    if not 0 < margin < 1:
        raise StatisticsError(f"The margin of a drift must be between 0 and 1, not {margin}.")
    differ = 1 - (before * after).sum(axis=1) / (repeats[0] * repeats[1])
    noise = _noise(before, after, repeats)
    known = ~np.isnan(noise)
    both = (repeats >= _PAIR).all(axis=0)
    shares = np.stack((before, after)) / repeats[:, :, None]
    at = np.arange(first.size)
    to_first = shares[:, at, first] + shares[:, :, TIE] / 2
    beyond, bound = _beyond((differ - noise)[both], cluster[both], level)

    return Drift(
        presentations=first.size,
        changed=mean(differ, cluster, level, (0.0, 1.0)),
        noise=mean(noise[known], cluster[known], level, (0.0, 1.0)),
        beyond=beyond,
        bound=bound,
        margin=margin,
        ties=mean(shares[1, :, TIE] - shares[0, :, TIE], cluster, level, (-1.0, 1.0)),
        first=mean(to_first[1] - to_first[0], cluster, level, (-1.0, 1.0)),
    )


def _beyond(values: Floats, cluster: Ints, level: float) -> tuple[Estimate, float | None]:
    """The mean of *values* and its upper bound, the higher end of its interval of *level*.

    The bound is the larger of Student's, corrected for skewness, and that of prompts that change altogether.
    """
    if values.size == 0:
        return without_interval(None, ONE_SIDED, level, 0, 0), None
    beyond = mean(values, cluster, level)
    if beyond.method == ALIKE and beyond.value == 0:
        # No verdict differs, so the bound is on the share of prompts on which any could.
        beyond = mean(values, cluster, level, (0.0, 1.0))
        return beyond, beyond.high
    if beyond.high is None or beyond.standard_error is None or beyond.value is None:
        return beyond, None
    t = t_quantile(level, beyond.clusters)
    correction = _skewness(values - beyond.value, cluster) * (1 + 2 * t**2) / (6 * beyond.clusters**0.5)
    skewed = beyond.high + beyond.standard_error * correction
    bound = round(max(skewed, _share_of_prompts(beyond.value, cluster, level)), _PLACES)
    return replace(beyond, high=bound), bound


def _share_of_prompts(value: float, cluster: Ints, level: float) -> float:
    """The upper bound of a mean change, if a *value* was seen and a prompt changes either altogether or not at all."""
    size = sums(cluster)
    seen = min(max(value, 0.0), 1.0)
    return clopper_pearson(seen, effective(size[size > 0]), (1 - level) / 2)[1]


def _skewness(residual: Floats, cluster: Ints) -> float:
    """The skewness of the sums of *residual* by cluster; 0 if it is negative."""
    total = sums(cluster, residual)[np.bincount(cluster) > 0]
    spread = float(np.square(total).mean()) ** 1.5
    return max(float((total**3).mean()) / spread, 0.0) if spread > 0 else 0.0


def _noise(before: Floats, after: Floats, repeats: Floats) -> Floats:
    """The share of pairs of repeats that differ, the mean of before and after; NaN without repeats."""
    pairs = repeats * (repeats - 1)
    same = np.stack([(side * (side - 1)).sum(axis=1) for side in (before, after)])
    sides = np.count_nonzero(repeats >= _PAIR, axis=0)
    differ = np.where(repeats >= _PAIR, 1 - same / np.where(pairs > 0, pairs, 1), 0.0).sum(axis=0)
    noise: Floats = np.where(sides > 0, differ / np.maximum(sides, 1), np.nan)
    return noise
