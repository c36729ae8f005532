"""Looking several times without being fooled: a rule that stops on intervals spends its alpha over its looks.

Two equal contestants are "separated" at some of 20 looks in a quarter of runs with plain 95 % intervals. After a share
t of all looks, 2 (1 - Phi(z / sqrt(t))) of alpha has been spent, z being the two-sided quantile of alpha: K. K. G. Lan,
D. L. DeMets (1983), "Discrete Sequential Boundaries for Clinical Trials", Biometrika 70(3), with the bounds of P. C.
O'Brien, T. R. Fleming (1979). Each look spends what its share adds, and nothing is taken back for looks being alike, so
that the sum over looks bounds the chance of ever being wrong, however the battles between them are chosen.
"""

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.cluster_intervals import checked_level

MOST = 1000
_LEAST = 1e-12
"""What a look spends at least: a level of 1 would have no interval."""


def look_levels(looks: int, level: float = 0.95) -> Floats:
    """The level of the intervals at each of *looks* equally spaced looks, float64[looks]: all hold at *level* together.

    Raises ValueError for a senseless level or number of looks.

    >>> [round(float(one), 4) for one in look_levels(3)]
    [0.9993, 0.9843, 0.9664]
    """
    from scipy.special import ndtr, ndtri  # noqa: PLC0415 - a slow import, needed only here

    if not 1 <= looks <= MOST:
        raise ValueError(f"There are from 1 to {MOST} looks, not {looks}.")
    alpha = 1 - checked_level(level)
    share = np.arange(1, looks + 1) / looks
    spent = 2 * ndtr(ndtri(alpha / 2) / np.sqrt(share))
    found: Floats = 1 - np.maximum(np.diff(spent, prepend=0.0), _LEAST)
    return found
