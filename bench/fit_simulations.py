"""Simulated goodness of fit and probabilities of being the best, with known truth.

Sizes of prompts are drawn from the seed of each replicate. The battles of a prompt depend on each other: a contestant
that does well in one of them does well in the others. Each mean score is still exactly that of Bradley-Terry, so that a
test finds nothing but noise where no cycle is planted.

    python bench/fit_simulations.py [REPLICATES]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from figures import Figure, progress

from judge.columns.arrays import Floats
from judge.stats.battles import Battles
from judge.stats.best import probability_best
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.errors import Disconnected
from judge.stats.goodness_of_fit import goodness_of_fit
from judge.stats.simultaneous import draw_multivariate_t

Rows = npt.NDArray[np.integer]
REPLICATES = 400
FLIPS = 499
LEVEL = 0.05


@dataclass(frozen=True)
class World:
    """Battles of m contestants on prompts of `equal` or `pareto` sizes.

    *cycle* is added to the log odds of 0 against 1, 1 against 2 and 2 against 0. *clustering* is the correlation, on
    the scale of a normal variable, of two battles of one pair on one prompt; *ties* the share of ties between equals.
    """

    strengths: Floats
    prompts: int
    sizes: str = "equal"
    cycle: float = 0.0
    clustering: float = 0.3
    ties: float = 0.1

    def battles(self, rng: np.random.Generator) -> Battles:
        """Draw each pair once per prompt, or as many battles in all on prompts of Pareto(1.5) sizes."""
        from scipy.special import ndtr  # noqa: PLC0415  # slow to import

        m = self.strengths.size
        lefts, rights = np.triu_indices(m, 1)
        prompt, pair = self._where_met(rng, lefts.size)
        left, right = lefts[pair], rights[pair]
        ability = rng.standard_normal((self.prompts, m))
        common = np.sqrt(self.clustering / 2) * (ability[prompt, right] - ability[prompt, left])
        luck = ndtr(common + np.sqrt(1 - self.clustering) * rng.standard_normal(prompt.size))
        log_odds = self.strengths[left] - self.strengths[right]
        around = (right < 3) * np.where((left == 0) & (right == 2), -1.0, 1.0)  # contestants 0, 1, 2
        chance = 1 / (1 + np.exp(-log_odds - self.cycle * around))
        tied = self.ties * 2 * np.minimum(chance, 1 - chance) / 2
        outcome = np.where(np.abs(luck - chance) < tied, 2, luck > chance).astype(np.int8)
        return Battles(
            contestants=tuple(f"c{i:02}" for i in range(m)),
            left=left.astype(np.int32),
            right=right.astype(np.int32),
            outcome=outcome,
            cluster=prompt.astype(np.int32),
            n_clusters=self.prompts,
        )

    def _where_met(self, rng: np.random.Generator, pairs: int) -> tuple[Rows, Rows]:
        if self.sizes == "equal":
            return np.repeat(np.arange(self.prompts), pairs), np.tile(np.arange(pairs), self.prompts)
        weight = rng.pareto(1.5, self.prompts) + 1
        sizes = np.maximum(1, np.round(weight / weight.sum() * self.prompts * pairs)).astype(np.int64)
        prompt = np.repeat(np.arange(self.prompts), sizes)
        return prompt, rng.integers(0, pairs, prompt.size)

    def fit(self, rng: np.random.Generator) -> BradleyTerryFit | None:
        """Draw battles and fit them; None where they do not order everybody."""
        try:
            return bradley_terry(self.battles(rng))
        except Disconnected:
            return None


@dataclass
class Tally:
    """How often tests were significant, over the replicates in which there was one."""

    tested: int = 0
    pairs: int = 0
    with_triads: int = 0
    triads: int = 0
    cycle: int = 0
    share: float = 0.0


def tally(world: World, replicates: int, flips: int = FLIPS) -> Tally:
    """Test the fit of battles of *world* in each of *replicates*; `cycle` counts where 0, 1, 2 are named as a cycle."""
    result = Tally()
    for replicate in range(replicates):
        rng = np.random.default_rng([world.strengths.size, world.prompts, len(world.sizes), replicate])
        fit = world.fit(rng)
        fit_test = None if fit is None else goodness_of_fit(fit.model, rng, flips=flips)
        if fit_test is None or fit_test.pairs is None:
            continue
        result.tested += 1
        result.pairs += bool(fit_test.pairs.p.min() <= LEVEL)
        result.share += fit_test.between_prompts.value or 0.0
        if fit_test.triads is None:
            continue
        result.with_triads += 1
        significant = fit_test.triads.p <= LEVEL
        result.triads += bool(significant.any())
        cyclic = fit_test.triads.scores.min(axis=1) > 0.5  # half
        planted = (fit_test.triads.contestants == [0, 1, 2]).all(axis=1) & cyclic
        result.cycle += bool((significant & planted).any())
    return result


def rows(replicates: int = REPLICATES) -> Iterator[Figure]:
    """Run all simulations in order."""
    for m in (4, 8, 12):
        for prompts in (10, 20, 50, 200):
            for sizes in ("equal", "pareto"):
                yield from _sizes(World(np.linspace(1, -1, m), prompts, sizes), replicates)
    for m in (4, 8):
        for prompts in (10, 20, 80):
            for sizes in ("equal", "pareto"):
                yield _power(World(np.linspace(0.3, -0.3, m), prompts, sizes, cycle=1.0), replicates)
    for m in (3, 6, 12, 24):
        for prompts in (10, 80):
            for name, truth in TRUTHS.items():
                yield _best(m, prompts, name, truth, replicates)


def _sizes(world: World, replicates: int) -> Iterator[Figure]:
    name = f"{world.strengths.size} contestants, {world.prompts} prompts of {world.sizes} sizes"
    progress(f"size of tests, {name}")
    result = tally(world, replicates)
    counts = (("pairs", result.pairs, result.tested), ("triads", result.triads, result.with_triads))
    for test, significant, tested in counts:
        share = significant / max(tested, 1)
        error = np.sqrt(LEVEL * (1 - LEVEL) / max(tested, 1))
        yield Figure(
            bench="fit",
            figure=f"significant without a fault: {test}, {name}",
            value=share,
            unit=f"of {tested}",
            peer=f"Monte-Carlo error {error:.3f}; no test in {replicates - tested} of {replicates}",
            goal="0.03 to 0.07, within 2 errors",
            met=bool(0.03 - 2 * error <= share <= 0.07 + 2 * error) if tested else None,  # as the goal says
        )


def _power(world: World, replicates: int) -> Figure:
    name = f"{world.strengths.size} contestants, {world.prompts} prompts of {world.sizes} sizes"
    progress(f"power, {name}")
    result = tally(world, replicates)
    tested = max(result.with_triads, 1)
    return Figure(
        bench="fit",
        figure=f"planted cycle of 1 unit of log odds is named, {name}",
        value=result.cycle / tested,
        unit=f"of {result.with_triads}",
        peer=f"any triad {result.triads / tested:.3f}, any pair {result.pairs / max(result.tested, 1):.3f}",
    )


TRUTHS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "all equal": lambda _, m: np.zeros(m),
    "normal, SD 0.1": lambda rng, m: rng.normal(0, 0.1, m),
    "normal, SD 0.3": lambda rng, m: rng.normal(0, 0.3, m),
    "normal, SD 1": lambda rng, m: rng.normal(0, 1, m),
    "two groups 0.6 apart": lambda rng, m: rng.permutation(np.where(np.arange(m) < m / 2, 0.3, -0.3)),
}
"""True strengths, in natural log odds."""


@dataclass
class Leader:
    """Mean probabilities that the contestant with the largest rating is the best, and how often it was."""

    fitted: int = 0
    predicted: float = 0.0
    around_estimates: float = 0.0
    observed: float = 0.0

    @property
    def error(self) -> float:
        """The Monte-Carlo error of the observed share."""
        share = self.observed / max(self.fitted, 1)
        return float(np.sqrt(max(share * (1 - share), 0.01) / max(self.fitted, 1)))


def leader(m: int, prompts: int, truth: Callable[[np.random.Generator, int], Floats], replicates: int) -> Leader:
    """Rank *m* contestants of a *truth* in each of *replicates*. If k are equally the best, each counts as 1 / k."""
    result = Leader()
    for replicate in range(replicates):
        rng = np.random.default_rng([m, prompts, replicate, 7])
        strengths = truth(rng, m)
        fit = World(strengths, prompts).fit(rng)
        matrix = None if fit is None else fit.covariance.matrix
        if fit is None or matrix is None:
            continue
        first = int(fit.log_strengths.argmax())
        freedom = fit.covariance.ratings.freedom
        result.fitted += 1
        result.predicted += float(probability_best(fit.log_strengths, matrix, freedom, rng)[first])
        drawn = fit.log_strengths + draw_multivariate_t(
            matrix + matrix.diagonal().mean(), float(freedom.min()), rng, 1000
        )
        result.around_estimates += float((drawn.argmax(axis=1) == first).mean())
        best = strengths == strengths.max()
        result.observed += best[first] / best.sum()
    return result


def _best(
    m: int, prompts: int, name: str, truth: Callable[[np.random.Generator, int], Floats], replicates: int
) -> Figure:
    progress(f"best of {m} on {prompts} prompts, {name}")
    result = leader(m, prompts, truth, replicates)
    predicted, naive, observed = (
        value / max(result.fitted, 1) for value in (result.predicted, result.around_estimates, result.observed)
    )
    return Figure(
        bench="fit",
        figure=f"the leader is the best of {m}, {prompts} prompts, {name}",
        value=predicted,
        unit=f"of {result.fitted}",
        peer=f"observed {observed:.3f} +- {result.error:.3f}; by draws around the estimates {naive:.3f}",
    )


def main(arguments: list[str]) -> None:
    """Print the table, with as many replicates as the first argument says."""
    for row in rows(*map(int, arguments)):
        print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
