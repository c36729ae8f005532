"""Is a contestant as good as the reference within a margin, and is it worse by no more than that?

There are two one-sided tests at the level alpha (TOST): the difference is above -N, and it is below N. A contestant is
*equivalent* if both are significant, which is so if the interval at the level 1 - 2 alpha lies within -N and N: D. J.
Schuirmann (1987), "A Comparison of the Two One-Sided Tests Procedure and the Power Approach", Journal of
Pharmacokinetics and Biopharmaceutics 15(6). It is *non-inferior* if the first is. A difference that is not significant
shows neither.

With many contestants, there are three families of tests, each adjusted by Holm's method: inside the margin, not below
it, and, two-sided, beyond it. Each family's steps follow how far the differences are from its own boundary, so whoever
is equivalent is also non-inferior. A contestant that was found to be ahead is non-inferior too, whatever the margin is.
With max-t, a difference is beyond the margin if its interval is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level
from judge.stats.scorecard import HOLM, MAX_T, NONE, Block, intervals, levels


class Answer(StrEnum):
    """What a test answers. Neither yes nor no is significant where it cannot tell."""

    YES = "YES"
    NO = "NO"
    CANNOT_TELL = "CANNOT_TELL"


@dataclass(frozen=True, eq=False)
class Equivalence:
    """Whether k contestants are *equivalent* to the reference within a *margin*, and *non_inferior* to it.

    *low* and *high*, float64[k], are the intervals of the two one-sided tests.
    """

    margin: float
    low: Floats
    high: Floats
    equivalent: tuple[Answer, ...]
    non_inferior: tuple[Answer, ...]


def equivalences(
    blocks: Sequence[Block],
    margin: float,
    adjustment: str,
    two_sided: Sequence[Floats],
    level: float = 0.95,
) -> list[Equivalence]:
    """Test the cells of *blocks* against a *margin*, which has the unit of the differences.

    The tests hold at 1 - *level* for all cells of a family together, or for each one if the *adjustment* is none.
    *two_sided* has the levels of the cells' two-sided intervals by that adjustment, float64[k] per block, which say who
    is ahead. Raises StatisticsError unless the margin is positive and the level between 0 and 1.

    >>> block = Block.of_t(np.array([1.0, 30.0, 90.0]), np.diag([100.0, 100.0, 100.0]), 79)
    >>> result, = equivalences([block], 40.0, HOLM, [np.full(3, 0.983)])
    >>> [answer.value for answer in result.equivalent], [answer.value for answer in result.non_inferior]
    (['YES', 'CANNOT_TELL', 'NO'], ['YES', 'YES', 'YES'])
    """
    check_level(level)
    if not margin > 0:
        raise StatisticsError(f"The margin of equivalence must be more than 0, not {margin}.")
    # A two-sided test at 2 alpha whose sign is known is a one-sided test at alpha.
    one_sided = 1 - 2 * (1 - level)
    inside = _bounds(blocks, [margin - np.abs(block.difference) for block in blocks], adjustment, one_sided)
    above = _bounds(blocks, [block.difference + margin for block in blocks], adjustment, one_sided)
    outer = [intervals(block, column, level) for block, column in zip(blocks, two_sided, strict=True)]
    beyond = outer
    if adjustment != MAX_T:
        beyond = _bounds(blocks, [np.abs(block.difference) - margin for block in blocks], adjustment, level)
    return [
        Equivalence(
            margin=margin,
            low=low,
            high=high,
            equivalent=_words((low > -margin) & (high < margin), (far_high < -margin) | (far_low > margin)),
            non_inferior=_words((least > -margin) | (lead > 0), far_high < -margin),
        )
        for (low, high), (least, _), (lead, _), (far_low, far_high) in zip(inside, above, outer, beyond, strict=True)
    ]


def _bounds(
    blocks: Sequence[Block], inside: Sequence[Floats], adjustment: str, level: float
) -> list[tuple[Floats, Floats]]:
    """The intervals of the cells after the steps of Holm's method, which follow how far *inside* a boundary they are.

    *inside* is float64[k] per block, negative outside. An interval without an end is at no distance.
    """
    tested = []
    for block, distance in zip(blocks, inside, strict=True):
        open_ends = [ends for ends in (block.open_low, block.open_high) if ends is not None]
        is_open = np.any(open_ends, axis=0) if open_ends else np.zeros(distance.size, dtype=np.bool_)
        tested.append(replace(block, difference=np.where(is_open, 0.0, np.maximum(distance, 0.0))))
    cell_levels = levels(tested, NONE if adjustment == NONE else HOLM, np.random.default_rng(0), level)
    return [intervals(block, column, level) for block, column in zip(blocks, cell_levels, strict=True)]


def _words(yes: Flags, no: Flags) -> tuple[Answer, ...]:
    return tuple(
        Answer.YES if is_yes else Answer.NO if is_no else Answer.CANNOT_TELL
        for is_yes, is_no in zip(yes.tolist(), no.tolist(), strict=True)
    )
