"""What a study can detect, and how many prompts it needs.

A difference of d with standard error s over nu degrees of freedom is significant if |t| exceeds the critical value c.
If the true difference is positive, t follows a noncentral t distribution with noncentrality d / s, so the power is
P(t > c): J. Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences", chapter 2. The critical value is
that of the report: with 20 comparisons adjusted for their number it is larger than with one, and so is the difference
that can be detected.

With n prompts of the same mix in place of G, the standard error shrinks by sqrt(G / n), and the degrees of freedom grow
by n / G.
"""

import math

import numpy as np

from judge.stats.cluster_intervals import FEWEST, Estimate
from judge.stats.critical_values import satterthwaite_t
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level

MOST_PROMPTS = 2**31 - 1
"""The largest number of prompts that is reported as needed."""


def detectable(error: float, freedom: float, critical: float, power: float = 0.8) -> float:
    """The smallest true difference that is significant with a given *power*.

    *error* is the standard error of the difference with its degrees of *freedom*, and *critical* the critical value in
    standard errors, which includes any adjustment for multiple comparisons. The result has the unit of *error*. Raises
    StatisticsError for a power outside 0 to 1.

    >>> round(detectable(10.0, 79, 1.99), 1), round(detectable(10.0, 79, 2.9), 1)
    (28.4, 37.5)
    """
    from scipy.special import nctdtrinc  # noqa: PLC0415 - a slow import, needed only here

    return error * float(nctdtrinc(freedom, 1 - check_level(power), critical))


def detectable_difference(difference: Estimate) -> float | None:
    """The smallest true difference that would have been significant with power 0.8, by the test of this interval.

    It has the standard error, the degrees of freedom and half the width of the interval, which is wider than t's where
    prompts are unequal; None without them. Raises StatisticsError for a level outside 0 to 1.

    >>> from judge.stats.cluster_intervals import estimate
    >>> detectable_difference(estimate(0.1, 0.0025, "by hand", 0.95, 100, 80))
    0.141811
    """
    error, freedom = difference.standard_error, difference.freedom
    if not error or freedom is None:
        return None
    critical = float(satterthwaite_t(difference.level, np.array(freedom)))
    if difference.low is not None and difference.high is not None:
        critical = max(critical, (difference.high - difference.low) / 2 / error)
    return round(detectable(error, freedom, critical), 6)


def needed_for_difference(difference: Estimate, wanted: float) -> int | None:
    """The number of prompts of the same mix that would show a difference of the size *wanted*, as `prompts_needed`.

    None if *difference* has no standard error. Raises StatisticsError unless *wanted* is positive.

    >>> from judge.stats.cluster_intervals import estimate
    >>> needed_for_difference(estimate(0.1, 0.0025, "by hand", 0.95, 100, 80), 0.142)
    80
    """
    if not difference.standard_error or difference.freedom is None:
        return None
    return prompts_needed(
        error=difference.standard_error,
        freedom=difference.freedom,
        clusters=difference.clusters,
        difference=wanted,
        alpha=1 - difference.level,
    )


def prompts_needed(
    error: float,
    freedom: float,
    clusters: int,
    difference: float,
    alpha: float = 0.05,
    power: float = 0.8,
    fewest: int = FEWEST,
) -> int:
    """The smallest number of prompts of the same mix with which a *difference* is significant with a given *power*.

    *error* is the present standard error of the difference over *clusters* prompts, with its degrees of *freedom*.
    *alpha* is the two-sided level of the test, after any adjustment for multiple comparisons. The number is at least
    *fewest*, as many as an interval needs, and at most MOST_PROMPTS. Raises StatisticsError unless the difference is
    positive and alpha and the power are between 0 and 1.

    >>> prompts_needed(error=10.0, freedom=79, clusters=80, difference=14.2)
    314
    >>> prompts_needed(error=10.0, freedom=79, clusters=80, difference=500.0)
    5
    """
    from scipy.special import ndtri  # noqa: PLC0415 - a slow import, needed only here

    if not difference > 0:
        raise StatisticsError(f"The difference to detect must be more than 0, not {difference}.")
    check_level(alpha)
    check_level(power)
    effect = difference / error / math.sqrt(clusters)
    # Student's t is wider than the normal distribution, so the normal answer is too small, or equal to it.
    normal = min((ndtri(1 - alpha / 2) + ndtri(power)) / effect, math.sqrt(MOST_PROMPTS))
    too_few = max(int(normal**2) - 1, fewest - 1)
    step = 1
    while too_few + step < MOST_PROMPTS and _power(too_few + step, effect, freedom / clusters, alpha) < power:
        too_few += step
        step *= 2
    enough = min(too_few + step, MOST_PROMPTS)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _power(middle, effect, freedom / clusters, alpha) < power:
            too_few = middle
        else:
            enough = middle
    return enough


def _power(prompts: int, effect: float, freedom: float, alpha: float) -> float:
    """The power with a number of *prompts*, from the noncentrality (*effect*) and degrees of *freedom* of one."""
    from scipy.special import nctdtr, stdtrit  # noqa: PLC0415 - a slow import, needed only here

    whole = freedom * prompts
    return 1 - float(nctdtr(whole, effect * math.sqrt(prompts), stdtrit(whole, 1 - alpha / 2)))
