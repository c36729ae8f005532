"""How far verdicts vary from prompt to prompt, from judge to judge, from order to order and from repeat to repeat.

Nested analysis of variance: a pair of contestants meets on prompts, on each judges speak, each in one order or both,
and each perhaps repeatedly. The expected mean squares are those of S. R. Searle, G. Casella, C. E. McCulloch (1992),
"Variance Components", chapter 3, with the variances below a level estimated first (the means of the groups below have
them divided by their number), which allows for unequal numbers. A level with nobody to differ from, such as one repeat
each, is not estimated, and its share is in the level above.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Floats, Ints, sums

LEVELS = ("prompt", "judge", "order", "repeat")
"""From the outside to the inside."""

_PLACES = 9


@dataclass(frozen=True)
class Component:
    """The variance of *level*, in squared shares of a comparison, and its *share* of all; None where not estimated."""

    level: str
    variance: float | None
    share: float | None


def components_of_variance(outcome: Floats, pair: Ints, prompt: Ints, judge: Ints, order: Ints) -> list[Component]:
    """The variance of *outcome* (float64[n], the share for the left contestant, 0 to 1) by `LEVELS`.

    *pair*, *prompt*, *judge* and *order* are int32[n] codes; rows that agree in all of them are repeats. Negative
    estimates are 0. Raises ValueError without rows.

    >>> same = np.zeros(4, dtype=np.int32)
    >>> prompts = np.array([0, 0, 1, 1], dtype=np.int32)
    >>> found = components_of_variance(np.array([1.0, 0.0, 1.0, 0.0]), same, prompts, same, same)
    >>> [(one.level, one.variance) for one in found]
    [('prompt', 0.0), ('judge', None), ('order', None), ('repeat', 0.5)]
    """
    if outcome.size == 0:
        raise ValueError("There are no outcomes.")
    codes = [pair, prompt, judge, order]
    means, uncertainty = outcome, np.zeros(outcome.size)
    found: dict[str, float | None] = {}
    for level, name in reversed(list(enumerate(LEVELS))):
        # Rows are the members of this level; those that share all the codes outside it are of one group.
        group = np.unique(np.column_stack(codes[: level + 1]), axis=0, return_inverse=True)[1].ravel()
        many = sums(group)
        inside = sums(group, means) / many
        freedom = float((many - 1).sum())
        variance = None
        if freedom > 0:
            squares = float(np.square(means - inside[group]).sum())
            # A member's mean has the doubt of what is inside it: in a group of k, (k - 1) / k of it is in the squares.
            expected = float((uncertainty * (1 - 1 / many[group])).sum())
            variance = max((squares - expected) / freedom, 0.0)
        found[name] = variance
        # The mean of a group has a k-th of its members' variance, and of their doubt on average another k-th.
        uncertainty = (sums(group, uncertainty) / many + (variance or 0.0)) / many
        first = np.zeros(many.size, dtype=np.intp)
        first[group[::-1]] = np.arange(group.size)[::-1]
        codes = [column[first] for column in codes]
        means = inside
    whole = sum(variance or 0.0 for variance in found.values())
    return [_component(name, found[name], whole) for name in LEVELS]


def _component(level: str, variance: float | None, whole: float) -> Component:
    if variance is None:
        return Component(level, None, None)
    return Component(level, round(variance, _PLACES), round(variance / whole, _PLACES) if whole > 0 else 0.0)
