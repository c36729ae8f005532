"""Simultaneous intervals for many comparisons with one reference.

- "max-t": all intervals at the one level at which they hold together, from draws from the covariances of the cells
  (T. Hothorn, F. Bretz, P. Westfall (2008), "Simultaneous Inference in General Parametric Models", Biometrical Journal
  50(3)), with the smallest p-value instead of the largest t, because blocks may have different degrees of freedom.
- "holm": the cells that differ significantly from 0 by S. Holm's step-down rule (1979), "A Simple Sequentially
  Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6(2), each with the interval of its own step.
- "none": each interval at the requested level, without adjustment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.stats.cluster_intervals import check_level
from judge.stats.errors import StatisticsError
from judge.stats.simultaneous import draw_multivariate_t

MAX_T, HOLM, NONE = "max-t", "holm", "none"
ADJUSTMENTS = (MAX_T, HOLM, NONE)
"""The names of the adjustments."""
DRAWS = 4000
"""Draws for max-t: a level of 0.95 is met to within 0.007."""
_NOISE = 1e-14
"""Smaller variances, as a share of the largest or of a squared difference, are rounding errors of zero."""


@dataclass(frozen=True, eq=False)
class Block:
    """The k cells of one part of the data.

    *difference* is float64[k], *covariance* float64[k, k], and *freedom* the degrees of freedom. *open_low* and
    *open_high*, bool[k], mark the intervals without a lower or an upper end. Blocks come from different prompts, so
    they are independent of each other.
    """

    difference: Floats
    covariance: Floats
    freedom: int
    open_low: Flags | None = None
    open_high: Flags | None = None

    @property
    def error(self) -> Floats:
        """The standard errors, float64[k]; 0 where a variance is only a rounding error."""
        variance = self.covariance.diagonal()
        noise = _NOISE * max(variance.max(initial=0.0), float(np.square(self.difference).max(initial=0.0)))
        error: Floats = np.sqrt(np.where(variance > noise, variance, 0.0))
        return error


def levels(blocks: Sequence[Block], adjustment: str, rng: np.random.Generator, level: float = 0.95) -> list[Floats]:
    """The level of the interval of each cell, float64[k] per block, so that all cells hold together at *level*.

    Raises StatisticsError for a level outside 0 to 1 or an unknown *adjustment*.

    >>> block = Block(np.array([40.0, 5.0]), np.diag([100.0, 100.0]), 79)
    >>> [round(float(x), 3) for x in levels([block], HOLM, np.random.default_rng(0))[0]]
    [0.975, 0.95]
    """
    check_level(level)
    if adjustment not in ADJUSTMENTS:
        raise StatisticsError(f"Unknown adjustment {adjustment!r}: choose one of {', '.join(ADJUSTMENTS)}.")
    sizes = [block.difference.size for block in blocks]
    if adjustment == NONE or sum(sizes) == 0:
        return [np.full(size, level) for size in sizes]
    if adjustment == MAX_T:
        smallest = float(np.quantile(_smallest(blocks, rng), 1 - level, method="lower"))
        # Three digits are more precise than the draws, and hide differences in rounding between machines.
        return [np.full(size, 1 - float(f"{smallest:.3g}")) for size in sizes]
    p = np.concatenate([_p_values(_t_values(block.difference, block), block.freedom) for block in blocks])
    return np.split(_holm(p, 1 - level), np.cumsum(sizes)[:-1])


def intervals(block: Block, cell_levels: Floats) -> tuple[Floats, Floats]:
    """The intervals of the cells of *block*, each at its own level (float64[k]): low and high, float64[k].

    >>> block = Block(np.array([40.0]), np.array([[100.0]]), 79)
    >>> low, high = intervals(block, np.array([0.95]))
    >>> low.round(1).tolist(), high.round(1).tolist()
    ([20.1], [59.9])
    """
    half = critical_values(block, cell_levels) * block.error
    low, high = block.difference - half, block.difference + half
    if block.open_low is not None:
        low = np.where(block.open_low, -np.inf, low)
    if block.open_high is not None:
        high = np.where(block.open_high, np.inf, high)
    return low, high


def critical_values(block: Block, cell_levels: Floats) -> Floats:
    """Half the width of each interval of *block* in standard errors, float64[k], at its own level (float64[k]).

    >>> critical_values(Block(np.array([40.0]), np.array([[100.0]]), 79), np.array([0.95])).round(2).tolist()
    [1.99]
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a slow import, needed only here

    values: Floats = stdtrit(block.freedom, (1 + cell_levels) / 2)
    return values


def _smallest(blocks: Sequence[Block], rng: np.random.Generator) -> Floats:
    """The smallest p-value over all cells in each draw without differences: float64[DRAWS]."""
    smallest = np.ones(DRAWS)
    for block in blocks:
        draws = np.where(block.error > 0, draw_multivariate_t(block.covariance, block.freedom, rng, DRAWS), 0.0)
        largest = np.abs(_t_values(draws, block)).max(axis=1, initial=0.0)
        np.minimum(smallest, _p_values(largest, block.freedom), out=smallest)
    return smallest


def _t_values(differences: Floats, block: Block) -> Floats:
    """*differences*, float64[..., k], in standard errors; 0 or infinite if the standard error is 0."""
    error = block.error
    t = np.where(differences == 0, 0.0, np.inf)
    np.divide(differences, error, out=t, where=(error > 0) & (differences != 0))
    return t


def _p_values(t: Floats, freedom: int) -> Floats:
    from scipy.special import stdtr  # noqa: PLC0415 - as above

    p: Floats = 2 * stdtr(freedom, -np.abs(t))
    return p


def _holm(p: Floats, alpha: float) -> Floats:
    """The level of each cell: that of the step at which it is significant, or of the first step that fails."""
    order = np.argsort(p, kind="stable")
    steps = alpha / np.arange(p.size, 0, -1)
    failed = np.flatnonzero(p[order] > steps)
    if failed.size:
        steps[failed[0] :] = steps[failed[0]]
    levels = np.empty_like(p)
    levels[order] = 1 - steps
    return levels
