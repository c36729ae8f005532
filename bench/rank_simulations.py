"""Do intervals hold what they claim? Simulated with prompt effects; the truth is the population's own fit.

Every figure is a share of replicates of fixed seeds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from figures import Figure, told

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

REPLICATES, RESAMPLED, RESAMPLES = 5000, 1000, 200
PROMPTS = (80, 40, 20, 10)
M = 6
LEFT, RIGHT = (side.astype(np.int32) for side in np.triu_indices(M, 1))
NAMES = tuple("abcdef")
LOOKS, PER_LOOK = 20, 10


class World:
    """What people, and a biased judge who sees prompts in part as they do, think of six contestants on each prompt."""

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
        """The chance that the left side of each pair wins, by prompt."""
        found: Floats = 1 / (1 + np.exp(strengths[:, RIGHT] - strengths[:, LEFT]))
        return found

    def battles(self, rng: np.random.Generator, prompts: int) -> Battles:
        """Every pair once on each of new prompts; one in ten is a tie."""
        chance = self.chance(self.people[rng.integers(0, len(self.people), prompts)]).ravel()
        outcome = np.where(rng.random(chance.size) < 0.1, 2, rng.random(chance.size) > chance).astype(np.int8)
        cluster = np.repeat(np.arange(prompts, dtype=np.int32), LEFT.size)
        return Battles(
            NAMES, np.tile(LEFT, prompts), np.tile(RIGHT, prompts), outcome, cluster=cluster, n_clusters=prompts
        )

    def labelled(self, rng: np.random.Generator, prompts: int, *, tilted: bool) -> ComparisonColumns:
        """Every pair judged on each of new prompts, three of ten labelled: at random, or where the judge is unsure."""
        at = rng.integers(0, len(self.people), prompts)
        judged = self.chance(self.judge[at]).ravel()
        label = (rng.random(judged.size) < self.chance(self.people[at]).ravel()).astype(float)
        unsure = np.where(np.abs(judged - 0.5) < 0.2, 1.0, 0.2)
        probability = np.clip(0.3 * unsure / unsure.mean(), 0.05, 1) if tilted else np.full(judged.size, 0.3)
        chosen = rng.random(judged.size) < probability
        return ComparisonColumns(
            M,
            np.tile(LEFT, prompts),
            np.tile(RIGHT, prompts),
            judged,
            np.where(chosen, label, np.nan),
            probability,
            np.repeat(np.arange(prompts, dtype=np.int32), LEFT.size),
        )


def figures() -> Iterator[Figure]:
    """Everything, in order."""
    world = World()
    # Ties count half, so they pull every chance towards a half; the truth is then of that.
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
    yield from _looked()
    for prompts in (80, 40):
        for tilted in (False, True):
            yield from _anchored(world, prompts, tilted=tilted)


def _ratings(world: World, truth: Floats, prompts: int) -> Iterator[Figure]:
    told(f"ratings over {prompts} prompts")
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
    found = fit.covariance
    if found.matrix is None:
        return np.ones(M)
    half = t_quantile(0.95, found.freedom + 1) * np.sqrt(found.matrix.diagonal())
    return (np.abs(fit.log_strengths - truth) <= half).astype(float)


def _resampled(world: World, truth: Floats, prompts: int) -> Iterator[Figure]:
    told(f"bootstraps over {prompts} prompts")
    held = {"bootstrap": np.zeros(M), "percentile": np.zeros(M)}
    fitted = 0
    for replicate in range(RESAMPLED):
        rng = np.random.default_rng([prompts, replicate])
        try:
            fit = bradley_terry(world.battles(rng, prompts))
        except Disconnected:
            continue
        found = bootstrap(fit, rng, RESAMPLES)
        matrix = found.covariance().matrix
        if matrix is None:
            continue
        fitted += 1
        error = np.sqrt(matrix.diagonal())
        held["bootstrap"] += np.abs(fit.log_strengths - truth) <= t_quantile(0.95, prompts) * error
        low, high = found.bounds(fit, PERCENTILE)
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
    told(f"ranks, gaps of {gap} standard errors")
    m, rng, held = 20, np.random.default_rng(5), 0
    truth = np.arange(m) * gap
    true_low = 1 + (truth[None, :] > truth[:, None]).sum(axis=1)
    true_high = m - (truth[None, :] < truth[:, None]).sum(axis=1)
    for _ in range(REPLICATES):
        found = rank_intervals(rng.normal(truth, 1), np.eye(m), 79, rng)
        held += (
            bool(((found.low <= true_low) & (true_high <= found.high)).all())
            if gap
            else bool(((found.low == 1) & (found.high == m)).all())
        )
    name = "20 contestants, all equal" if gap == 0 else f"20 contestants, a ladder of {gap} standard errors"
    return _share(f"all ranks held at once: {name}", held / REPLICATES, ">= 0.94", least=0.94)


def _looked() -> Iterator[Figure]:
    told("looks")
    replicates = REPLICATES // 5
    spent = sum(_separated(np.random.default_rng([1, n]), look_levels(LOOKS)) for n in range(replicates))
    plain = sum(_separated(np.random.default_rng([1, n]), np.full(LOOKS, 0.95)) for n in range(replicates))
    yield _share("two equal contestants separated at any of 20 looks", spent / replicates, "<= 0.05", most=0.05)
    yield _share("the same with plain intervals", plain / replicates)


def _separated(rng: np.random.Generator, levels: Floats) -> bool:
    many = LOOKS * PER_LOOK
    chance = 1 / (1 + np.exp(-rng.normal(0, 1, many)))
    cluster = np.repeat(np.arange(many, dtype=np.int32), 2)
    outcome = (rng.random(2 * many) > chance[cluster]).astype(np.int8)
    zero = np.zeros(2 * many, dtype=np.int32)
    for look, level in enumerate(levels.tolist(), 1):
        rows, prompts = slice(0, 2 * look * PER_LOOK), look * PER_LOOK
        battles = Battles(
            ("a", "b"), zero[rows], zero[rows] + 1, outcome[rows], cluster=cluster[rows], n_clusters=prompts
        )
        against = bradley_terry(battles).differences(1, level)
        if against.low[0] > 0 or against.high[0] < 0:
            return True
    return False


def _anchored(world: World, prompts: int, *, tilted: bool) -> Iterator[Figure]:
    how = "a tilted queue" if tilted else "random labels"
    told(f"anchored over {prompts} prompts, {how}")
    held, fitted, gains, plain = np.zeros(M), 0, [], np.zeros(M)
    for replicate in range(REPLICATES):
        rng = np.random.default_rng([prompts, tilted, replicate])
        compared = world.labelled(rng, prompts, tilted=tilted)
        try:
            found = anchored_fit(compared)
        except NotConverged:
            continue
        if found.covariance.matrix is None:
            continue
        half = t_quantile(0.95, found.covariance.freedom + 1) * np.sqrt(found.covariance.matrix.diagonal())
        held += np.abs(found.log_strengths - world.truth) <= half
        plain += found.log_strengths - world.truth
        gains.append(found.gain)
        fitted += 1
    yield from _coverage(f"anchored to {how} on {prompts} prompts", held, fitted, worst=0.91)
    yield Figure(
        "simulation", f"gain in effective sample size, {how}, {prompts} prompts", float(np.nanmean(gains)), "x"
    )


def _coverage(name: str, held: Floats, fitted: int, worst: float) -> Iterator[Figure]:
    mean, least = float(held.mean() / fitted), float(held.min() / fitted)
    met = 0.93 <= mean <= 0.97 and least >= worst  # the goal as it is told
    goal = f"0.93 to 0.97, the worst contestant >= {worst}"
    yield Figure(
        "simulation",
        f"coverage of 95 %, {name}",
        mean,
        f"of {fitted}",
        f"worst contestant {least:.3f}",
        None,
        goal,
        met,
    )


def _share(name: str, share: float, goal: str = "", *, least: float | None = None, most: float | None = None) -> Figure:
    met = share >= least if least is not None else share <= most if most is not None else None
    return Figure("simulation", name, float(share), "share", "", None, goal, None if met is None else bool(met))
