"""How often the intervals of shares and of chance-corrected agreement hold, on prompts of unequal size.

Rows of a prompt are alike, and the truth is known. Beside each coverage are that of plain intervals, which ignore the
sizes (CR1 for shares from 40 prompts on, otherwise the jackknife, with t of G - 1), and the median width over that of
an oracle, which knows how far the figure varies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from designs import PROMPTS, SIZES, draw_sizes
from figures import Figure, progress
from numpy.typing import NDArray

from judge.columns.arrays import Floats
from judge.stats.chance import both_orientations, both_roles, cohen_kappa, gwet_ac1, macro_f1
from judge.stats.cluster_intervals import Estimate, jackknife, share_of_counts, t_quantile
from judge.stats.krippendorff import krippendorff_alpha

SEED, REPLICATES, DRAWN = 20261130, 2000, 40
GRID = (5, 8, 20, 40, 80, 200)
FEWEST_PROMPTS, FEWEST_EFFECTIVE = 5, 10
GOAL, NORMAL = 0.93, 1.959963984540054
SHARES = (2 / 3, 0.9, 0.95)
ALIKE = 0.3
"""The correlation of the rows of a prompt in the grid."""
POPULATION = 200_000
"""How many prompts the truth of a coefficient is computed from."""
BLOCK = 2_000_000
"""How many numbers a block of replicates holds at most."""

Sizes = NDArray[np.int64]
Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Coverage:
    """How often intervals held: *held* of *printed*, and *plain* ones of those; *width* is in units of the oracle's."""

    held: float
    plain: float
    width: float
    printed: int
    drawn: int
    effective: float

    @property
    def error(self) -> float:
        """The Monte-Carlo standard error of a coverage at the goal."""
        return float(np.sqrt(GOAL * (1 - GOAL) / max(self.printed, 1)))

    def figure(self, name: str, prompts: int) -> Figure:
        """The line of a benchmark. Below 10 effective prompts there is no goal."""
        judged = prompts >= FEWEST_PROMPTS and self.effective >= FEWEST_EFFECTIVE
        return Figure(
            bench="shares",
            figure=f"{name}, {self.effective:.0f} effective",
            value=self.held,
            unit=f"+- {self.error:.4f}",
            peer=f"plain interval {self.plain:.3f}; oracle's width x {self.width:.2f}; "
            f"printed {self.printed} of {self.drawn}",
            ratio=self.width,
            goal=f">= {GOAL} - 2 standard errors" if judged else "",
            met=bool(self.held >= GOAL - 2 * self.error) if judged else None,
        )


@dataclass(frozen=True)
class Coefficient:
    """A *statistic* of summed tables of votes by two judges and a person, between *bounds*.

    *tables* maps the counts of the first and the second judge's votes by the person's, float64[..., 3, 3] each.
    """

    name: str
    tables: Callable[[Floats, Floats], Floats]
    statistic: Statistic
    bounds: tuple[float, float]


def agreeing(tables: Floats) -> Floats:
    """The share on the diagonal of each table, float64[...]."""
    shares: Floats = np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1))
    return shares


COEFFICIENTS = (
    Coefficient("kappa", lambda first, _: both_orientations(first), cohen_kappa, (-1.0, 1.0)),
    Coefficient("AC1", lambda first, _: both_orientations(first), gwet_ac1, (-1.0, 1.0)),
    Coefficient("alpha", lambda first, _: both_orientations(both_roles(first)), krippendorff_alpha, (-1.0, 1.0)),
    Coefficient("macro F1", lambda first, _: both_orientations(first), macro_f1, (0.0, 1.0)),
    Coefficient(
        "difference of agreements",
        lambda first, second: np.stack((first, second), axis=-3),
        lambda tables: agreeing(tables[..., 0, :, :]) - agreeing(tables[..., 1, :, :]),
        (-1.0, 1.0),
    ),
)


def sizes(rng: np.random.Generator, kind: str, shape: tuple[int, int]) -> Sizes:
    """Draw sizes of prompts, int64[*shape*], with a mean of about 6: all equal, log-normal or Pareto (1.2)."""
    if kind == "log-normal":
        drawn = np.ceil(6 * np.exp(rng.normal(-0.5, 1, shape)))
    elif kind == "Pareto":
        drawn = np.minimum(np.ceil(2 * rng.random(shape) ** (-1 / 1.2)), 600)
    else:
        drawn = np.full(shape, 1 if kind == "one row" else 6)
    size: Sizes = drawn.astype(np.int64)
    return size


def effective(size: Sizes) -> float:
    """The median over replicates of the effective number of prompts, from sizes int64[k, G]."""
    return float(np.median(size.sum(axis=1) ** 2 / np.square(size).sum(axis=1)))


def draw_chances(rng: np.random.Generator, mean: float, alike: float, shape: tuple[int, ...]) -> Floats:
    """Draw each prompt's own chance, with a *mean*, so that its rows have the correlation *alike*."""
    if alike <= 0:
        return np.full(shape, mean)
    spread = (1 - alike) / alike
    return rng.beta(mean * spread, (1 - mean) * spread, shape)


def draw_counts(rng: np.random.Generator, size: Sizes, right: float, alike: float) -> tuple[Floats, Floats]:
    """Draw the counts of two judges' votes by a person's, float64[k, G, 3, 3] each, on prompts of a *size* int64[k, G].

    A judge has the person's outcome with a chance that is the prompt's, and otherwise guesses.
    """
    cell = np.repeat(np.arange(size.size), size.ravel())
    chance = draw_chances(rng, right, alike, (size.size,))[cell]
    leans = rng.beta(2, 2, size.size)[cell]
    person = np.where(rng.random(cell.size) < 0.2, 2, rng.random(cell.size) < leans)
    both = []
    for _ in range(2):
        guess = np.minimum((2.5 * rng.random(cell.size)).astype(np.int64), 2)
        vote = np.where(rng.random(cell.size) < chance, person, guess)
        counts = np.bincount(cell * 9 + vote * 3 + person, minlength=9 * size.size)
        both.append(counts.astype(np.float64).reshape(*size.shape, 3, 3))
    return both[0], both[1]


@cache
def truth(coefficient: Coefficient, right: float, alike: float) -> float:
    """The value of a *coefficient* over very many prompts."""
    rng = np.random.default_rng(0)
    tables = coefficient.tables(*draw_counts(rng, sizes(rng, "equal", (1, POPULATION)), right, alike))
    return float(coefficient.statistic(tables.sum(axis=1))[0])


def plain_holds(tables: Floats, statistic: Statistic, at: float, *, linear: bool) -> Floats:
    """Whether plain intervals hold *at* a truth, float64[k] of 1, 0 and NaN for no interval; tables float64[k, G, ...].

    *linear* is for a share, whose tables are hits and misses.
    """
    prompts = tables.shape[1]
    total = tables.sum(axis=1, keepdims=True)
    value = statistic(total)[:, 0]
    if linear and prompts >= 40:
        size, whole = tables.sum(axis=2), total.sum(axis=2)
        residual = (tables[:, :, 0] - value[:, None] * size) / whole
        variance = prompts / (prompts - 1) * np.square(residual).sum(axis=1)
    else:
        with np.errstate(invalid="ignore"):
            change = statistic(total - tables) - value[:, None]
        variance = (prompts - 1) / prompts * np.square(change).sum(axis=1)
    holds = np.abs(value - at) <= t_quantile(0.95, prompts) * np.sqrt(variance)
    return np.where(variance > 1e-24, holds, np.nan)


def summary(estimates: list[Estimate], at: float, plain: Floats, among: float) -> Coverage:
    """The coverage of *estimates* of the truth *at*, on *among* effective prompts."""
    ends = [(e.low, e.high) for e in estimates if e.low is not None and e.high is not None]
    low, high = np.array(ends).reshape(-1, 2).T
    values = np.array([e.value for e in estimates if e.value is not None])
    oracle = 2 * NORMAL * float(np.sqrt(np.square(values - at).mean()))
    return Coverage(
        held=float(((low <= at + 1e-9) & (at - 1e-9 <= high)).mean()) if ends else float("nan"),
        plain=float(np.nanmean(plain)) if np.isfinite(plain).any() else float("nan"),
        width=float(np.median(high - low)) / oracle if ends and oracle > 0 else float("nan"),
        printed=len(ends),
        drawn=len(estimates),
        effective=among,
    )


def share_coverage(rng: np.random.Generator, size: Sizes, mean: float, alike: float) -> Coverage:
    """The coverage of a share with a *mean*, whose prompts' chances do not depend on their *size*, int64[k, G]."""
    hits = rng.binomial(size, draw_chances(rng, mean, alike, size.shape)).astype(np.float64)
    of = size.astype(np.float64)
    estimates = [share_of_counts(hits[k], of[k]) for k in range(len(of))]
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = plain_holds(
            np.stack((hits, of - hits), axis=2),
            lambda tables: tables[..., 0] / tables.sum(axis=-1),
            mean,
            linear=True,
        )
    return summary(estimates, mean, plain, effective(size))


def coefficient_coverage(
    rng: np.random.Generator, coefficient: Coefficient, size: Sizes, right: float, alike: float
) -> Coverage:
    """The coverage of a *coefficient* of judges that are *right* that often, on prompts of a *size* int64[k, G]."""
    at = truth(coefficient, right, alike)
    estimates, plain = [], []
    for block in np.array_split(size, max(1, int(size.sum() + 18 * size.size) // BLOCK)):
        tables = coefficient.tables(*draw_counts(rng, block, right, alike))
        estimates += [jackknife(each, coefficient.statistic, bounds=coefficient.bounds) for each in tables]
        with np.errstate(invalid="ignore", divide="ignore"):
            plain.append(plain_holds(tables, coefficient.statistic, at, linear=False))
    return summary(estimates, at, np.concatenate(plain), effective(size))


def tied_coverage(rng: np.random.Generator, size: Sizes) -> Coverage:
    """The coverage of a share where large prompts are harder: no interval over prompts repairs this."""
    chance = 1 / (1 + np.exp(0.5 * np.log(size) - 1.5))
    population = sizes(np.random.default_rng(1), "log-normal", (1, POPULATION))
    at = float((population / (1 + np.exp(0.5 * np.log(population) - 1.5))).sum() / population.sum())
    hits, of = rng.binomial(size, chance).astype(np.float64), size.astype(np.float64)
    estimates = [share_of_counts(hits[k], of[k]) for k in range(len(of))]
    plain = plain_holds(
        np.stack((hits, of - hits), axis=2), lambda tables: tables[..., 0] / tables.sum(axis=-1), at, linear=True
    )
    return summary(estimates, at, plain, effective(size))


def grid(replicates: int = REPLICATES, prompts: tuple[int, ...] = GRID) -> Iterator[Figure]:
    """The table of the documentation: every figure on every kind of size, drawn anew in each replicate."""
    for kind in ("equal", "log-normal", "Pareto"):
        for g in prompts:
            rng = np.random.default_rng([SEED, g])
            size = sizes(rng, kind, (replicates, g))
            for mean in SHARES:
                yield share_coverage(rng, size, mean, ALIKE).figure(f"share {mean:.3g}, {g} {kind} prompts", g)
            for coefficient in COEFFICIENTS:
                covered = coefficient_coverage(rng, coefficient, size[: replicates // 2], 0.7, ALIKE)
                yield covered.figure(f"{coefficient.name}, {g} {kind} prompts", g)
    for g in prompts:
        rng = np.random.default_rng([SEED, g])
        figure = tied_coverage(rng, sizes(rng, "log-normal", (replicates, g))).figure(
            f"not repaired: a share tied to size, {g} log-normal prompts", 0
        )
        yield figure


def drawn(seed: int = SEED, designs: int = DRAWN, replicates: int = REPLICATES) -> Iterator[Figure]:
    """Designs that nobody picked: sizes of prompts, the share, how alike rows are and the figure come from *seed*."""
    rng = np.random.default_rng(seed)
    met = judged = 0
    for _ in range(designs):
        prompts, kind = int(rng.choice(PROMPTS)), str(rng.choice(SIZES))
        mean, alike = float(rng.choice((0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98))), float(rng.choice((0.0, 0.1, 0.3)))
        size = np.tile(draw_sizes(rng, kind, prompts), (replicates, 1))
        at = int(rng.integers(2 * len(COEFFICIENTS)))
        if at < len(COEFFICIENTS):
            name = COEFFICIENTS[at].name
            covered = coefficient_coverage(rng, COEFFICIENTS[at], size[: replicates // 2], mean, alike)
        else:
            name, covered = "share", share_coverage(rng, size, mean, alike)
        figure = covered.figure(f"{name}, {mean:g} right, {alike:g} alike, {prompts} {kind} prompts", prompts)
        met, judged = met + (figure.met is True), judged + (figure.met is not None)
        yield figure
    yield Figure(
        bench="shares",
        figure="drawn designs whose coverage is at least the goal",
        value=met / max(judged, 1),
        unit=f"of {judged}",
        goal="all",
        met=met == judged,
    )


def rows() -> Iterator[Figure]:
    """All figures, those of the grid first."""
    for part in (grid(), drawn()):
        for figure in part:
            progress(figure.figure)
            yield figure
