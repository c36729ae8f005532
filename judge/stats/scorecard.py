"""Many comparisons with one reference at once: how far each interval must be widened for all of them to hold.

- "max-t": every cell's interval at the one level at which all hold together, by draws from the cells' covariances
  (T. Hothorn, F. Bretz, P. Westfall (2008), "Simultaneous Inference in General Parametric Models", Biometrical Journal
  50(3)), with the smallest p-value in the place of the largest t, since blocks may have different degrees of freedom.
- "holm": the cells that are told from 0 by S. Holm's step-down rule (1979), "A Simple Sequentially Rejective Multiple
  Test Procedure", Scandinavian Journal of Statistics 6(2), each with the interval of its own step.
- "none": each at the level asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.stats.cluster_intervals import checked_level
from judge.stats.simultaneous import drawn

MAX_T, HOLM, NONE = "max-t", "holm", "none"
ADJUSTMENTS = (MAX_T, HOLM, NONE)
"""The adjustments by name."""
DRAWS = 4000
"""Draws for max-t: a level of 0.95 is met to within 0.007."""
_NOISE = 1e-14
"""What rounding leaves of a variance, as a share of the largest, or of a squared difference."""


@dataclass(frozen=True, eq=False)
class Block:
    """The k cells of one part of the data: *difference* float64[k], its *covariance* float64[k, k], and the degrees of
    *freedom*. *open_low* and *open_high*, bool[k], say which intervals have no end there. Blocks come from different
    prompts, and so are independent of each other.
    """

    difference: Floats
    covariance: Floats
    freedom: int
    open_low: Flags | None = None
    open_high: Flags | None = None

    @property
    def error(self) -> Floats:
        """The standard errors, float64[k]; 0 where a variance is no more than what rounding leaves."""
        variance = self.covariance.diagonal()
        noise = _NOISE * max(variance.max(initial=0.0), float(np.square(self.difference).max(initial=0.0)))
        found: Floats = np.sqrt(np.where(variance > noise, variance, 0.0))
        return found


def levels(blocks: Sequence[Block], adjustment: str, rng: np.random.Generator, level: float = 0.95) -> list[Floats]:
    """For each block, the level of each cell's own interval, float64[k], at which all cells hold together at *level*.

    Raises ValueError for a senseless level or an unknown adjustment.

    >>> one = Block(np.array([40.0, 5.0]), np.diag([100.0, 100.0]), 79)
    >>> [round(float(x), 3) for x in levels([one], HOLM, np.random.default_rng(0))[0]]
    [0.975, 0.95]
    """
    checked_level(level)
    if adjustment not in ADJUSTMENTS:
        raise ValueError(f"The adjustment {adjustment!r} is none of {', '.join(ADJUSTMENTS)}.")
    sizes = [block.difference.size for block in blocks]
    if adjustment == NONE or sum(sizes) == 0:
        return [np.full(size, level) for size in sizes]
    if adjustment == MAX_T:
        smallest = float(np.quantile(_smallest(blocks, rng), 1 - level, method="lower"))
        # Three digits are more than the draws are good for, and hide how a machine rounds.
        return [np.full(size, 1 - float(f"{smallest:.3g}")) for size in sizes]
    p = np.concatenate([_p_values(_t_values(block.difference, block), block.freedom) for block in blocks])
    return np.split(_holm(p, 1 - level), np.cumsum(sizes)[:-1])


def intervals(block: Block, cell_levels: Floats) -> tuple[Floats, Floats]:
    """The intervals of the cells of *block*, each at its own level: low and high, float64[k].

    >>> one = Block(np.array([40.0]), np.array([[100.0]]), 79)
    >>> low, high = intervals(one, np.array([0.95]))
    >>> low.round(1).tolist(), high.round(1).tolist()
    ([20.1], [59.9])
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - a slow import, needed only here

    half = stdtrit(block.freedom, (1 + cell_levels) / 2) * block.error
    low, high = block.difference - half, block.difference + half
    if block.open_low is not None:
        low = np.where(block.open_low, -np.inf, low)
    if block.open_high is not None:
        high = np.where(block.open_high, np.inf, high)
    return low, high


def _smallest(blocks: Sequence[Block], rng: np.random.Generator) -> Floats:
    """Of each draw under no difference, the smallest p-value over all cells: float64[DRAWS]."""
    smallest = np.ones(DRAWS)
    for block in blocks:
        found = np.where(block.error > 0, drawn(block.covariance, block.freedom, rng, DRAWS), 0.0)
        largest = np.abs(_t_values(found, block)).max(axis=1, initial=0.0)
        np.minimum(smallest, _p_values(largest, block.freedom), out=smallest)
    return smallest


def _t_values(differences: Floats, block: Block) -> Floats:
    """*differences*, float64[..., k], in standard errors; one without a doubt is 0 or infinite."""
    error = block.error
    t = np.where(differences == 0, 0.0, np.inf)
    np.divide(differences, error, out=t, where=(error > 0) & (differences != 0))
    return t


def _p_values(t: Floats, freedom: int) -> Floats:
    from scipy.special import stdtr  # noqa: PLC0415 - as above

    found: Floats = 2 * stdtr(freedom, -np.abs(t))
    return found


def _holm(p: Floats, alpha: float) -> Floats:
    """The level of each cell's interval: of the step at which it is told from 0, or of the first that fails."""
    order = np.argsort(p, kind="stable")
    steps = alpha / np.arange(p.size, 0, -1)
    failed = np.flatnonzero(p[order] > steps)
    if failed.size:
        steps[failed[0] :] = steps[failed[0]]
    found = np.empty_like(p)
    found[order] = 1 - steps
    return found
