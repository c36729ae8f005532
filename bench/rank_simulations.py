"""Simulated coverage of intervals with prompt effects. The truth is the fit of the whole population.

Every figure is a share of replicates with fixed seeds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from figures import Figure, progress

from judge.columns.arrays import Floats
from judge.stats.alpha_spending import look_levels
from judge.stats.battles import Battles
from judge.stats.bootstrap import STUDENTISED, bootstrap
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.cluster_intervals import PERCENTILE, t_quantile
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.newton import newton
from judge.stats.prediction_powered import ComparisonColumns, anchored_fit
from judge.stats.simultaneous import rank_intervals
from judge.stats.standard_errors import StandardErrors

REPLICATES, RESAMPLED, RESAMPLES = 5000, 1000, 200
PROMPTS = (80, 40, 20, 10)
M = 6
LEFT, RIGHT = (side.astype(np.int32) for side in np.triu_indices(M, 1))
NAMES = tuple("abcdef")
LOOKS, PER_LOOK = 20, 10


class World:
    """The preferences of people, and of a biased judge that partly shares them, for six contestants on each prompt."""

    def __init__(self) -> None:
        rng = np.random.default_rng(99)
        self.people = np.linspace(0.9, -0.9, M) + rng.normal(0, 0.7, (20_000, M))
        bias = np.array([0.3, 0, -0.2, 0.2, 0, -0.3])
        self.judge = self.people + bias + rng.normal(0, 0.3, self.people.shape)
        wins = np.zeros((M, M))
        chance = self.chance(self.people).mean(axis=0)
        wins[LEFT, RIGHT], wins[RIGHT, LEFT] = chance, 1 - chance
        self.truth = newton(wins, 1e-12, 100)[0]

    @staticmethod
    def chance(strengths: Floats) -> Floats:
        """Return the probability that the left side of each pair wins: float64[prompts, pairs]."""
        probability: Floats = 1 / (1 + np.exp(strengths[:, RIGHT] - strengths[:, LEFT]))
        return probability

    def battles(self, rng: np.random.Generator, prompts: int) -> Battles:
        """Draw a battle of every pair on each of *prompts* prompts. One in ten is a tie."""
        chance = self.chance(self.people[rng.integers(0, len(self.people), prompts)]).ravel()
        outcome = np.where(rng.random(chance.size) < 0.1, 2, rng.random(chance.size) > chance).astype(np.int8)
        cluster = np.repeat(np.arange(prompts, dtype=np.int32), LEFT.size)
        return Battles(
            contestants=NAMES,
            left=np.tile(LEFT, prompts),
            right=np.tile(RIGHT, prompts),
            outcome=outcome,
            cluster=cluster,
            n_clusters=prompts,
        )

    def draw_labels(self, rng: np.random.Generator, prompts: int, *, tilted: bool) -> ComparisonColumns:
        """Judge every pair on each of *prompts* prompts and label three of ten.

        Labels are drawn at random or, if *tilted*, more often where the judge is unsure.
        """
        at = rng.integers(0, len(self.people), prompts)
        judged = self.chance(self.judge[at]).ravel()
        label = (rng.random(judged.size) < self.chance(self.people[at]).ravel()).astype(float)
        unsure = np.where(np.abs(judged - 0.5) < 0.2, 1.0, 0.2)
        probability = np.clip(0.3 * unsure / unsure.mean(), 0.05, 1) if tilted else np.full(judged.size, 0.3)
        chosen = rng.random(judged.size) < probability
        return ComparisonColumns(
            m=M,
            left=np.tile(LEFT, prompts),
            right=np.tile(RIGHT, prompts),
            judged=judged,
            labeled=np.where(chosen, label, np.nan),
            probability=probability,
            cluster=np.repeat(np.arange(prompts, dtype=np.int32), LEFT.size),
        )


def figures() -> Iterator[Figure]:
    """Run all simulations in order."""
    world = World()
    # Ties count half and pull every probability towards a half, and so does this truth.
    wins = np.zeros((M, M))
    chance = 0.05 + 0.9 * world.chance(world.people).mean(axis=0)
    wins[LEFT, RIGHT], wins[RIGHT, LEFT] = chance, 1 - chance
    truth = newton(wins, 1e-12, 100)[0]
    for prompts in PROMPTS:
        yield from _ratings(world, truth, prompts)
    for prompts in PROMPTS:
        yield from _resampled(world, truth, prompts)
    for gap in (0.0, 0.3):
        yield _ranks(gap)
    yield from _looks()
    for prompts in (80, 40):
        for tilted in (False, True):
            yield from _anchored(world, prompts, tilted=tilted)


def _ratings(world: World, truth: Floats, prompts: int) -> Iterator[Figure]:
    progress(f"ratings over {prompts} prompts")
    held, fitted = np.zeros(M), 0
    for replicate in range(REPLICATES):
        try:
            fit = bradley_terry(world.battles(np.random.default_rng([prompts, replicate]), prompts))
        except Disconnected:
            continue
        fitted += 1
        held += _inside(fit, truth)
    yield from _coverage(f"{prompts} prompts, default intervals", held, fitted, worst=0.91)


def _inside(fit: BradleyTerryFit, truth: Floats) -> Floats:
    if fit.covariance.effects is None:
        return np.ones(M)
    half = fit.covariance.ratings.half_width(0.95)
    return (np.abs(fit.log_strengths - truth) <= half).astype(float)


def _resampled(world: World, truth: Floats, prompts: int) -> Iterator[Figure]:
    progress(f"bootstraps over {prompts} prompts")
    held = {"bootstrap": np.zeros(M), "percentile": np.zeros(M)}
    fitted = 0
    for replicate in range(RESAMPLED):
        rng = np.random.default_rng([prompts, replicate])
        try:
            fit = bradley_terry(world.battles(rng, prompts))
        except Disconnected:
            continue
        resampled = bootstrap(fit, rng, RESAMPLES)
        matrix = resampled.covariance().matrix
        if matrix is None:
            continue
        fitted += 1
        error = np.sqrt(matrix.diagonal())
        held["bootstrap"] += np.abs(fit.log_strengths - truth) <= t_quantile(0.95, prompts) * error
        low, high = resampled.bounds(fit, PERCENTILE)
        held["percentile"] += (low <= truth) & (truth <= high)
    yield from _coverage(f"{prompts} prompts, bootstrap with t", held["bootstrap"], fitted, worst=0.91)
    yield _share(f"{prompts} prompts, percentile bootstrap, by request only", held["percentile"].mean() / fitted)
    if prompts == PROMPTS[-1]:
        yield from _coverage(f"{prompts} prompts, bootstrap-t", *_studentised(world, truth, prompts), worst=0.91)


def _studentised(world: World, truth: Floats, prompts: int) -> tuple[Floats, int]:
    held, fitted = np.zeros(M), 0
    for replicate in range(RESAMPLES):
        rng = np.random.default_rng([prompts, replicate])
        try:
            fit = bradley_terry(world.battles(rng, prompts))
        except Disconnected:
            continue
        low, high = bootstrap(fit, rng, RESAMPLES, studentise=True).bounds(fit, STUDENTISED)
        held += (low <= truth) & (truth <= high)
        fitted += 1
    return held, fitted


def _ranks(gap: float) -> Figure:
    progress(f"ranks, gaps of {gap} standard errors")
    m, rng, held = 20, np.random.default_rng(5), 0
    truth = np.arange(m) * gap
    true_low = 1 + (truth[None, :] > truth[:, None]).sum(axis=1)
    true_high = m - (truth[None, :] < truth[:, None]).sum(axis=1)
    errors = StandardErrors.of_t(np.full((m, m), np.sqrt(2)), 79)
    for _ in range(REPLICATES):
        intervals = rank_intervals(rng.normal(truth, 1), errors)
        held += (
            bool(((intervals.low <= true_low) & (true_high <= intervals.high)).all())
            if gap
            else bool(((intervals.low == 1) & (intervals.high == m)).all())
        )
    name = "20 contestants, all equal" if gap == 0 else f"20 contestants, a ladder of {gap} standard errors"
    return _share(f"all ranks held at once: {name}", held / REPLICATES, ">= 0.94", least=0.94)


def _looks() -> Iterator[Figure]:
    progress("looks")
    replicates = REPLICATES // 5
    spent = sum(_separated(np.random.default_rng([1, n]), look_levels(LOOKS)) for n in range(replicates))
    plain = sum(_separated(np.random.default_rng([1, n]), np.full(LOOKS, 0.95)) for n in range(replicates))
    yield _share("two equal contestants separated at any of 20 looks", spent / replicates, "<= 0.05", most=0.05)
    yield _share("the same with plain intervals", plain / replicates)


def _separated(rng: np.random.Generator, levels: Floats) -> bool:
    n_prompts = LOOKS * PER_LOOK
    chance = 1 / (1 + np.exp(-rng.normal(0, 1, n_prompts)))
    cluster = np.repeat(np.arange(n_prompts, dtype=np.int32), 2)
    outcome = (rng.random(2 * n_prompts) > chance[cluster]).astype(np.int8)
    zero = np.zeros(2 * n_prompts, dtype=np.int32)
    for look, level in enumerate(levels.tolist(), 1):
        rows, prompts = slice(0, 2 * look * PER_LOOK), look * PER_LOOK
        battles = Battles(
            contestants=("a", "b"),
            left=zero[rows],
            right=zero[rows] + 1,
            outcome=outcome[rows],
            cluster=cluster[rows],
            n_clusters=prompts,
        )
        against = bradley_terry(battles).differences(1, level)
        if against.low[0] > 0 or against.high[0] < 0:
            return True
    return False


def _anchored(world: World, prompts: int, *, tilted: bool) -> Iterator[Figure]:
    how = "a tilted queue" if tilted else "random labels"
    progress(f"anchored over {prompts} prompts, {how}")
    held, fitted, gains, plain = np.zeros(M), 0, [], np.zeros(M)
    for replicate in range(REPLICATES):
        rng = np.random.default_rng([prompts, tilted, replicate])
        compared = world.draw_labels(rng, prompts, tilted=tilted)
        try:
            fit = anchored_fit(compared)
        except NotConverged:
            continue
        if fit.covariance.matrix is None:
            continue
        half = fit.covariance.ratings.half_width(0.95)
        held += np.abs(fit.log_strengths - world.truth) <= half
        plain += fit.log_strengths - world.truth
        gains.append(fit.gain)
        fitted += 1
    yield from _coverage(f"anchored to {how} on {prompts} prompts", held, fitted, worst=0.91)
    yield Figure(
        bench="simulation",
        figure=f"gain in effective sample size, {how}, {prompts} prompts",
        value=float(np.nanmean(gains)),
        unit="x",
    )


def _coverage(name: str, held: Floats, fitted: int, worst: float) -> Iterator[Figure]:
    mean, least = float(held.mean() / fitted), float(held.min() / fitted)
    met = 0.93 <= mean <= 0.97 and least >= worst  # as the goal says
    goal = f"0.93 to 0.97, the worst contestant >= {worst}"
    yield Figure(
        bench="simulation",
        figure=f"coverage of 95 %, {name}",
        value=mean,
        unit=f"of {fitted}",
        peer=f"worst contestant {least:.3f}",
        goal=goal,
        met=met,
    )


def _share(name: str, share: float, goal: str = "", *, least: float | None = None, most: float | None = None) -> Figure:
    met = share >= least if least is not None else share <= most if most is not None else None
    return Figure(
        bench="simulation",
        figure=name,
        value=float(share),
        unit="share",
        goal=goal,
        met=None if met is None else bool(met),
    )
