"""Simulate judges beside people: a judge that is one more person, drift, and intervals for new annotators.

Each figure has a known truth. A false alarm is a 95 % interval without the truth, in favor of either side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from figures import Figure, monte_carlo_error, progress
from numpy.typing import NDArray

from judge.columns.arrays import Floats, Ints
from judge.stats.agreement import agreement
from judge.stats.agreement_two_way import agreement_of_new_annotators
from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.ceiling import ceiling
from judge.stats.cluster_intervals import Estimate
from judge.stats.drift import Drift, drift
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.two_way_ratings import two_way_covariance
from judge.stats.votes import VoteColumns, pairs_between, pairs_within

BENCH = "people_simulations"
REPLICATES = 1000
SEED = 20261130
LEVEL, LOWEST, HIGHEST = 0.95, 0.03, 0.07
FEWEST_HELD = 0.93
PEOPLE = 1_000_000
"""How many draws the true values are computed from."""


def rows(seed: int = SEED, replicates: int = REPLICATES) -> Iterator[Figure]:
    """One figure for each design: false alarms of ceilings, answers on drift, coverage of two-way intervals."""
    for part in (ceilings, drifts, new_annotators, new_annotators_rank):
        progress(part.__name__)
        yield from part(np.random.default_rng(seed), replicates)


def ceilings(rng: np.random.Generator, replicates: int) -> Iterator[Figure]:
    """How often a judge that is one more person is better or worse than people, by the numbers of votes."""
    for name, hard, easy in (("equal", 3, 3), ("more votes on hard items", 6, 2), ("more votes on easy items", 2, 6)):
        for prompts in (20, 80):
            for weighting in ("COMPARISONS", "VOTES"):
                alarms = [_one_more_person(rng, prompts, hard, easy, weighting) for _ in range(replicates)]
                what = f"one more person, {name}, {prompts} prompts, weighting {weighting.lower()}: better or worse"
                goal = weighting == "COMPARISONS"
                yield _share(what, alarms, replicates, (LOWEST, HIGHEST) if goal else None)


def _one_more_person(rng: np.random.Generator, prompts: int, hard: int, easy: int, weighting: str) -> bool:
    """Whether a judge that says left as often as people do differs from them. Each prompt has two items."""
    chance = np.tile([0.35, 0.95], prompts)
    items = np.arange(chance.size, dtype=np.int32)
    item = np.repeat(items, np.tile([hard, easy], prompts))
    people = VoteColumns(item, _coins(rng, chance[item]), item // 2, np.arange(item.size, dtype=np.int32))
    judge = VoteColumns(items, _coins(rng, chance), items // 2, items)
    result = ceiling(judge, people, weighting="VOTES" if weighting == "VOTES" else "COMPARISONS")
    return not _holds(result.rate.difference, 0.0)


def _coins(rng: np.random.Generator, chance: Floats) -> NDArray[np.int8]:
    return (rng.random(chance.size) > chance).astype(np.int8)


@dataclass(frozen=True)
class Change:
    """How a judge's probabilities p change to q: *moved* prompts get others, or all become *sharper*."""

    name: str
    moved: float = 0.0
    sharper: bool = False
    certain: bool = False
    repeats: tuple[int, int] = (2, 2)
    prompts: int = 60
    per_prompt: int = 6

    def draw(self, rng: np.random.Generator) -> tuple[Drift, float]:
        """The drift on one set of verdicts, and its true value."""
        n = self.prompts * self.per_prompt
        prompt = np.repeat(np.arange(self.prompts, dtype=np.int32), self.per_prompt)
        concentration = (0.5, 0.5, 0.3)
        before = rng.dirichlet(concentration, self.prompts)[prompt] / 2 + rng.dirichlet(concentration, n) / 2
        if self.certain:
            before = np.eye(3)[rng.integers(0, 2, n)]
        after = before
        if self.sharper:
            after = before**3 / (before**3).sum(axis=1, keepdims=True)
        elif self.moved:
            other = before[:, [1, 0, 2]] if self.certain else rng.dirichlet(concentration, n)
            after = np.where((rng.random(self.prompts) < self.moved)[prompt][:, None], other, before)
        sides = [
            rng.multinomial(count, p).astype(np.float64) for count, p in zip(self.repeats, (before, after), strict=True)
        ]
        truth = float(np.square(before - after).sum(axis=1).mean() / 2)
        return drift(sides[0], sides[1], rng.integers(0, 2, n).astype(np.int32), prompt), truth


CHANGES = (
    Change("nothing changes"),
    Change("nothing changes", prompts=80, per_prompt=30),
    Change("sharper, repeats before alone", sharper=True, repeats=(2, 1)),
    Change("sharper, repeats on both sides", sharper=True),
    Change("a tenth of the prompts changes", moved=0.1),
    Change("5 % of the prompts change altogether", moved=0.05, certain=True, prompts=80, per_prompt=1),
    Change("5 % of the prompts change altogether", moved=0.05, certain=True, prompts=200, per_prompt=1),
)


def drifts(rng: np.random.Generator, replicates: int) -> Iterator[Figure]:
    """How often each answer is given, and the mean of the true values. At the margin, 2.5 % may be told it is noise."""
    for change in CHANGES:
        drawn = [change.draw(rng) for _ in range(replicates)]
        truth = float(np.mean([true for _, true in drawn]))
        what = f"drift, {change.name}, {change.prompts} prompts of {change.per_prompt}, truth {truth:.3f}"
        answers = [result.answer for result, _ in drawn]
        for answer in ("changed", "no more than noise", "cannot tell"):
            false = (answer == "no more than noise" and truth > 0.045) or (
                answer == "changed" and truth == 0
            )  # the margin is 0.05
            bounds = (0.0, 0.025 + 2 * (0.025 * 0.975 / replicates) ** 0.5) if false else None
            yield _share(f"{what}: {answer}", [given == answer for given in answers], replicates, bounds)


@dataclass(frozen=True)
class Crowd:
    """*annotators* who differ by *spread* in how often they agree, shares of votes as rank ** -*skew*, on *prompts*."""

    prompts: int
    annotators: int
    spread: float
    skew: float = 0.0

    def draw(self, rng: np.random.Generator) -> tuple[VoteColumns, VoteColumns]:
        """A judge that is right, and three votes on each of three items a prompt."""
        right = rng.normal(0, self.spread, self.annotators)
        by_prompt = rng.normal(0, 0.1, self.prompts)
        share = np.arange(1.0, self.annotators + 1) ** -self.skew
        items = np.arange(3 * self.prompts, dtype=np.int32)
        # The three largest of exponential times per share are a draw without replacement.
        keys = rng.exponential(size=(items.size, self.annotators)) / share
        whose = np.argpartition(keys, 2, axis=1)[:, :3].ravel().astype(np.int32)
        item = np.repeat(items, 3)
        chance = np.clip(0.7 + right[whose] + by_prompt[item // 3], 0, 1)
        truth = rng.integers(0, 2, items.size).astype(np.int8)
        outcome = truth[item] ^ _coins(rng, chance)
        judge = VoteColumns(items, truth, items // 3, np.full(items.size, self.annotators))
        return judge, VoteColumns(item, outcome, item // 3, whose)

    def truth(self) -> tuple[float, float]:
        """The agreement of the judge with a new person, and of two new people, on a new prompt."""
        rng = np.random.default_rng(0)
        prompt = rng.normal(0.7, 0.1, PEOPLE)
        first, second = (np.clip(prompt + rng.normal(0, self.spread, PEOPLE), 0, 1) for _ in range(2))
        return float(first.mean()), float((first * second + (1 - first) * (1 - second)).mean())


CROWDS = (
    Crowd(80, 6, 0.1),
    Crowd(80, 12, 0.1),
    Crowd(80, 30, 0.1),
    Crowd(80, 30, 0.1, skew=1.0),
    Crowd(20, 12, 0.1),
    Crowd(80, 12, 0.0),
)


def new_annotators(rng: np.random.Generator, replicates: int) -> Iterator[Figure]:
    """The coverage of agreement over prompts and annotators, beside that over prompts alone."""
    for crowd in CROWDS:
        held: dict[str, list[tuple[bool, bool]]] = {"judge": [], "people": [], "difference": []}
        with_judge, among = crowd.truth()
        for _ in range(replicates):
            judge, people = crowd.draw(rng)
            for name, pairs, truth in (
                ("judge", pairs_between(judge, people), with_judge),
                ("people", pairs_within(people), among),
            ):
                one_way = agreement(pairs)
                two_way = agreement_of_new_annotators(one_way, pairs)
                held[name].append((_holds(two_way.rate, truth), _holds(one_way.rate, truth)))
            by_prompt, by_both = (ceiling(judge, people, new_annotators=new).rate.difference for new in (False, True))
            truth = with_judge - among
            held["difference"].append((_holds(by_both, truth), _holds(by_prompt, truth)))
        for name, pairs_of_answers in held.items():
            over_both, over_prompts = zip(*pairs_of_answers, strict=True)
            design = (
                f"{crowd.prompts} prompts, {crowd.annotators} annotators (spread {crowd.spread}, skew {crowd.skew})"
            )
            yield _coverage(f"{name}, {design}", over_both, over_prompts)


def new_annotators_rank(rng: np.random.Generator, replicates: int) -> Iterator[Figure]:
    """The coverage of differences of ratings if annotators have tastes, beside that of intervals over prompts alone."""
    for prompts, annotators, taste in ((60, 8, 0.6), (60, 20, 0.6), (60, 20, 0.0)):
        true = np.array([0.6, 0.2, -0.2, -0.6])
        answers: list[tuple[bool, bool]] = []
        # The marginal strengths that a fit to many annotators and prompts has.
        target = bradley_terry(_battles(np.random.default_rng(1), true, 40_000, 4000, taste, 6)[0]).log_strengths
        for _ in range(replicates):
            battles, whose = _battles(rng, true, prompts, annotators, taste, 6)
            try:
                fit = bradley_terry(battles)
            except (Disconnected, NotConverged):
                continue
            covariance = two_way_covariance(fit.model, whose)
            both = replace(fit, resampled_covariance=covariance)
            truth = (target[1] - target[0]) * 400 / np.log(10)
            holds = []
            for chosen in (both, fit):
                differences = chosen.differences(0)
                holds.append(bool(differences.low[1] <= truth <= differences.high[1]))
            answers.append((holds[0], holds[1]))
        over_both, over_prompts = zip(*answers, strict=True)
        yield _coverage(
            f"rating difference, {prompts} prompts, {annotators} annotators (taste {taste})", over_both, over_prompts
        )


def _battles(
    rng: np.random.Generator, true: Floats, prompts: int, annotators: int, taste: float, votes: int
) -> tuple[Battles, Ints]:
    """*votes* battles of random pairs on each prompt, and the annotator of each."""
    of_annotator = rng.normal(0, taste, (annotators, true.size))
    of_prompt = rng.normal(0, 0.5, (prompts, true.size))
    prompt = np.repeat(np.arange(prompts), votes)
    whose = rng.integers(0, annotators, prompt.size)
    left = rng.integers(0, true.size, prompt.size)
    right = (left + rng.integers(1, true.size, prompt.size)) % true.size
    strength = true + of_annotator[whose] + of_prompt[prompt]
    rows_of = np.arange(prompt.size)
    ahead = strength[rows_of, left] - strength[rows_of, right]
    battles = Battles(
        contestants=tuple("abcd"),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        outcome=_coins(rng, 1 / (1 + np.exp(-ahead))),
        cluster=prompt.astype(np.int32),
        n_clusters=prompts,
    )
    return battles, whose.astype(np.int32)


def _holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low is not None and estimate.high is not None and estimate.low <= truth <= estimate.high


def _share(what: str, answers: list[bool], replicates: int, bounds: tuple[float, float] | None) -> Figure:
    share = float(np.mean(answers))
    error = monte_carlo_error(share, replicates)
    if bounds is None:
        return Figure(BENCH, what, share, f"share (+-{2 * error:.3f})")
    return Figure(
        BENCH,
        what,
        share,
        f"share (+-{2 * error:.3f})",
        goal=f"{bounds[0]:.3f} to {bounds[1]:.3f}",
        met=bounds[0] - 2 * error <= share <= bounds[1] + 2 * error,
    )


def _coverage(what: str, over_both: tuple[bool, ...], over_prompts: tuple[bool, ...]) -> Figure:
    share = float(np.mean(over_both))
    error = monte_carlo_error(LEVEL, len(over_both))
    return Figure(
        BENCH,
        f"two-way coverage of 95 %: {what}",
        share,
        f"share (+-{2 * error:.3f})",
        peer=f"over prompts alone {np.mean(over_prompts):.3f}",
        goal=f"at least {FEWEST_HELD}",
        met=share >= FEWEST_HELD - 2 * error,
    )
