"""Agreement corrected for chance, from tables of counts.

A table is float64[..., 3, 3]: the counts of the source's outcome (row) by the target's (column), in the order LEFT,
RIGHT, TIE. With p_o the share on the diagonal and p_e the share expected there by chance, each coefficient is
(p_o - p_e) / (1 - p_e).

- Cohen's kappa: p_e is the product of the two marginals, summed. J. Cohen (1960), "A coefficient of agreement for
  nominal scales", Educational and Psychological Measurement 20(1).
- Gwet's AC1: p_e is the sum of q (1 - q) over categories, divided by their number minus one, with q the mean of the two
  marginals. K. L. Gwet (2008), "Computing inter-rater reliability and its variance in the presence of high agreement",
  British Journal of Mathematical and Statistical Psychology 61(1).
"""

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.battles import LEFT, RIGHT, TIE

_MIRROR = [RIGHT, LEFT, TIE]

_NOTHING = 1e-12
"""Smaller shares are rounding errors of zero."""


def cohen_kappa(tables: Floats) -> Floats:
    """Cohen's kappa of each table, float64[...]; NaN where a table is empty or p_e is 1.

    >>> round(float(cohen_kappa(np.array([[20.0, 5.0, 0.0], [10.0, 15.0, 0.0], [0.0, 0.0, 0.0]]))), 6)
    0.4
    """
    n = _totals(tables)
    expected = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1) / np.square(n)
    return _beyond(tables, n, expected)


def gwet_ac1(tables: Floats, categories: int = 3) -> Floats:
    """Gwet's AC1 of each table, float64[...], for *categories* outcomes; NaN where a table is empty.

    >>> round(float(gwet_ac1(np.array([[20.0, 5.0, 0.0], [10.0, 15.0, 0.0], [0.0, 0.0, 0.0]]))), 6)
    0.601329
    """
    n = _totals(tables)
    share = (tables.sum(axis=-1) + tables.sum(axis=-2)) / (2 * n[..., None])
    return _beyond(tables, n, (share * (1 - share)).sum(axis=-1) / (categories - 1))


def macro_f1(tables: Floats) -> Floats:
    """The mean F1 score over the outcomes that either side used, with the target as the truth: float64[...].

    NaN where a table is empty. C. J. van Rijsbergen (1979), "Information Retrieval", chapter 7.

    >>> round(float(macro_f1(np.array([[20.0, 5.0, 0.0], [10.0, 15.0, 0.0], [0.0, 0.0, 0.0]]))), 6)
    0.69697
    """
    totals = tables.sum(axis=-1) + tables.sum(axis=-2)
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    f1 = np.divide(2 * right, totals, out=np.zeros_like(totals), where=totals > 0)
    outcomes_used = np.count_nonzero(totals, axis=-1)
    mean: Floats = f1.sum(axis=-1) / np.where(outcomes_used > 0, outcomes_used, np.nan)
    return mean


def both_orientations(tables: Floats) -> Floats:
    """Count every pair twice: as it is, and with left and right exchanged in both outcomes.

    >>> both_orientations(np.array([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]])).tolist()
    [[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 6.0]]
    """
    return tables + tables[..., _MIRROR, :][..., :, _MIRROR]


def both_roles(tables: Floats) -> Floats:
    """Count every pair twice: as it is, and with source and target exchanged.

    >>> both_roles(np.array([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]])).tolist()
    [[4.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 6.0]]
    """
    return tables + np.swapaxes(tables, -1, -2)


def _totals(tables: Floats) -> Floats:
    total = tables.sum(axis=(-2, -1))
    return np.where(total > 0, total, np.nan)


def _beyond(tables: Floats, n: Floats, expected: Floats) -> Floats:
    observed = np.trace(tables, axis1=-2, axis2=-1) / n
    possible = 1 - expected
    beyond: Floats = (observed - expected) / np.where(possible > _NOTHING, possible, np.nan)
    return beyond
