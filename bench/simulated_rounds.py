"""Adaptive runs without a store or a judge: the product plans the rounds, and verdicts are simulated.

Every prompt has a random effect on every contestant. Each run draws its few prompts anew, and one verdict in ten is a
tie. The truth, which the intervals should contain, is the fit over all prompts of the world.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Flags, Floats
from judge.domain.run import Pairing
from judge.planning.adaptive import ClosedComparisons, next_row
from judge.planning.rounds import NOTHING, Ending, RoundResult, Rounds
from judge.ports.dataset_index import DatasetIndex, OutputIndex, PromptIndex
from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, bradley_terry
from judge.stats.errors import Disconnected
from judge.stats.newton import newton

TIES, EFFECT, PROMPTS_OF_THE_WORLD = 0.1, 0.7, 20_000


class World:
    """Contestants whose strengths spread evenly over *spread* Elo points, and the effects of prompts on them."""

    def __init__(self, contestants: int = 6, spread: float = 300.0) -> None:
        rng = np.random.default_rng(99)
        middle = np.linspace(spread / 2, -spread / 2, contestants) / POINTS
        self.strengths = middle + rng.normal(0, EFFECT, (PROMPTS_OF_THE_WORLD, contestants))
        self.left, self.right = np.triu_indices(contestants, 1)
        chance = 1 / (1 + np.exp(self.strengths[:, self.right] - self.strengths[:, self.left]))
        left_score = TIES / 2 + (1 - TIES) * chance.mean(axis=0)
        wins = np.zeros((contestants, contestants))
        wins[self.left, self.right], wins[self.right, self.left] = left_score, 1 - left_score
        self.truth: Floats = newton(wins, 1e-12, 100)[0]

    def index(self, prompts: int) -> DatasetIndex:
        """Return the index of a dataset of *prompts* prompts with an output of every contestant."""
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
class SimulatedRun:
    """A run that has ended: its comparisons, which of them are the uniform sample, its rounds and why it ended."""

    closed: ClosedComparisons
    uniform_sample: Flags
    n_rounds: int
    ending: Ending | None


def simulate_run(world: World, index: DatasetIndex, pairing: Pairing) -> SimulatedRun:
    """Simulate a run of *pairing* whose prompts and verdicts are drawn with its seed."""
    rng = np.random.default_rng([pairing.seed, 17])
    at = world.strengths[rng.integers(0, len(world.strengths), len(index.prompts))]
    rounds, closed = Rounds(index, pairing, 1), NOTHING
    while not rounds.ended:
        rounds.add(len(rounds), next_row(rounds, closed).to_bytes())
        pairs = rounds.rows[-1].drawn.pairs
        ahead = at[pairs.prompt, pairs.left] - at[pairs.prompt, pairs.right]
        won = 2 * (rng.random(pairs.n) < 1 / (1 + np.exp(-ahead)))
        halves = np.where(rng.random(pairs.n) < TIES, 1, won).astype(np.int32)
        closed = RoundResult(halves, np.ones(pairs.n, dtype=np.int32))
    uniform = np.concatenate([row.drawn.uniform for row in rounds.rows])
    return SimulatedRun(
        closed=ClosedComparisons.by(rounds, closed),
        uniform_sample=uniform,
        n_rounds=len(rounds) - 1,
        ending=rounds.rows[-1].ending,
    )


@dataclass(frozen=True, eq=False)
class Coverage:
    """How often the 95 % interval of each pair's difference contains the truth over runs, and its mean error in Elo."""

    coverage: Floats
    bias: Floats
    runs: int
    comparisons: float
    """The mean number of comparisons of a run, uniform or not."""
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
        """The mean error of the difference between the better and the worse of a pair, in Elo; + is too far apart."""
        return float(self.bias.mean())


def measure_coverage(world: World, prompts: int, pairing: Pairing, runs: int) -> tuple[Coverage, Coverage]:
    """Simulate *runs* runs and return the coverage with all comparisons, and with the uniform sample only."""
    index = world.index(prompts)
    runs_made = [simulate_run(world, index, replace(pairing, seed=seed)) for seed in range(runs)]
    whole = [run.closed.battles() for run in runs_made]
    uniform = [_uniform_comparisons(run).battles() for run in runs_made]
    return _coverage(world, runs_made, whole), _coverage(world, runs_made, uniform)


def _uniform_comparisons(run: SimulatedRun) -> ClosedComparisons:
    comparisons, uniform = run.closed, run.uniform_sample
    columns = (comparisons.prompt, comparisons.left, comparisons.right, comparisons.halves, comparisons.judged)
    return ClosedComparisons(comparisons.names, *(column[uniform] for column in columns))


def _coverage(world: World, made: list[SimulatedRun], battles: list[Battles]) -> Coverage:
    inside, errors = [], []
    truth = POINTS * (world.truth[world.left] - world.truth[world.right])
    for run_battles in battles:
        difference = _differences(world, run_battles)
        if difference is not None:
            inside.append(np.abs(difference[0] - truth) <= difference[1])
            errors.append(difference[0] - truth)
    return Coverage(
        coverage=np.mean(inside, axis=0),
        bias=np.mean(errors, axis=0),
        runs=len(inside),
        comparisons=float(np.mean([run.closed.prompt.size for run in made])),
        rounds=float(np.mean([run.n_rounds for run in made])),
        reached=float(np.mean([run.ending is Ending.REACHED for run in made])),
    )


def _differences(world: World, battles: Battles) -> tuple[Floats, Floats] | None:
    """Return each pair's difference and the half-width of its interval in Elo; None if nobody can be ranked."""
    try:
        fit = bradley_terry(battles)
    except Disconnected:
        return None
    if not fit.covariance.eligible.all():
        return None
    strengths = fit.log_strengths
    half = fit.covariance.pairs.at((world.left, world.right)).half_width(0.95)
    return POINTS * (strengths[world.left] - strengths[world.right]), POINTS * half
