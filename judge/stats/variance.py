"""Variance components of verdicts: between prompts, judges, presentation orders and repeats.

This is a nested analysis of variance. A pair of contestants meets on prompts; each prompt has verdicts of judges, each
judge one or both orders, and each order one or more repeats. The expected mean squares are those of S. R. Searle, G.
Casella, C. E. McCulloch (1992), "Variance Components", chapter 3. Inner levels are estimated first, and the means of
their groups have those variances divided by the group size, which allows for unequal group sizes. A level with only one
member in each group, such as a single repeat, is not estimated; its variance is part of the level above, which is named
for both: without repeats, the variance of "order and repeat" contains the noise of the calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.errors import StatisticsError

LEVELS = ("prompt", "judge", "order", "repeat")
"""From the outermost to the innermost level."""

_PLACES = 9


@dataclass(frozen=True)
class Component:
    """The *variance* of a *level*, in squared left scores, and its *share* of the total; None if not estimated.

    *level* also names the levels inside it that are not estimated, because its variance contains theirs.
    """

    level: str
    variance: float | None
    share: float | None


def components_of_variance(outcome: Floats, pair: Ints, prompt: Ints, judge: Ints, order: Ints) -> list[Component]:
    """Estimate the variance of *outcome* (float64[n], left scores from 0 to 1) at each of `LEVELS`.

    *pair*, *prompt*, *judge* and *order* are int32[n] codes; rows with the same four codes are repeats. Negative
    estimates become 0. Raises StatisticsError without rows.

    >>> same = np.zeros(4, dtype=np.int32)
    >>> prompts = np.array([0, 0, 1, 1], dtype=np.int32)
    >>> variances = components_of_variance(np.array([1.0, 0.0, 1.0, 0.0]), same, prompts, same, same)
    >>> [(component.level, component.variance) for component in variances]
    [('prompt, judge and order', 0.0), ('judge', None), ('order', None), ('repeat', 0.5)]
    """
    if outcome.size == 0:
        raise StatisticsError("Variance components need at least one outcome.")
    codes = [pair, prompt, judge, order]
    means, uncertainty = outcome, np.zeros(outcome.size)
    variances: dict[str, float | None] = {}
    for level, name in reversed(list(enumerate(LEVELS))):
        # Rows are the members of this level. Rows with the same outer codes form a group.
        group = np.unique(np.column_stack(codes[: level + 1]), axis=0, return_inverse=True)[1].ravel()
        sizes = sums(group)
        inside = sums(group, means) / sizes
        freedom = float((sizes - 1).sum())
        variance = None
        if freedom > 0:
            squares = float(np.square(means - inside[group]).sum())
            # Inner levels add to the variance of a member's mean: a group of k has (k - 1) / k of it in its squares.
            expected = float((uncertainty * (1 - 1 / sizes[group])).sum())
            variance = max((squares - expected) / freedom, 0.0)
        variances[name] = variance
        # The mean of a group of k has 1 / k of its members' variance and of the mean of their uncertainties.
        uncertainty = (sums(group, uncertainty) / sizes + (variance or 0.0)) / sizes
        first = np.zeros(sizes.size, dtype=np.intp)
        first[group[::-1]] = np.arange(group.size)[::-1]
        codes = [column[first] for column in codes]
        means = inside
    whole = sum(variance or 0.0 for variance in variances.values())
    return [_component(name, variances, whole) for name in LEVELS]


def _component(level: str, variances: Mapping[str, float | None], whole: float) -> Component:
    variance = variances[level]
    if variance is None:
        return Component(level, None, None)
    inner = takewhile(lambda name: variances[name] is None, LEVELS[LEVELS.index(level) + 1 :])
    *names, last = level, *inner
    named = f"{', '.join(names)} and {last}" if names else last
    return Component(named, round(variance, _PLACES), round(variance / whole, _PLACES) if whole > 0 else 0.0)
