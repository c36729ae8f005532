"""Simultaneous intervals for many comparisons with one reference.

- "holm": the cells that differ significantly from 0 by S. Holm's step-down rule (1979), "A Simple Sequentially
  Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6(2). All cells are tested together, by
  Bonferroni; those that remain are tested again among fewer, until no more are significant. Each cell has the interval
  of its last test.
- "max-t": all intervals at the one level at which they hold together, from draws from the covariances of the cells
  (T. Hothorn, F. Bretz, P. Westfall (2008), "Simultaneous Inference in General Parametric Models", Biometrical Journal
  50(3)). The draws of a block are of a multivariate t, with the degrees of freedom of the cell that has most: they only
  say how the cells depend on each other, and fewer would overstate that. The smallest p-value of each draw gives the
  level, and each cell turns the level into a critical value of its own, so a contestant on few prompts widens no other
  interval. The level is never below the requested one, nor above Bonferroni's. A covariance over few prompts is too
  uncertain for it: with 20 contestants on 8 prompts, intervals that should hold together in 95 % of cases did so in
  69 %. Use it from about 100 prompts on.
- "none": each interval at the requested level, without adjustment.

A cell at the requested level itself (no adjustment, a single cell, or the last step of Holm's rule) has the critical
value of the interval of a pair, so that its standing never contradicts that pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.stats.critical_values import adjusted_critical_value, critical_value
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level
from judge.stats.simultaneous import draw_multivariate_t
from judge.stats.standard_errors import StandardErrors

HOLM, MAX_T, NONE = "holm", "max-t", "none"
ADJUSTMENTS = (HOLM, MAX_T, NONE)
"""The names of the adjustments."""
DRAWS = 4000
"""Draws for max-t: a level of 0.95 is met to within 0.007."""
WIDEST_LEAD = 0.5
"""No win rate and no expected score is farther than this from an even 0.5."""
_NOISE = 1e-14
"""Smaller variances, as a share of the largest or of a squared difference, are rounding errors of zero."""


@dataclass(frozen=True, eq=False)
class Block:
    """The k cells of one part of the data.

    *difference* is float64[k], *covariance* float64[k, k], and *errors* are the k standard errors, NaN for cells that
    have no interval. *open_low* and *open_high*, bool[k], mark the intervals without a lower or an upper end. No true
    difference is farther from 0 than *limit*. Blocks come from different prompts, so they are independent of each
    other.
    """

    difference: Floats
    covariance: Floats
    errors: StandardErrors
    open_low: Flags | None = None
    open_high: Flags | None = None
    limit: float = np.inf

    @classmethod
    def of_t(cls, difference: Floats, covariance: Floats, freedom: float | Floats, limit: float = np.inf) -> "Block":
        """Cells whose intervals are those of Student's t, with the same degrees of *freedom* or each its own."""
        variance = covariance.diagonal()
        noise = _NOISE * max(variance.max(initial=0.0), float(np.square(difference).max(initial=0.0)))
        error = np.sqrt(np.where(variance > noise, variance, np.nan))
        s2 = np.broadcast_to(1 / np.asarray(freedom, dtype=np.float64), error.shape)
        errors = StandardErrors(error, s2, np.square(s2))
        return cls(difference=difference, covariance=covariance, errors=errors, limit=limit)

    @property
    def error(self) -> Floats:
        """The standard errors, float64[k]; 0 for cells that have none."""
        return np.nan_to_num(self.errors.error, nan=0.0)

    @property
    def freedom(self) -> Floats:
        """The degrees of freedom of the standard errors by Satterthwaite, float64[k]."""
        return self.errors.freedom


def levels(blocks: Sequence[Block], adjustment: str, rng: np.random.Generator, level: float = 0.95) -> list[Floats]:
    """The level of the interval of each cell, float64[k] per block, so that all cells hold together at *level*.

    Cells without a standard error are not counted. Raises StatisticsError for a level outside 0 to 1 or an unknown
    *adjustment*.

    >>> block = Block.of_t(np.array([40.0, 5.0]), np.diag([100.0, 100.0]), 79)
    >>> [round(float(x), 3) for x in levels([block], HOLM, np.random.default_rng(0))[0]]
    [0.975, 0.95]
    """
    check_level(level)
    if adjustment not in ADJUSTMENTS:
        raise StatisticsError(f"Unknown adjustment {adjustment!r}: choose one of {', '.join(ADJUSTMENTS)}.")
    if adjustment == HOLM:
        return _holm(blocks, level)
    if adjustment == MAX_T:
        level = _max_t(blocks, rng, level)
    return [np.full(block.difference.size, level) for block in blocks]


def intervals(block: Block, cell_levels: Floats, level: float) -> tuple[Floats, Floats]:
    """The intervals of the cells of *block*, each at its own level (float64[k]): low and high, float64[k].

    *level* is the one that was requested, from which the cells' own were adjusted. No interval goes beyond the limit of
    the differences.

    >>> block = Block.of_t(np.array([40.0]), np.array([[100.0]]), 79)
    >>> low, high = intervals(block, np.array([0.95]), 0.95)
    >>> low.round(1).tolist(), high.round(1).tolist()
    ([20.1], [59.9])
    """
    half = critical_values(block, cell_levels, level) * block.errors.error
    low, high = block.difference - half, block.difference + half
    if block.open_low is not None:
        low = np.where(block.open_low, -np.inf, low)
    if block.open_high is not None:
        high = np.where(block.open_high, np.inf, high)
    return np.maximum(low, -block.limit), np.minimum(high, block.limit)


def critical_values(block: Block, cell_levels: Floats, level: float) -> Floats:
    """Half the width of each interval of *block* in standard errors, float64[k], at its own level (float64[k]).

    *level* is the one that was requested: cells at this level are not adjusted. NaN for cells without a standard error.

    >>> critical_values(Block.of_t(np.array([40.0]), np.array([[100.0]]), 79), np.array([0.95]), 0.95).round(2).tolist()
    [1.99]
    """
    return _critical(cell_levels, level, block.errors.s2, block.errors.s3)


def _critical(cell_levels: Floats, level: float, s2: Floats, s3: Floats) -> Floats:
    """The critical values of cells with the moments *s2* and *s3*, float64[k], by the rule for the level of each."""
    critical = np.empty(cell_levels.size)
    adjusted = cell_levels > level
    for rule, cells in ((adjusted_critical_value, adjusted), (critical_value, ~adjusted)):
        if cells.any():
            critical[cells] = rule(cell_levels[cells], s2[cells], s3[cells])
    return critical


def _holm(blocks: Sequence[Block], level: float) -> list[Floats]:
    sizes = [block.difference.size for block in blocks]
    cell_levels = np.full(sum(sizes), level)
    if not cell_levels.size:
        return [np.empty(0) for _ in sizes]
    distance, s2, s3 = (
        np.concatenate(columns)
        for columns in zip(*((_distances(b), b.errors.s2, b.errors.s3) for b in blocks), strict=True)
    )
    remaining = np.flatnonzero(np.isfinite(distance))
    while remaining.size:
        cell_levels[remaining] = _bonferroni(level, remaining.size)
        critical = _critical(cell_levels[remaining], level, s2[remaining], s3[remaining])
        significant = distance[remaining] > critical
        if not significant.any():
            break
        remaining = remaining[~significant]
    return np.split(cell_levels, np.cumsum(sizes)[:-1])


def _bonferroni(level: float, comparisons: int) -> float:
    """The level at which a number of *comparisons* hold together at *level*; exactly *level* for a single one."""
    return level if comparisons == 1 else 1 - (1 - level) / comparisons


def _max_t(blocks: Sequence[Block], rng: np.random.Generator, level: float) -> float:
    """The level at which all cells hold together at *level*, from *level* itself to Bonferroni's."""
    comparisons = sum(int(np.isfinite(block.errors.error).sum()) for block in blocks)
    if comparisons <= 1:
        return level
    smallest = float(np.quantile(_smallest(blocks, rng), 1 - level, method="lower"))
    # Three digits are more precise than the draws, and hide differences in rounding between machines.
    return min(max(1 - float(f"{smallest:.3g}"), level), _bonferroni(level, comparisons))


def _smallest(blocks: Sequence[Block], rng: np.random.Generator) -> Floats:
    """The smallest p-value over all cells in each draw without differences: float64[DRAWS]."""
    from scipy.special import stdtr  # noqa: PLC0415 - a slow import, needed only here

    smallest = np.ones(DRAWS)
    for block in blocks:
        known = np.flatnonzero(np.isfinite(block.errors.error))
        if not known.size:
            continue
        errors = block.errors.at(known)
        covariance = block.covariance[np.ix_(known, known)]
        freedom = float(errors.freedom.max())
        draws = np.abs(draw_multivariate_t(covariance, freedom, rng, DRAWS)) / errors.error
        np.minimum(smallest, 2 * stdtr(freedom, -draws.max(axis=1)), out=smallest)
    return smallest


def _distances(block: Block) -> Floats:
    """How far the differences are from 0, in standard errors, float64[k]; NaN without a standard error."""
    distance: Floats = np.abs(block.difference) / block.errors.error
    return distance
