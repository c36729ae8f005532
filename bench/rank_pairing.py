"""The number of calls needed to order contestants or to find the best five, by the design that chooses pairs.

The judge flips a coin in 10 % of calls and gives 10 % ties; contestants are evenly spread over 400 Elo points. First
verdicts are independent and prompts unlimited; then there are few prompts, with a random effect on each contestant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from figures import Figure, progress

from judge.columns.arrays import Floats
from judge.stats.adaptive import LEAST_SETTLED, TOP, pair_quotas, planning_fit

BEST, SPREAD, NOISE, TIES = 5, 400.0, 0.1, 0.1
UNIFORM = 0.2
PROMPTS, EFFECT = 200, 0.5
DESIGNS = ("uniform", "baseline", "swiss", LEAST_SETTLED, TOP)
ENDS = ("tau 0.95", "top 5 in half", "top 5 in 90 %")
"""Calls until the mean of Kendall's tau over seeds is 0.95, or until the best five are right for a share of seeds."""
Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Size:
    """The size of a simulation: contestants, seeds, calls per round, and the most calls, of which uniform gets three
    times as many.
    """

    contestants: int
    seeds: int
    round: int
    calls: int

    def most(self, design: str) -> int:
        """Return the most calls of *design*. Uniform gets more, because the others are compared with it."""
        return self.calls * 3 if design == "uniform" else self.calls


SIZES = (
    Size(contestants=20, seeds=100, round=200, calls=40_000),
    Size(contestants=100, seeds=24, round=2_000, calls=400_000),
)


def figures() -> Iterator[Figure]:
    """Simulate every size, with and without effects of prompts."""
    for size in SIZES:
        for effect in (0.0, EFFECT):
            yield from _table(size, effect)


def _table(size: Size, effect: float) -> Iterator[Figure]:
    world = f"{size.contestants} contestants, " + (
        f"{PROMPTS} prompts with effects" if effect else "independent verdicts"
    )
    calls_by_design = {}
    for design in DESIGNS:
        progress(f"pairing: {world}, {design}")
        runs = [_run(size, design, seed, effect) for seed in range(size.seeds)]
        tau, best = np.mean(runs, axis=0).T
        calls_by_design[design] = (_calls(tau, 0.95, size), _calls(best, 0.5, size), _calls(best, 0.9, size))
        for what, calls in zip(ENDS, calls_by_design[design], strict=True):
            reached = min(calls, size.most(design))
            unit = "calls" if calls == reached else "calls, and not reached"
            yield Figure(bench="pairing", figure=f"{world}, {design}: calls to {what}", value=reached, unit=unit)
    progress(_markdown_table(world, calls_by_design))
    if effect:
        return
    uniform, baseline = calls_by_design["uniform"], calls_by_design["baseline"]
    least, top = calls_by_design[LEAST_SETTLED], calls_by_design[TOP]
    share = 0.25 if size.contestants < 100 else 0.10  # as the goals say
    yield _goal(f"{world}: {LEAST_SETTLED} to uniform, tau 0.95", least[0], uniform[0], 0.8, size.most("uniform"))
    yield _goal(f"{world}: {LEAST_SETTLED} to baseline, tau 0.95", least[0], baseline[0], 0.5, size.calls)
    yield _goal(f"{world}: {TOP} to uniform, top 5 in 90 %", top[2], uniform[2], share, size.most("uniform"))


def _markdown_table(world: str, calls_by_design: Mapping[str, Sequence[float]]) -> str:
    """Return the calls of all designs as a Markdown table."""
    rows = [
        " | ".join((design, *("never" if math.isinf(n) else f"{n:,.0f}" for n in calls)))
        for design, calls in calls_by_design.items()
    ]
    head = f"| {world} | {' | '.join(ENDS)} |\n| --- | --- | --- | --- |\n"
    return head + "\n".join(f"| {row} |" for row in rows)


def _goal(name: str, ours: float, theirs: float, most: float, tried: int) -> Figure:
    """Compare two numbers of calls. A design that never gets there counts with the *tried* calls, which flatters it."""
    ratio = ours / min(theirs, tried)
    peer = f"{min(theirs, tried):,.0f} calls" + (", and not reached" if math.isinf(theirs) else "")
    return Figure(
        bench="pairing",
        figure=name,
        value=min(ours, tried),
        unit="calls",
        peer=peer,
        ratio=ratio,
        goal=f"<= {most:.0%}",
        met=ratio <= most,
    )


def _calls(curve: Floats, level: float, size: Size) -> float:
    reached = np.flatnonzero(curve >= level)
    return float((reached[0] + 1) * size.round) if reached.size else math.inf


def _run(size: Size, design: str, seed: int, effect: float) -> Floats:
    """Return Kendall's tau, and whether the best five are right, after each round: float64[rounds, 2]."""
    from scipy.stats import kendalltau  # noqa: PLC0415  # a slow import

    m, rng = size.contestants, np.random.default_rng(seed)
    truth = rng.permutation(np.linspace(-SPREAD / 2, SPREAD / 2, m)) * math.log(10) / 400
    at = truth + effect * rng.normal(0, 1, (PROMPTS, m)) if effect else truth[None, :]
    if effect:
        at += truth - at.mean(axis=0)
    best = set(np.argsort(-truth)[:BEST].tolist())
    wins, curve = np.zeros((m, m)), []
    chosen = _chooser(design, m, int(np.argsort(truth)[m // 2]), size.round)
    for _ in range(size.most(design) // size.round):
        left, right = chosen(wins, rng)
        left_score = _draw_left_scores(at, left, right, rng)
        np.add.at(wins, (left, right), left_score)
        np.add.at(wins, (right, left), 1 - left_score)
        strengths = planning_fit(wins)[0]
        right_ones = set(np.argsort(-strengths)[:BEST].tolist()) == best
        curve.append((kendalltau(strengths, truth).statistic, right_ones))
    return np.array(curve, dtype=np.float64)


def _draw_left_scores(at: Floats, left: np.ndarray, right: np.ndarray, rng: np.random.Generator) -> Floats:
    """Draw the judge's left scores on random prompts: float64[pairs]."""
    prompt = rng.integers(0, len(at), left.size)
    won = rng.random(left.size) < 1 / (1 + np.exp(at[prompt, right] - at[prompt, left]))
    flipped = np.where(rng.random(left.size) < NOISE, rng.integers(0, 2, left.size), won)
    return np.where(rng.random(left.size) < TIES, 0.5, flipped)


def _chooser(design: str, m: int, middle: int, n: int) -> Callable[[Floats, np.random.Generator], Pairs]:
    first, second = np.triu_indices(m, 1)
    there = np.zeros(m * m, dtype=np.int64)
    there[first * m + second] = n

    def uniform(_: Floats, rng: np.random.Generator, n_pairs: int = n) -> Pairs:
        drawn = rng.integers(0, first.size, n_pairs)
        return first[drawn], second[drawn]

    def baseline(_: Floats, rng: np.random.Generator) -> Pairs:
        other = rng.integers(0, m - 1, n)
        return np.full(n, middle), other + (other >= middle)

    def swiss(wins: Floats, rng: np.random.Generator) -> Pairs:
        order = np.argsort(-planning_fit(wins)[0], kind="stable")
        pairs = [order[start : start + (m - start) // 2 * 2].reshape(-1, 2) for start in (0, 1)]
        dealt = np.concatenate([pairs[rng.integers(2)] for _ in range(1 + n // (m // 2 - 1))])[:n]
        return dealt[:, 0], dealt[:, 1]

    def adaptive(wins: Floats, rng: np.random.Generator) -> Pairs:
        n_uniform = math.ceil(UNIFORM * n)
        drawn = uniform(wins, rng, n_uniform)
        codes = np.repeat(np.arange(m * m), pair_quotas(wins, there, n - n_uniform, rng, design, BEST))
        return np.concatenate((drawn[0], codes // m)), np.concatenate((drawn[1], codes % m))

    return {"uniform": uniform, "baseline": baseline, "swiss": swiss}.get(design, adaptive)
