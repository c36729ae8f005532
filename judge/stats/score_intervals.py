"""Intervals of a share from its variance over prompts: Wilson's, and Korn and Graubard's near 0 and 1.

A share v with the variance V is worth n = v (1 - v) / V independent rows. V is estimated, so an interval uses the
critical value c of its estimate instead of the normal z.

- Wilson's interval, of all shares p with |v - p| <= c sqrt(p (1 - p) / n): E. B. Wilson (1927), JASA 22(158).
- With fewer than 10 effective rows on either side, that is min(v, 1 - v) n (z / c)^2 < 10, Clopper and Pearson's
  interval for n (z / c)^2 rows: E. L. Korn, B. I. Graubard (1998), Survey Methodology 24(2); N. Dean, M. Pagano (2015),
  Journal of Survey Statistics and Methodology 3(4).

A coefficient with two bounds (kappa from -1 to 1) is treated as a share of the way between them. Close to a bound its
variance goes to zero as that of a share does, and n counts the rows that keep it from the bound.
"""

import numpy as np

WILSON = "wilson"
KORN_GRAUBARD = "korn-graubard"

_FEWEST_ON_A_SIDE = 10


def score_interval(share: float, rows: float, critical: float, level: float) -> tuple[float, float, str]:
    """The interval of a *share* worth a number of *rows*, and its name. *critical* is c, the half width in errors.

    >>> low, high, name = score_interval(0.8, 100, 2.0, 0.95)
    >>> round(low, 3), round(high, 3), name
    (0.709, 0.868, 'wilson')
    >>> low, high, name = score_interval(0.99, 100, 2.0, 0.95)
    >>> round(low, 3), round(high, 3), name
    (0.944, 1.0, 'korn-graubard')
    """
    exact = exact_rows(rows, critical, level)
    if min(share, 1 - share) * exact < _FEWEST_ON_A_SIDE:
        return *clopper_pearson(share, exact, (1 - level) / 2), KORN_GRAUBARD
    shrink = critical**2 / rows
    center = (share + shrink / 2) / (1 + shrink)
    half = critical / (1 + shrink) * float(np.sqrt(share * (1 - share) / rows + shrink / (4 * rows)))
    return center - half, center + half, WILSON


def chance_of_less(share: float, rows: float, than: float) -> float:
    """The p value of a true share of less *than* some value, if a *share* of *rows* was seen, as in `clopper_pearson`.

    The lower Clopper-Pearson bound at a tail of this probability is that value.

    >>> low, _ = clopper_pearson(0.9, 100, 0.1)
    >>> round(chance_of_less(0.9, 100, low), 6)
    0.1
    """
    from scipy.special import betainc  # noqa: PLC0415 - a slow import, needed only here

    hits = share * rows
    return float(betainc(hits, rows - hits + 1, than)) if hits > 0 else 1.0


def exact_rows(rows: float, critical: float, level: float) -> float:
    """How many *rows* count in an exact binomial interval of *level* if their number is estimated: n (z / c)^2.

    >>> round(exact_rows(100, 2.0, 0.95), 1)
    96.0
    """
    from scipy.special import ndtri  # noqa: PLC0415 - as above

    return rows * (float(ndtri((1 + level) / 2)) / critical) ** 2


def clopper_pearson(share: float, rows: float, tail: float) -> tuple[float, float]:
    """The exact binomial bounds of a *share* of *rows* (any number), with a probability of *tail* on either side.

    C. J. Clopper, E. S. Pearson (1934), Biometrika 26(4).

    >>> [round(bound, 4) for bound in clopper_pearson(1.0, 20, 0.025)]
    [0.8316, 1.0]
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - as above

    hits, misses = share * rows, (1 - share) * rows
    low = float(betaincinv(hits, misses + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - tail)) if misses > 0 else 1.0
    return low, high
