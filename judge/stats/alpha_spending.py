"""Alpha spending: the levels of intervals for a rule that looks several times and stops on what it sees.

With plain 95 % intervals and 20 looks, two equal contestants are "separated" at some look in a quarter of all runs.
After a share t of all looks, 2 (1 - Phi(z / sqrt(t))) of alpha is spent, where z is the two-sided quantile of alpha: K.
K. G. Lan, D. L. DeMets (1983), "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70(3), with the bounds
of P. C. O'Brien, T. R. Fleming (1979). Each look spends what its share adds. Nothing is deducted for the correlation of
looks, so the sum over looks bounds the probability of ever being wrong, however battles are chosen between looks.
"""

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level

MOST = 1000
_LEAST = 1e-12
"""The least that a look spends: an interval of level 1 would be infinite."""


def look_levels(looks: int, level: float = 0.95) -> Floats:
    """The level of the intervals at each of *looks* equally spaced looks, so that all hold at *level*: float64[looks].

    Raises StatisticsError for a level outside 0 to 1, or a number of looks outside 1 to 1,000.

    >>> [round(float(x), 4) for x in look_levels(3)]
    [0.9993, 0.9843, 0.9664]
    """
    from scipy.special import ndtr, ndtri  # noqa: PLC0415 - a slow import, needed only here

    if not 1 <= looks <= MOST:
        raise StatisticsError(f"The number of looks must be from 1 to {MOST:,}, not {looks:,}.")
    alpha = 1 - check_level(level)
    share = np.arange(1, looks + 1) / looks
    spent = 2 * ndtr(ndtri(alpha / 2) / np.sqrt(share))
    levels: Floats = 1 - np.maximum(np.diff(spent, prepend=0.0), _LEAST)
    return levels
