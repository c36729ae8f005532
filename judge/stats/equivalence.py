"""Is a contestant as good as the reference within a margin, and is it worse by no more than that?

There are two one-sided tests at the level alpha (TOST): the difference is above -N, and it is below N. A contestant is
*equivalent* if both are significant, which is so if the interval at the level 1 - 2 alpha lies within -N and N: D. J.
Schuirmann (1987), "A Comparison of the Two One-Sided Tests Procedure and the Power Approach", Journal of
Pharmacokinetics and Biopharmaceutics 15(6). It is *non-inferior* if the first is. A difference that is not significant
shows neither.

With many contestants, the tests are adjusted by Holm's method, whose steps follow the distance of each interval from
the margin. The opposite, a difference beyond the margin, is claimed by the two-sided intervals that hold together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level
from judge.stats.scorecard import HOLM, NONE, Block, intervals, levels


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
    two_sided: Sequence[tuple[Floats, Floats]],
    level: float = 0.95,
) -> list[Equivalence]:
    """Test the cells of *blocks* against a *margin*, which has the unit of the differences.

    Yes is answered by one-sided tests, at 1 - *level* for all cells together, or for each one if the *adjustment* is
    none. No is answered by *two_sided*, the low and high ends of two-sided intervals of each block that hold together
    at *level*. Raises StatisticsError unless the margin is positive and the level between 0 and 1.

    >>> block = Block.of_t(np.array([1.0, 30.0, 90.0]), np.diag([100.0, 100.0, 100.0]), 79)
    >>> result, = equivalences([block], 40.0, HOLM, [intervals(block, np.full(3, 0.983), 0.95)])
    >>> [answer.value for answer in result.equivalent], [answer.value for answer in result.non_inferior]
    (['YES', 'CANNOT_TELL', 'NO'], ['YES', 'YES', 'YES'])
    """
    check_level(level)
    if not margin > 0:
        raise StatisticsError(f"The margin of equivalence must be more than 0, not {margin}.")
    inner = [_to_margin(block, margin) for block in blocks]
    # A two-sided test at 2 alpha whose sign is known is a one-sided test at alpha.
    one_sided = 1 - 2 * (1 - level)
    cell_levels = levels(inner, NONE if adjustment == NONE else HOLM, np.random.default_rng(0), one_sided)
    bounds = [intervals(block, column, one_sided) for block, column in zip(blocks, cell_levels, strict=True)]
    return [_answers(margin, *ends, *outer) for ends, outer in zip(bounds, two_sided, strict=True)]


def _to_margin(block: Block, margin: float) -> Block:
    """*block* with how far inside the margin each difference lies; 0 if it is outside or its interval has no end."""
    distance = np.maximum(margin - np.abs(block.difference), 0.0)
    for ends in (block.open_low, block.open_high):
        if ends is not None:
            distance = np.where(ends, 0.0, distance)
    return replace(block, difference=distance)


def _answers(margin: float, low: Floats, high: Floats, outer_low: Floats, outer_high: Floats) -> Equivalence:
    above, below = low > -margin, high < margin
    inferior, superior = outer_high < -margin, outer_low > margin
    return Equivalence(
        margin=margin,
        low=low,
        high=high,
        equivalent=_words(above & below, inferior | superior),
        non_inferior=_words(above, inferior),
    )


def _words(yes: Flags, no: Flags) -> tuple[Answer, ...]:
    return tuple(
        Answer.YES if is_yes else Answer.NO if is_no else Answer.CANNOT_TELL
        for is_yes, is_no in zip(yes.tolist(), no.tolist(), strict=True)
    )
