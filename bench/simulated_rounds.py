"""Adaptive runs without a store or a judge: rounds planned by the product, verdicts drawn from a world with prompts.

Every contestant takes every prompt differently, the prompts of a run are few and drawn anew for each, and one verdict
in ten is a tie. The truth is what the intervals claim to hold: the strengths that fit all prompts of the world.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.domain.run import Pairing
from judge.planning.adaptive import ClosedComparisons, next_row
from judge.planning.rounds import NOTHING, Closed, Ending, Rounds
from judge.ports.dataset_index import DatasetIndex, OutputIndex, PromptIndex
from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.cluster_intervals import t_quantile
from judge.stats.errors import Disconnected
from judge.stats.newton import newton
from judge.stats.simultaneous import difference_errors

TIES, EFFECT, PROMPTS_OF_THE_WORLD = 0.1, 0.7, 20_000


class World:
    """So many contestants *spread* Elo points apart from first to last, and what prompts make of them."""

    def __init__(self, contestants: int = 6, spread: float = 300.0) -> None:
        rng = np.random.default_rng(99)
        middle = np.linspace(spread / 2, -spread / 2, contestants) / POINTS
        self.strengths = middle + rng.normal(0, EFFECT, (PROMPTS_OF_THE_WORLD, contestants))
        self.left, self.right = np.triu_indices(contestants, 1)
        chance = 1 / (1 + np.exp(self.strengths[:, self.right] - self.strengths[:, self.left]))
        share = TIES / 2 + (1 - TIES) * chance.mean(axis=0)
        wins = np.zeros((contestants, contestants))
        wins[self.left, self.right], wins[self.right, self.left] = share, 1 - share
        self.truth: Floats = newton(wins, 1e-12, 100)[0]

    def index(self, prompts: int) -> DatasetIndex:
        """A board of so many prompts that everybody answered."""
        m = self.truth.size
        rows = np.arange(prompts * m, dtype=np.int64)
        asked = PromptIndex(
            row=np.arange(prompts, dtype=np.int64),
            prompt_id=[f"p{number}" for number in range(prompts)],
            category=[""] * prompts,
            tags=[()] * prompts,
            turns=np.ones(prompts, dtype=np.int32),
        )
        given = OutputIndex(
            row=rows,
            prompt=rows // m,
            contestant=(rows % m).astype(np.int32),
            sample=np.zeros(rows.size, dtype=np.int32),
            turns=np.ones(rows.size, dtype=np.int32),
            contestants=[f"c{number:03}" for number in range(m)],
        )
        return DatasetIndex(1, asked, given)


@dataclass(frozen=True, eq=False)
class Ran:
    """A run that has ended: all that was said, which of it fell by lot, and why it ended after how many rounds."""

    told: ClosedComparisons
    uniform_sample: Flags
    rounds: int
    ending: Ending | None


def ran(world: World, index: DatasetIndex, pairing: Pairing) -> Ran:
    """A run of *pairing* whose prompts and verdicts are drawn with its seed."""
    rng = np.random.default_rng([pairing.seed, 17])
    at = world.strengths[rng.integers(0, len(world.strengths), len(index.prompts))]
    rounds, closed = Rounds(index, pairing, 1), NOTHING
    while not rounds.ended:
        rounds.add(len(rounds), next_row(rounds, closed).to_bytes())
        pairs = rounds.rows[-1].drawn.pairs
        ahead = at[pairs.prompt, pairs.left] - at[pairs.prompt, pairs.right]
        won = 2 * (rng.random(pairs.n) < 1 / (1 + np.exp(-ahead)))
        halves = np.where(rng.random(pairs.n) < TIES, 1, won).astype(np.int32)
        closed = Closed(halves, np.ones(pairs.n, dtype=np.int32))
    uniform = np.concatenate([row.drawn.uniform for row in rounds.rows])
    return Ran(ClosedComparisons.by(rounds, closed), uniform, len(rounds) - 1, rounds.rows[-1].ending)


@dataclass(frozen=True, eq=False)
class Held:
    """Over runs: how often the 95 % interval of each pair's difference held the truth, and its mean error in Elo."""

    coverage: Floats
    bias: Floats
    runs: int
    comparisons: float
    """Made in a run, by lot and otherwise."""
    rounds: float
    reached: float
    """The share of runs that ended at their goal."""

    @property
    def mean(self) -> float:
        """The mean coverage of pairs."""
        return float(self.coverage.mean())

    @property
    def worst(self) -> float:
        """The coverage of the worst pair."""
        return float(self.coverage.min())

    @property
    def mean_bias(self) -> float:
        """How much too far apart the better and the worse of a pair are put on average, in Elo."""
        return float(self.bias.mean())


def held(world: World, prompts: int, pairing: Pairing, runs: int) -> tuple[Held, Held]:
    """What so many runs say with all that was compared, and with what fell by lot alone."""
    index = world.index(prompts)
    made = [ran(world, index, replace(pairing, seed=seed)) for seed in range(runs)]
    whole = [one.told.battles() for one in made]
    uniform = [_only(one).battles() for one in made]
    return _held(world, made, whole), _held(world, made, uniform)


def _only(one: Ran) -> ClosedComparisons:
    told, uniform = one.told, one.uniform_sample
    columns = (told.prompt, told.left, told.right, told.halves, told.judged)
    return ClosedComparisons(told.names, *(column[uniform] for column in columns))


def _held(world: World, made: list[Ran], battles: list[Battles]) -> Held:
    inside, errors = [], []
    truth = POINTS * (world.truth[world.left] - world.truth[world.right])
    for one in battles:
        found = _differences(world, one)
        if found is not None:
            inside.append(np.abs(found[0] - truth) <= found[1])
            errors.append(found[0] - truth)
    return Held(
        np.mean(inside, axis=0),
        np.mean(errors, axis=0),
        len(inside),
        float(np.mean([one.told.prompt.size for one in made])),
        float(np.mean([one.rounds for one in made])),
        float(np.mean([one.ending is Ending.REACHED for one in made])),
    )


def _differences(world: World, battles: Battles) -> tuple[Floats, Floats] | None:
    """Each pair's difference and half the width of its interval, in Elo; None where nobody can be ranked."""
    try:
        fit = bradley_terry(battles)
    except Disconnected:
        return None
    found = fit.covariance
    if found.matrix is None or found.open_above is not None:
        return None
    error = difference_errors(found.matrix)[world.left, world.right]
    strengths = fit.log_strengths
    half = t_quantile(0.95, found.freedom + 1) * error
    return POINTS * (strengths[world.left] - strengths[world.right]), POINTS * half
