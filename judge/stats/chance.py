"""Agreement beyond chance, from tables of counts.

A table is float64[..., 3, 3]: how often the source said row while the target said column (LEFT, RIGHT, TIE). With p_o
the share on the diagonal and p_e the share that chance would put there, each coefficient is (p_o - p_e) / (1 - p_e).

- Cohen's kappa: p_e is the product of the two marginals, summed. J. Cohen (1960), "A coefficient of agreement for
  nominal scales", Educational and Psychological Measurement 20(1).
- Gwet's AC1: p_e is the sum of q (1 - q) over categories, by one less than their number, with q the mean of the two
  marginals. K. L. Gwet (2008), "Computing inter-rater reliability and its variance in the presence of high agreement",
  British Journal of Mathematical and Statistical Psychology 61(1).
"""

import numpy as np

from judge.columns.arrays import Floats
from judge.stats.battles import LEFT, RIGHT, TIE

_MIRROR = [RIGHT, LEFT, TIE]

_NOTHING = 1e-12
"""A share that is zero but for rounding."""


def cohen_kappa(tables: Floats) -> Floats:
    """Cohen's kappa of each table, float64[...]; NaN where a table is empty or chance alone would always agree.

    >>> round(float(cohen_kappa(np.array([[20.0, 5.0, 0.0], [10.0, 15.0, 0.0], [0.0, 0.0, 0.0]]))), 6)
    0.4
    """
    n = _totals(tables)
    expected = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1) / np.square(n)
    return _beyond(tables, n, expected)


def gwet_ac1(tables: Floats, categories: int = 3) -> Floats:
    """Gwet's AC1 of each table, float64[...], over so many *categories*; NaN where a table is empty.

    >>> round(float(gwet_ac1(np.array([[20.0, 5.0, 0.0], [10.0, 15.0, 0.0], [0.0, 0.0, 0.0]]))), 6)
    0.601329
    """
    n = _totals(tables)
    share = (tables.sum(axis=-1) + tables.sum(axis=-2)) / (2 * n[..., None])
    return _beyond(tables, n, (share * (1 - share)).sum(axis=-1) / (categories - 1))


def macro_f1(tables: Floats) -> Floats:
    """The F1 of each outcome, the target's being right, averaged over those that either side said: float64[...].

    NaN where a table is empty. C. J. van Rijsbergen (1979), "Information
    Retrieval", chapter 7.

    >>> round(float(macro_f1(np.array([[20.0, 5.0, 0.0], [10.0, 15.0, 0.0], [0.0, 0.0, 0.0]]))), 6)
    0.69697
    """
    said = tables.sum(axis=-1) + tables.sum(axis=-2)
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    found = np.divide(2 * right, said, out=np.zeros_like(said), where=said > 0)
    many = np.count_nonzero(said, axis=-1)
    mean: Floats = found.sum(axis=-1) / np.where(many > 0, many, np.nan)
    return mean


def both_orientations(tables: Floats) -> Floats:
    """Every pair counted once as it is and once with left and right exchanged on both sides.

    >>> both_orientations(np.array([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]])).tolist()
    [[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 6.0]]
    """
    return tables + tables[..., _MIRROR, :][..., :, _MIRROR]


def both_roles(tables: Floats) -> Floats:
    """Every pair counted once as it is and once with source and target exchanged.

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
