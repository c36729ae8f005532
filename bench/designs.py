"""Unbalanced designs drawn from a seed, with a known truth: who met whom on which prompt, and what would happen there.

A design fixes the battles of every prompt. A replicate draws the prompts' effects and the outcomes. The truth is the
fit of the expected outcomes of the same battles over all prompts, so it does not depend on a replicate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.battles import Battles
from judge.stats.newton import newton

SIZES = ("equal", "log-normal", "Pareto", "geometric")
PROMPTS = (5, 6, 8, 10, 14, 20, 30, 40, 60, 80, 120, 200)
CONTESTANTS = (2, 3, 4, 6, 8, 12, 20, 40)
OWN = (0, 0, 5, 6, 8, 10, 20)
"""How many prompts one contestant, the newcomer, has; 0 if there is no newcomer."""
TIES = (0.0, 0.1, 0.3)
EFFECTS = (0.0, 0.7, 1.2)
"""The standard deviations of a contestant's strength over prompts, in log odds."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)


@dataclass(frozen=True, eq=False)
class Design:
    """n battles of m contestants on *prompts*: *left*, *right* and *prompt* are int32[n], *weight* float64[n] or None.

    *strength* is float64[m] in log odds, *effect* its standard deviation over prompts, and *ties* the share of ties.
    *newcomer* is the code of a contestant with few prompts of its own, or None.
    """

    name: str
    prompts: int
    left: Ints
    right: Ints
    prompt: Ints
    weight: Floats | None
    strength: Floats
    effect: float
    ties: float
    newcomer: int | None

    @property
    def m(self) -> int:
        """The number of contestants."""
        return self.strength.size

    @cached_property
    def own_prompts(self) -> Ints:
        """How many prompts each contestant has, int32[m]."""
        met = np.zeros((self.m, self.prompts), dtype=bool)
        met[self.left, self.prompt] = met[self.right, self.prompt] = True
        counts: Ints = met.sum(axis=1).astype(np.int32)
        return counts

    @cached_property
    def effective(self) -> float:
        """Kish's effective number of prompts, by the weights of their battles."""
        size = sums(self.prompt, self.weight, self.prompts)
        return float(size.sum() ** 2 / np.square(size).sum())

    @cached_property
    def expected(self) -> Floats:
        """The expected score of the left side of each battle over all prompts, float64[n]."""
        gap = (self.strength[self.left] - self.strength[self.right])[:, None] + np.sqrt(2) * self.effect * NODES
        chance = (1 / (1 + np.exp(-gap))) @ (WEIGHTS / WEIGHTS.sum())
        mean: Floats = self.ties / 2 + (1 - self.ties) * chance
        return mean

    @cached_property
    def truth(self) -> Floats:
        """The log strengths of a fit of the expected scores, float64[m], which sum to zero."""
        weight = np.ones(self.left.size) if self.weight is None else self.weight
        cell = self.left.astype(np.intp) * self.m + self.right
        won = sums(cell, weight * self.expected, self.m**2).reshape(self.m, self.m)
        lost = sums(cell, weight * (1 - self.expected), self.m**2).reshape(self.m, self.m)
        return newton(won + lost.T, 1e-12, 200)[0]

    def battles(self, rng: np.random.Generator) -> Battles:
        """Draw the effects of the prompts and the outcomes of a replicate."""
        strength = self.strength[:, None] + self.effect * rng.standard_normal((self.m, self.prompts))
        gap = strength[self.left, self.prompt] - strength[self.right, self.prompt]
        lost = rng.random(gap.size) > 1 / (1 + np.exp(-gap))
        outcome = np.where(rng.random(gap.size) < self.ties, 2, lost).astype(np.int8)
        return Battles(
            contestants=tuple(f"c{i:02}" for i in range(self.m)),
            left=self.left,
            right=self.right,
            outcome=outcome,
            weight=self.weight,
            cluster=self.prompt,
            n_clusters=self.prompts,
        )


def draw_design(rng: np.random.Generator) -> Design:
    """Draw a design: its sizes, weights, contestants, strengths, ties and newcomer."""
    prompts, m = int(rng.choice(PROMPTS)), int(rng.choice(CONTESTANTS))
    kind, ties, effect = str(rng.choice(SIZES)), float(rng.choice(TIES)), float(rng.choice(EFFECTS))
    own = int(rng.choice(OWN))
    newcomer = m - 1 if m > 2 and 0 < own < prompts else None  # others must remain
    # A round robin, or for many contestants as many random pairs as there are contestants, on each unit of size.
    size = draw_sizes(rng, kind, prompts)
    left, right, prompt = [], [], []
    some = set(rng.choice(prompts, own, replace=False).tolist()) if newcomer is not None else set()
    pairs = np.array(np.triu_indices(m, 1)).T
    for g in range(prompts):
        for _ in range(int(size[g])):
            drawn = pairs if len(pairs) <= 2 * m else pairs[rng.choice(len(pairs), 2 * m, replace=False)]
            if newcomer is not None and g not in some:
                drawn = drawn[(drawn != newcomer).all(axis=1)]
            left.append(drawn[:, 0])
            right.append(drawn[:, 1])
            prompt.append(np.full(len(drawn), g))
        if g in some and not any((right[-1] == newcomer).tolist()):
            left.append(np.array([int(rng.integers(newcomer or 1))]))
            right.append(np.array([m - 1]))
            prompt.append(np.array([g]))
    n = sum(part.size for part in left)
    weight = rng.lognormal(0, 0.7, prompts)[np.concatenate(prompt)] if rng.random() < 0.25 else None
    skewed = rng.random() < 0.5  # half of the designs
    strength = rng.exponential(0.6, m) if skewed else rng.normal(0, 0.6, m)
    name = f"{m} contestants, {prompts} {kind} prompts, {n} battles, ties {ties}, effect {effect}" + (
        "" if newcomer is None else f", newcomer on {own}"
    )
    return Design(
        name=name + ("" if weight is None else ", weighted"),
        prompts=prompts,
        left=np.concatenate(left).astype(np.int32),
        right=np.concatenate(right).astype(np.int32),
        prompt=np.concatenate(prompt).astype(np.int32),
        weight=weight,
        strength=strength - strength.mean(),
        effect=effect,
        ties=ties,
        newcomer=newcomer,
    )


def draw_sizes(rng: np.random.Generator, kind: str, prompts: int) -> NDArray[np.int64]:
    """Draw the sizes of *prompts*, at least 1 each and at most 60."""
    drawn = {
        "equal": np.full(prompts, int(rng.integers(1, 4))),
        "log-normal": np.ceil(rng.lognormal(0.3, 1.0, prompts)),
        "Pareto": np.ceil(rng.pareto(1.5, prompts) + 0.001),
        "geometric": rng.geometric(0.4, prompts),
    }[kind]
    sizes: NDArray[np.int64] = np.clip(drawn, 1, 60).astype(np.int64)
    return sizes
