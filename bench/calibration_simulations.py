"""Whether calibration figures and cascades hold on prompts of unequal size, whose comparisons are alike.

A judge's confidence and the votes are simulated with a known truth. Comparisons of a prompt are alike, but the chance
of each vote is what the judge says, or, for a judge that is too sure, closer to a half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from figures import Figure, monte_carlo_error, progress
from share_simulations import Sizes

from judge.columns.arrays import Flags, Floats, Ints
from judge.stats.calibration import STEPS, Calibration, calibration
from judge.stats.cascade import cascade

SEED, REPLICATES, CASCADES = 20261130, 500, 400
KINDS = ("equal", "log-normal")
GRID, CASCADE_GRID = (10, 20, 80, 200), (40, 80, 300)
ALIKE, SPREAD = 0.3, 1.2
"""The correlation of a prompt's votes on a normal scale, and the standard deviation of the judge's log odds."""
TARGET, DELTA, POPULATION = 0.85, 0.1, 40_000
AT_TARGET = 1.0364333894937898
"""The normal quantile of the target."""


def sizes(rng: np.random.Generator, kind: str, prompts: int) -> Sizes:
    """Draw the number of comparisons of each of *prompts*, int64[G]."""
    drawn = np.full(prompts, 8) if kind == "equal" else np.ceil(5 * np.exp(rng.normal(0, 1, prompts)))
    return drawn.astype(np.int64)


def alike_normals(rng: np.random.Generator, size: Sizes) -> tuple[Floats, Ints]:
    """Normal variables that are correlated within prompts, with their prompts: float64[n] and int32[n]."""
    cluster = np.repeat(np.arange(size.size, dtype=np.int32), size)
    own, common = rng.normal(size=cluster.size), rng.normal(size=size.size)[cluster]
    return np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * own, cluster


def logistic(odds: Floats) -> Floats:
    """The probability of log *odds*."""
    chances: Floats = 1 / (1 + np.exp(-odds))
    return chances


def draw_votes(rng: np.random.Generator, kind: str, prompts: int, sharper: float) -> tuple[Floats, Floats, Ints]:
    """Draw probabilities of left whose log odds are *sharper* times what they should be, votes and prompts."""
    from scipy.special import ndtr  # noqa: PLC0415 - a slow import, needed only here

    drawn, cluster = alike_normals(rng, sizes(rng, kind, prompts))
    odds = rng.normal(0, SPREAD, cluster.size)
    won = ndtr(drawn) < logistic(odds)
    # Which side is called left says nothing, so a prompt's votes are alike in whether the judge is right.
    swapped = rng.random(cluster.size) < 0.5  # a half
    probability = logistic(sharper * odds)
    return np.where(swapped, 1 - probability, probability), (won ^ swapped).astype(np.float64), cluster


def true_error(sharper: float) -> float:
    """The expected calibration error of the population, in the bins of `calibration`."""
    odds = np.random.default_rng(0).normal(0, SPREAD, 2_000_000)
    stated, true = logistic(sharper * odds), logistic(odds)
    sure, right = np.maximum(stated, 1 - stated), np.where(odds > 0, true, 1 - true)
    step = np.minimum((2 * sure - 1) * STEPS, STEPS - 1).astype(np.int64)
    return float(np.abs(np.bincount(step, right - sure)).sum() / odds.size)


@dataclass(frozen=True)
class Design:
    """A *kind* of size of *prompts*, and how much too sure the judge is."""

    kind: str
    prompts: int
    sharper: float

    def draw(self, replicates: int) -> list[Calibration]:
        """Calibrations of independent samples."""
        rng = np.random.default_rng([SEED, self.prompts])
        return [
            calibration(*draw_votes(rng, self.kind, self.prompts, self.sharper), rng=rng) for _ in range(replicates)
        ]


def calibrated(design: Design, replicates: int = REPLICATES) -> Iterator[Figure]:
    """How often the error's interval leaves out 0, and the slope's interval covers, for the judge of a *design*."""
    results = design.draw(replicates)
    truth, slope = true_error(design.sharper), 1 / design.sharper
    errors = [(r.ece.low, r.ece.high) for r in results if r.ece.low is not None and r.ece.high is not None]
    slopes = [(r.slope.low, r.slope.high) for r in results if r.slope.low is not None and r.slope.high is not None]
    design_name = f"log odds times {design.sharper:g}, {design.prompts} {design.kind} prompts"
    if design.sharper == 1:
        above = float(np.mean([low > 0 for low, _ in errors]))
        yield _at_most(f"calibration error significant, {design_name}", above, 0.07, len(errors))
    else:
        yield _at_least(f"calibration error, {design_name}", [low <= truth <= high for low, high in errors])
    yield _at_least(f"recalibration slope, {design_name}", [low <= slope <= high for low, high in slopes])


def _at_least(name: str, held: list[bool]) -> Figure:
    value, error = float(np.mean(held)), monte_carlo_error(0.93, len(held))
    return Figure(
        bench="calibration",
        figure=name,
        value=value,
        unit=f"+- {error:.4f}",
        goal=">= 0.93 - 2 standard errors",
        met=value >= 0.93 - 2 * error,  # the goal
    )


def _at_most(name: str, value: float, most: float, n: int, peer: str = "") -> Figure:
    error = monte_carlo_error(most, n)
    return Figure(
        bench="calibration",
        figure=name,
        value=value,
        unit=f"+- {error:.4f}",
        peer=peer,
        goal=f"<= {most:g} + 2 standard errors",
        met=value <= most + 2 * error,
    )


@dataclass(frozen=True)
class Judge:
    """A judge whose agreement, on the normal scale, is *base* + *slope* x confidence - *harder* x log size."""

    name: str
    base: float
    slope: float
    harder: float

    def draw(self, rng: np.random.Generator, kind: str, prompts: int) -> tuple[Floats, Flags, Ints]:
        """Draw confidences, whether the judge agrees with people, and prompts."""
        size = sizes(rng, kind, prompts)
        drawn, cluster = alike_normals(rng, size)
        sure = rng.random(cluster.size)
        return sure, drawn < self.base + self.slope * sure - self.harder * np.log(size / 5)[cluster], cluster


JUDGES = (
    Judge("better where it is sure", 0.3, 1.6, 0.0),
    Judge("better where it is sure, large prompts harder", 0.3, 1.6, 0.3),
    Judge("just below the target everywhere", AT_TARGET - 1e-6, 0.0, 0.0),
    Judge("as good everywhere, large prompts harder", 0.95, 0.3, 0.3),
)


def cascades(judge: Judge, kind: str, prompts: int, replicates: int = CASCADES) -> Figure:
    """How often the true agreement of comparisons is below the target at the threshold that a cascade chooses."""
    sure, agrees, _ = judge.draw(np.random.default_rng(1), kind, POPULATION)
    order = np.argsort(-sure)
    truth = np.cumsum(agrees[order]) / np.arange(1, sure.size + 1)
    rng = np.random.default_rng([SEED, prompts])
    wrong, answered = 0, 0.0
    for _ in range(replicates):
        result = cascade(*judge.draw(rng, kind, prompts), TARGET, DELTA)
        if result.threshold is not None:
            at = int(np.searchsorted(-sure[order], -result.threshold, side="right"))
            # The population is a sample too: a judge just below the target is below it at every threshold.
            below = judge.base == AT_TARGET - 1e-6 or truth[max(at - 1, 0)] < TARGET
            wrong, answered = wrong + below, answered + (result.share or 0.0)
    name = f"cascade that breaks its promise, {judge.name}, {prompts} {kind} prompts"
    return _at_most(name, wrong / replicates, DELTA, replicates, f"answers {answered / replicates:.2f}")


def rows() -> Iterator[Figure]:
    """All figures."""
    for sharper in (1.0, 2.0):
        for kind in KINDS:
            for prompts in GRID:
                design = Design(kind, prompts, sharper)
                progress(str(design))
                yield from calibrated(design)
    for judge in JUDGES:
        for kind in KINDS:
            for prompts in CASCADE_GRID:
                progress(f"{judge.name}, {prompts} {kind} prompts")
                yield cascades(judge, kind, prompts)
