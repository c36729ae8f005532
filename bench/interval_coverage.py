"""How often the default intervals of ratings, of differences and of ranks hold the truth, by kind of imbalance.

Contestants differ in strength by prompt, by normal effects of their own. The truth is the fit of the whole population
of prompts, with as many battles of each pair as the design expects. A contestant's rating is compared relative to the
contestants that have an interval, as its interval is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from figures import Figure, monte_carlo_error, progress

from judge.columns.arrays import Floats, Ints
from judge.stats.battles import Battles
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.newton import newton
from judge.stats.simultaneous import rank_intervals

REPLICATES = 1000
LEVEL = 0.95
_POPULATION = 4000
_GOAL, _GOAL_AT_ONCE = 0.93, 0.94


@dataclass(frozen=True)
class Design:
    """Battles of *contestants* on *prompts*.

    The strengths lie evenly over *spread*, and each prompt adds normal effects with standard deviation *tau*. A prompt
    has *each* battles of random pairs on average, equal or distributed as *sizes* says: equal, pareto, lognormal or
    geometric. *own* contestants of the last ones are on some random prompts only: as many as the numbers say. *ties* is
    the share of ties. *weights* are those of prompts: none, or lognormal.
    """

    name: str
    contestants: int = 6
    prompts: int = 80
    spread: float = 1.5
    tau: float = 0.7
    sizes: str = "equal"
    each: int = 15
    own: tuple[int, ...] = ()
    ties: float = 0.1
    weights: str = ""
    seed: int = 0
    strengths: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Set the strengths."""
        object.__setattr__(self, "strengths", np.linspace(self.spread / 2, -self.spread / 2, self.contestants))

    def draw(self, rng: np.random.Generator) -> Battles:
        """Draw the battles of one sample of prompts."""
        prompt, left, right = self._pairs(rng)
        effects = rng.normal(0, self.tau, (self.prompts, self.contestants))
        ahead = (self.strengths + effects)[prompt, left] - (self.strengths + effects)[prompt, right]
        won = rng.random(prompt.size) < 1 / (1 + np.exp(-ahead))
        outcome = np.where(rng.random(prompt.size) < self.ties, 2, np.where(won, 0, 1))
        weight = rng.lognormal(0, 1, self.prompts)[prompt] if self.weights else None
        return Battles(
            contestants=tuple(f"{i:03}" for i in range(self.contestants)),
            left=left,
            right=right,
            outcome=outcome.astype(np.int8),
            weight=weight,
            cluster=prompt,
            n_clusters=self.prompts,
        )

    def _pairs(self, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """The prompt and the two sides of each battle."""
        sizes = _draw_sizes(rng, self.sizes, self.prompts, self.each)
        regular = self.contestants - len(self.own)
        prompt = np.repeat(np.arange(self.prompts), sizes)
        left = rng.integers(0, regular, prompt.size)
        right = (left + rng.integers(1, regular, prompt.size)) % regular
        columns = [np.stack((prompt, left, right))]
        for at, k in enumerate(self.own):
            of_newcomer = np.repeat(rng.permutation(self.prompts)[:k], 5)
            code = np.full(of_newcomer.size, regular + at)
            columns.append(np.stack((of_newcomer, code, rng.integers(0, regular, of_newcomer.size))))
        prompt, left, right = np.concatenate(columns, axis=1).astype(np.int32)
        return prompt, left, right

    def truth(self) -> Floats:
        """The strengths that a fit to all prompts would give, float64[contestants]."""
        rng = np.random.default_rng(self.seed)
        m, effects = self.contestants, np.random.default_rng(1).normal(0, self.tau, (_POPULATION, self.contestants))
        effects = np.concatenate((effects, -effects)) + self.strengths
        chance = np.stack([(1 / (1 + np.exp(effects - effects[:, i : i + 1]))).mean(axis=0) for i in range(m)])
        met = np.zeros((m, m))
        for _ in range(50):
            _, left, right = self._pairs(rng)
            np.add.at(met, (left, right), 1)
        met = met + met.T
        wins = met * (self.ties / 2 + (1 - self.ties) * chance)
        np.fill_diagonal(wins, 0)
        return newton(wins, 1e-12, 100)[0]


def _draw_sizes(rng: np.random.Generator, kind: str, prompts: int, each: int) -> Ints:
    """The number of battles of each prompt, at least 1."""
    draw = np.ones(prompts)
    if kind == "pareto":
        draw = (rng.pareto(1.5, prompts) + 1) / 3
    elif kind == "lognormal":
        draw = rng.lognormal(-0.5, 1, prompts)
    elif kind == "geometric":
        draw = rng.exponential(1, prompts)
    return np.clip(np.round(draw * each), 1, 200 * each).astype(np.int32)


@dataclass
class Held:
    """How often intervals held in some replicates of a design."""

    ratings: Floats
    differences: Floats
    printed: Floats
    compared: Floats
    at_once: int = 0
    fitted: int = 0
    widths: list[Floats] = field(default_factory=list)
    errors: list[Floats] = field(default_factory=list)
    freedom: list[Floats] = field(default_factory=list)


def simulate(design: Design, replicates: int, *, at_once: bool = False) -> Held:
    """Draw *replicates* samples of *design* and count the intervals that hold the truth."""
    m, truth = design.contestants, design.truth()
    held = Held(ratings=np.zeros(m), differences=np.zeros(m), printed=np.zeros(m), compared=np.zeros(m))
    best_last = np.argsort(np.argsort(truth))
    for replicate in range(replicates):
        try:
            fit = bradley_terry(design.draw(np.random.default_rng([design.seed, replicate])))
        except (Disconnected, NotConverged):
            continue
        held.fitted += 1
        _count(held, fit, truth)
        if at_once and fit.covariance.effects is not None:
            ranks = rank_intervals(fit.log_strengths, fit.covariance.pairs, LEVEL)
            equal = design.spread == 0
            low, high = (1, m) if equal else (m - best_last, m - best_last)
            held.at_once += bool(((ranks.low <= low) & (high <= ranks.high)).all())
    return held


def _count(held: Held, fit: BradleyTerryFit, truth: Floats) -> None:
    covariance = fit.covariance
    eligible = covariance.eligible
    if covariance.effects is None:
        return
    error = fit.log_strengths - truth
    half = covariance.ratings.half_width(LEVEL)
    held.printed += eligible
    held.compared += eligible & eligible[-1]
    held.ratings += np.abs(error - error[eligible].mean()) <= half
    to_last = covariance.relative_to([truth.size - 1]).half_width(LEVEL)
    held.differences += np.abs(error - error[-1]) <= to_last
    held.widths.append(half)
    held.errors.append(np.where(eligible, error - error[eligible].mean(), np.nan))
    held.freedom.append(covariance.ratings.freedom)


def own_prompts(spread: float = 1.5) -> list[Design]:
    """A contestant on few of 80 prompts."""
    return [Design(f"one contestant on {k} of 80 prompts", own=(k,), spread=spread, seed=k) for k in (5, 6, 8, 10, 20)]


def sizes() -> list[Design]:
    """Prompts of unequal size or weight."""
    return [
        Design(f"{prompts} prompts, {kind} sizes", prompts=prompts, sizes=kind, seed=prompts)
        for kind in ("equal", "pareto", "lognormal")
        for prompts in (5, 8, 20, 40, 80, 200)
    ] + [
        Design(f"{prompts} prompts, lognormal weights", prompts=prompts, weights="lognormal", seed=prompts)
        for prompts in (20, 40, 80, 200)
    ]


def many_contestants() -> list[Design]:
    """Equal contestants, whose ranks must all hold at once."""
    shapes = [(6, 6), (20, 5), (20, 8), (20, 10), (20, 40), (40, 10)]
    equal = [
        Design(f"{m} equal contestants, {g} prompts", contestants=m, prompts=g, spread=0.0, each=m * 4, seed=g * m)
        for m, g in shapes
    ]
    unequal = [
        Design(
            f"{m} equal contestants, {g} prompts of {kind} size",
            contestants=m,
            prompts=g,
            spread=0.0,
            each=m * 4,
            sizes=kind,
            seed=g + m,
        )
        for m, g, kind in [(10, 6, "pareto"), (10, 8, "pareto"), (10, 20, "pareto"), (20, 10, "lognormal")]
    ]
    return equal + unequal


def rows(replicates: int = REPLICATES) -> Iterator[Figure]:
    """Simulate all designs. A figure is the coverage of the worst contestant, next to the mean and the width."""
    for design in (*own_prompts(), *sizes()):
        progress(design.name)
        yield _of_ratings(design, simulate(design, replicates))
    for design in many_contestants():
        progress(design.name)
        yield _of_ranks(design, simulate(design, replicates, at_once=True))


def _of_ratings(design: Design, held: Held) -> Figure:
    share = held.ratings / np.maximum(held.printed, 1)
    worst = int(np.where(held.printed > 0, share, 1).argmin())
    fitted = held.printed[worst]
    slack = 2 * monte_carlo_error(_GOAL, fitted)
    pairs = (held.differences / np.maximum(held.compared, 1))[:-1]
    # An oracle knows the variance of the estimate: its intervals have the normal width.
    oracle = 1.96 * np.nanstd(held.errors, axis=0)
    wider = float(np.nanmedian(np.nanmedian(held.widths, axis=0) / oracle))
    return Figure(
        bench="intervals",
        figure=design.name,
        value=float(share[worst]),
        unit=f"of {fitted:.0f}, the worst contestant",
        peer=f"mean {held.ratings.sum() / held.printed.sum():.3f}, differences to the last "
        f"{pairs.min():.3f}, median width {wider:.2f} x an oracle's",
        goal=f">= {_GOAL} less {slack:.3f}",
        met=bool(share[worst] >= _GOAL - slack),
    )


def _of_ranks(design: Design, held: Held) -> Figure:
    share = held.at_once / max(held.fitted, 1)
    slack = 2 * monte_carlo_error(_GOAL_AT_ONCE, held.fitted)
    return Figure(
        bench="intervals",
        figure=f"all ranks at once: {design.name}",
        value=share,
        unit=f"of {held.fitted}",
        goal=f">= {_GOAL_AT_ONCE} less {slack:.3f}",
        met=share >= _GOAL_AT_ONCE - slack,
    )
