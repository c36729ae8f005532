"""Simulate probes of judges: significant in 3 to 7 % where there is no bias, and the power where there is one.

A judge without a bias sees what people see, more or less sharply. Prompts are equal or of Pareto or log-normal size,
people are noisy, and the length of outputs goes along with their quality or not. A false alarm is a 95 % interval
without 0, among the replicates in which the probe claims anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from figures import Figure, monte_carlo_error, progress
from numpy.typing import NDArray

from judge.columns.arrays import Floats, Ints
from judge.stats.alternative import alternative_annotator
from judge.stats.battles import LEFT, RIGHT, TIE, Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.cluster_intervals import Estimate
from judge.stats.drift import drift
from judge.stats.errors import StatisticsError
from judge.stats.order_effects import order_consistency
from judge.stats.paired_model import Covariates
from judge.stats.probes import ProbeVotes, family_effect, style_effects
from judge.stats.second_source import compare_sources
from judge.stats.votes import NOBODY, VoteColumns

BENCH = "probe_simulations"
REPLICATES = 1000
SEED = 20261130
LEVEL = 0.05
"""That of a single test."""
LOWEST, HIGHEST = 0.03, 0.07
M = 6
PAIRS = np.array(np.triu_indices(M, 1)).T
STRENGTH = np.linspace(1.0, -1.0, M)
LENGTH, FAMILY = "length", "family"


@dataclass(frozen=True)
class World:
    """People and a judge on comparisons of six contestants.

    *sizes* is the distribution of the number of comparisons per prompt, of which the mean is *mean_size*. *votes* are
    people's per comparison. *correlation* is that of length and quality within a contestant's outputs. The judge is
    *sharpness* times as sharp as people. *length* and *own* are its biases, in log odds per standard deviation of
    length and for the contestants of the *family*.
    """

    prompts: int = 80
    sizes: str = "equal"
    mean_size: int = 15
    votes: int = 1
    correlation: float = 0.5
    sharpness: float = 1.0
    length: float = 0.0
    own: float = 0.0
    family: tuple[int, ...] = (0,)

    def draw(self, rng: np.random.Generator) -> tuple[ProbeVotes, Covariates]:
        """Draw a replicate: people's votes next to the judge's scores, and the lengths of outputs."""
        size = draw_sizes(rng, self.sizes, self.prompts, self.mean_size)
        prompt = np.repeat(np.arange(self.prompts), size)
        order = rng.random((self.prompts, len(PAIRS))).argsort(axis=1)
        place = np.arange(prompt.size) - np.repeat(np.cumsum(size) - size, size)
        left, right = PAIRS[order[prompt, place % len(PAIRS)]].T
        deviation = rng.standard_normal((self.prompts, M))
        other = rng.standard_normal((self.prompts, M))
        long = self.correlation * deviation + (1 - self.correlation**2) ** 0.5 * other
        quality = STRENGTH + deviation
        favor = np.isin(np.arange(M), self.family) * self.own
        judged = draw_left(rng, _gap(self.sharpness * quality + self.length * long + favor, prompt, left, right))
        comparison = np.repeat(np.arange(prompt.size), self.votes)
        people = draw_left(rng, _gap(quality, prompt, left, right)[comparison])
        votes = ProbeVotes(
            contestants=tuple("abcdef"),
            left=_codes(left[comparison]),
            right=_codes(right[comparison]),
            left_output=_codes((prompt * M + left)[comparison]),
            right_output=_codes((prompt * M + right)[comparison]),
            comparison=_codes(comparison),
            annotator=np.full(comparison.size, NOBODY, dtype=np.int32),
            prompt=_codes(prompt[comparison]),
            people=people,
            judge=judged[comparison],
        )
        return votes, Covariates((LENGTH,), _gap(long, prompt, left, right)[comparison, None])


def draw_sizes(rng: np.random.Generator, kind: str, prompts: int, mean: int) -> NDArray[np.int64]:
    """Draw the number of rows on each of *prompts*: at least 1, and *mean* on average."""
    drawn = {
        "equal": np.ones(prompts),
        "Pareto": rng.pareto(1.5, prompts) + 1,
        "log-normal": rng.lognormal(0, 1, prompts),
    }[kind]
    sizes: NDArray[np.int64] = np.maximum(np.round(drawn * mean / drawn.mean()), 1).astype(np.int64)
    return sizes


def draw_left(rng: np.random.Generator, log_odds: Floats) -> Floats:
    """Draw left scores, 1 or 0, with these log odds."""
    return (rng.random(log_odds.shape) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)


def _gap(strength: Floats, prompt: NDArray[np.integer], left: Ints, right: Ints) -> Floats:
    gap: Floats = strength[prompt, left] - strength[prompt, right]
    return gap


def _codes(values: NDArray[np.integer]) -> Ints:
    return values.astype(np.int32)


@dataclass(frozen=True, eq=False)
class Tally:
    """The estimates of some replicates."""

    estimates: tuple[Estimate, ...]

    @property
    def printed(self) -> tuple[Estimate, ...]:
        """Those with an interval."""
        return tuple(estimate for estimate in self.estimates if estimate.low is not None)

    @property
    def significant(self) -> float:
        """The share of intervals without 0."""
        outside = [(estimate.low or 0) > 0 or (estimate.high or 0) < 0 for estimate in self.printed]
        return float(np.mean(outside)) if outside else float("nan")

    @property
    def mean(self) -> float:
        """The mean estimate."""
        return float(np.mean([estimate.value for estimate in self.printed])) if self.printed else float("nan")


def tally(world: World, probe: str, replicates: int = REPLICATES, seed: int = SEED) -> Tally:
    """Probe *replicates* of a *world* for its length bias or for its family."""
    estimates = []
    for replicate in range(replicates):
        votes, style = world.draw(np.random.default_rng([seed, replicate]))
        try:
            if probe == LENGTH:
                estimates.append(style_effects(votes, style).effects[0][1])
            else:
                estimates.append(family_effect(votes, world.family))
        except StatisticsError:
            continue
    return Tally(tuple(estimates))


BEST, MIDDLE, WORST = (0,), (2,), (5,)
LENGTH_NULLS = {
    "length .5 with quality, 1 vote": World(),
    "length .5 with quality, 3 votes": World(votes=3),
    "length unrelated to quality": World(correlation=0.0),
    "length .5 with quality, Pareto prompts": World(sizes="Pareto"),
    "length .5 with quality, log-normal prompts": World(sizes="log-normal"),
    "length .5 with quality, 20 Pareto prompts of 30": World(prompts=20, sizes="Pareto", mean_size=30),
    "length .5 with quality, half as sharp": World(sharpness=0.5),
    "length .5 with quality, 4 times as sharp": World(sharpness=4.0),
    "length .5 with quality, 6 comparisons a prompt": World(mean_size=6),
}
FAMILY_NULLS = {
    f"{name} contestant, {sharpness:g} times as sharp{', ' * (sizes != 'equal')}{sizes * (sizes != 'equal')}": World(
        family=family, sharpness=sharpness, sizes=sizes
    )
    for name, family in (("best", BEST), ("middle", MIDDLE), ("worst", WORST))
    for sharpness, sizes in ((0.5, "equal"), (1.5, "equal"), (4.0, "equal"), (1.5, "Pareto"))
}
PLANTED = {
    "length .5, unrelated to quality": (LENGTH, World(correlation=0.0, length=0.5)),
    "length .5, .5 with quality": (LENGTH, World(length=0.5)),
    "length .5, .5 with quality, 3 votes": (LENGTH, World(length=0.5, votes=3)),
    "family .5, best contestant": (FAMILY, World(own=0.5, family=BEST)),
    "family .5, middle contestant": (FAMILY, World(own=0.5, family=MIDDLE)),
    "family .5, best contestant, 3 votes": (FAMILY, World(own=0.5, family=BEST, votes=3)),
    "family .5, two of six": (FAMILY, World(own=0.5, family=(0, 2))),
}
SHAPES = (("equal", 60, 4), ("Pareto", 60, 4), ("log-normal", 20, 6))
"""Sizes, prompts and mean size of the designs of all other probes."""


def rows(replicates: int = REPLICATES) -> Iterator[Figure]:
    """Run all simulations in order."""
    for name, world in LENGTH_NULLS.items():
        yield _null(f"length: {name}", tally(world, LENGTH, replicates))
    for name, world in FAMILY_NULLS.items():
        yield _null(f"family: {name}", tally(world, FAMILY, replicates))
    for name, (probe, world) in PLANTED.items():
        result = tally(world, probe, replicates)
        progress(f"planted {name}")
        yield Figure(
            bench=BENCH,
            figure=f"planted {name}: significant",
            value=result.significant,
            unit=f"of {len(result.printed)}",
            peer=f"mean estimate {result.mean:.3f}, power without bias .05",
        )
    for name, draw in OTHERS.items():
        for sizes, prompts, mean_size in SHAPES:
            p = SEED, prompts, mean_size
            result = Tally(
                tuple(
                    draw(np.random.default_rng([*p, replicate]), sizes, prompts, mean_size)
                    for replicate in range(replicates)
                )
            )
            yield _null(f"{name}: {prompts} {sizes} prompts of {mean_size}", result)
    yield from _alternative(replicates)


def _null(name: str, result: Tally) -> Figure:
    progress(name)
    n, share = len(result.printed), result.significant
    return _at_the_level(f"no bias, {name}", share, n, f"of {n} printed of {len(result.estimates)}")


def _at_the_level(name: str, share: float, n: int, unit: str, peer: str = "") -> Figure:
    """The *share* of *n* tests that were significant though there is nothing, which should be that of their level."""
    error = monte_carlo_error(LEVEL, n)
    return Figure(
        bench=BENCH,
        figure=f"{name}: significant",
        value=share,
        unit=unit,
        peer=f"{peer}Monte-Carlo error {error:.3f}",
        goal=f"{LOWEST} to {HIGHEST}",
        met=LOWEST - 2 * error <= share <= HIGHEST + 2 * error,
    )


def _rows_of_prompts(
    rng: np.random.Generator, sizes: str, prompts: int, mean_size: int
) -> tuple[Ints, NDArray[np.integer], NDArray[np.integer], Floats, Floats]:
    """Draw the prompt, the pair and the log odds of the left side of each comparison, and the difference of lengths."""
    prompt = np.repeat(np.arange(prompts), draw_sizes(rng, sizes, prompts, mean_size))
    left, right = PAIRS[rng.integers(0, len(PAIRS), prompt.size)].T
    quality = STRENGTH + rng.standard_normal((prompts, M))
    long = rng.standard_normal((prompts, M))
    return _codes(prompt), left, right, _gap(quality, prompt, left, right), _gap(long, prompt, left, right)


def _outcomes(rng: np.random.Generator, log_odds: Floats) -> NDArray[np.int8]:
    """Draw outcomes with these log odds; one in five of the close ones is a tie."""
    won = np.where(draw_left(rng, log_odds) > 0, LEFT, RIGHT)
    tied = rng.random(log_odds.size) < 0.8 / (2 + np.exp(log_odds) + np.exp(-log_odds))
    return np.where(tied, TIE, won).astype(np.int8)


def _position(rng: np.random.Generator, sizes: str, prompts: int, mean_size: int) -> Estimate:
    """The share won by the output shown first, less one half, of a judge that does not look at the order."""
    prompt, _, _, log_odds, _ = _rows_of_prompts(rng, sizes, prompts, mean_size)
    share = order_consistency(_outcomes(rng, log_odds), _outcomes(rng, log_odds), prompt).first_share
    return _less(share, 0.5)


def _ties(rng: np.random.Generator, sizes: str, prompts: int, mean_size: int) -> Estimate:
    """The change of the share of ties of a judge that has not changed."""
    prompt, _, _, log_odds, _ = _rows_of_prompts(rng, sizes, prompts, mean_size)
    before, after = (np.eye(3)[_outcomes(rng, log_odds)] for _ in range(2))
    return drift(before, after, np.zeros(prompt.size, dtype=np.int32), prompt).ties


def _style_control(rng: np.random.Generator, sizes: str, prompts: int, mean_size: int) -> Estimate:
    """The effect of length in a leaderboard, where length has nothing to do with the outcome."""
    prompt, left, right, log_odds, long = _rows_of_prompts(rng, sizes, prompts, mean_size)
    battles = Battles(
        contestants=tuple("abcdef"),
        left=_codes(left),
        right=_codes(right),
        outcome=_outcomes(rng, log_odds),
        cluster=prompt,
        n_clusters=prompts,
    )
    effect = bradley_terry(battles, covariates=Covariates((LENGTH,), long[:, None])).effects()[0]
    known = bool(np.isfinite(effect.low))
    return Estimate(
        value=effect.value,
        low=effect.low if known else None,
        high=effect.high if known else None,
        standard_error=None,
        method="",
        level=0.95,
        n=prompt.size,
        clusters=prompts,
    )


def _second_source(rng: np.random.Generator, sizes: str, prompts: int, mean_size: int) -> Estimate:
    """The difference of the agreement with people of two judges that are alike."""
    prompt, _, _, log_odds, _ = _rows_of_prompts(rng, sizes, prompts, mean_size)
    item, who = np.arange(prompt.size, dtype=np.int32), np.zeros(prompt.size, dtype=np.int32)
    judge, second = (VoteColumns(item, _outcomes(rng, log_odds), prompt, who + code) for code in (8, 9))
    several = np.repeat(item, 2)
    people = VoteColumns(several, _outcomes(rng, log_odds[several]), prompt[several], np.tile([0, 1], item.size))
    return compare_sources(judge, second, people).rate.difference


OTHERS: dict[str, Callable[[np.random.Generator, str, int, int], Estimate]] = {
    "position": _position,
    "change of ties": _ties,
    "style control": _style_control,
    "second source": _second_source,
}


def _less(estimate: Estimate, amount: float) -> Estimate:
    value, low, high = (None if x is None else x - amount for x in (estimate.value, estimate.low, estimate.high))
    return replace(estimate, value=value, low=low, high=high)


def _alternative(replicates: int) -> Iterator[Figure]:
    """The alternative-annotator test at the boundary of its hypothesis, by prompt and with independent items."""
    for sizes, prompts, mean_size in SHAPES:
        p = np.array(
            [
                boundary_p_values(
                    np.random.default_rng([SEED, prompts, mean_size, replicate]), sizes, prompts, mean_size
                )
                for replicate in range(replicates)
            ]
        )
        name = f"alternative annotator at the boundary: {prompts} {sizes} prompts of {mean_size}"
        progress(name)
        by_prompt, independent = (p < LEVEL).mean(axis=0).tolist()
        peer = f"items as independent {independent:.3f}, "
        yield _at_the_level(name, by_prompt, replicates, f"of {replicates}", peer)


def boundary_p_values(rng: np.random.Generator, sizes: str, prompts: int, mean_size: int) -> tuple[float, float]:
    """The p-values by prompt and of the paper for an annotator who is better than the judge by exactly epsilon, 0.2.

    Half of the spread is between prompts. A second annotator votes left on every item.
    """
    prompt = _codes(np.repeat(np.arange(prompts), draw_sizes(rng, sizes, prompts, mean_size)))
    n = prompt.size
    normal = (rng.standard_normal(prompts)[prompt] + rng.standard_normal(n)) / 2**0.5
    # The annotator alone agrees with the second one in 35 % of items, the judge alone in 15 %.
    annotator_alone, judge_alone = normal > 0.385320466, normal < -1.036433389
    item = np.arange(n, dtype=np.int32)
    own, judged = (np.where(alone, RIGHT, LEFT).astype(np.int8) for alone in (judge_alone, annotator_alone))
    people = VoteColumns(
        np.concatenate((item, item)),
        np.concatenate((own, np.zeros(n, dtype=np.int8))),
        np.concatenate((prompt, prompt)),
        np.repeat(np.array([0, 1], dtype=np.int32), n),
    )
    judge = VoteColumns(item, judged, prompt, np.full(n, 9, dtype=np.int32))
    test = alternative_annotator(judge, people, rng).annotators[0]
    return test.p, test.paper_p
