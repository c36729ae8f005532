"""Standard errors whose own precision is known, and the widths of the intervals that follow."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Flags, Floats
from judge.stats.critical_values import critical_value, simultaneous_critical_value, tail_probability

Codes = npt.NDArray[np.integer]
Index = Codes | Flags | slice | list[int] | tuple[slice, slice] | tuple[Codes, Codes]
"""What selects some of the entries of an array."""


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Standard errors and the moments of their variances, arrays of one shape; NaN where there is no interval.

    *s2* and *s3* are the second and third moments of `critical_values`. 1 / *s2* is Satterthwaite's number of degrees
    of freedom.

    >>> errors = StandardErrors.of_t(np.array([10.0]), 4)
    >>> errors.half_width(0.95).round(2).tolist()
    [27.76]
    """

    error: Floats
    s2: Floats
    s3: Floats

    @classmethod
    def of_t(cls, error: Floats, freedom: float) -> "StandardErrors":
        """The standard errors *error* with the same degrees of freedom, for intervals by Student's t."""
        return cls(error, np.full(error.shape, 1 / freedom), np.full(error.shape, 1 / freedom**2))

    @classmethod
    def unknown(cls, *shape: int) -> "StandardErrors":
        """No standard errors, in an array of that *shape*."""
        return cls(*(np.full(shape, np.nan) for _ in range(3)))

    @cached_property
    def freedom(self) -> Floats:
        """The degrees of freedom by Satterthwaite."""
        return 1 / self.s2

    def half_width(self, level: float | Floats) -> Floats:
        """Half the width of two-sided intervals of *level*, each by its own critical value."""
        return self.error * critical_value(level, self.s2, self.s3)

    def simultaneous_half_width(self, level: float | Floats, comparisons: int) -> Floats:
        """Half the width of intervals that hold together at *level* for a number of *comparisons*."""
        return self.error * simultaneous_critical_value(level, comparisons, self.s2, self.s3)

    def probability_above_zero(self, difference: Floats) -> Floats:
        """The approximate probability that a true difference is above 0, given the estimated *difference*.

        0.5 for a difference of 0, NaN without a standard error.

        >>> StandardErrors.of_t(np.array([10.0, np.nan]), 4).probability_above_zero(np.array([27.76, 1.0])).round(3)
        array([0.975,   nan])
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(difference == 0, 0.0 * self.error, np.abs(difference) / self.error)
        beyond = tail_probability(distance, self.s2, self.s3) / 2
        above: Floats = np.where(difference > 0, 1 - beyond, beyond)
        return above

    def scaled(self, factor: float) -> "StandardErrors":
        """The same in another unit."""
        return StandardErrors(self.error * factor, self.s2, self.s3)

    def at(self, index: Index) -> "StandardErrors":
        """Some of the standard errors, by an index of numpy."""
        return StandardErrors(self.error[index], self.s2[index], self.s3[index])

    def limited_to(self, known: Flags) -> "StandardErrors":
        """The same, NaN where *known* is false."""
        return StandardErrors(*(np.where(known, column, np.nan) for column in (self.error, self.s2, self.s3)))
