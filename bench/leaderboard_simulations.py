"""Simulate what leaderboards say beyond ratings: planning, two leaderboards compared, and equivalence.

- Power: how often a difference is found that is as large as the one called detectable; 0.8 is promised.
- Two leaderboards with a known slope: the attenuated figures, the corrected ones, and the coverage of their intervals.
- Equivalence: how often contestants exactly at the margin are called as good as the reference; at most 0.05.

Each figure comes with its number of replicates, and goals allow two Monte-Carlo errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from designs import draw_sizes
from figures import Figure, monte_carlo_error, progress

from judge.columns.arrays import Floats, Ints
from judge.stats.battles import Battles
from judge.stats.bradley_terry import POINTS, block, bradley_terry
from judge.stats.cluster_intervals import Estimate
from judge.stats.equivalence import Answer, equivalences
from judge.stats.errors import Disconnected
from judge.stats.expected_scores import expected_scores
from judge.stats.newton import newton
from judge.stats.planning_power import detectable
from judge.stats.rank_agreement import RankAgreement, rank_agreement
from judge.stats.scorecard import ADJUSTMENTS, HOLM, NONE, Block, critical_values, intervals, levels
from judge.stats.win_rate import advantages, win_rates

BENCH = "leaderboard_simulations"
SEED, REPLICATES, PLANNED, STEPS = 20261130, 1000, 50, 3
LOWEST_POWER, HIGHEST_POWER, COVERAGE, ERROR_RATE = 0.78, 0.84, 0.93, 0.05
NAMES = tuple(f"c{i:02}" for i in range(21))
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
SLOPE, PEARSON = "slope", "pearson"


def rows(replicates: int = REPLICATES) -> Iterator[Figure]:
    """Run all simulations."""
    for n_contestants in (2, 6, 11, 21):
        for adjustment in ADJUSTMENTS:
            progress(f"power, {n_contestants} contestants, {adjustment}")
            yield from _power(n_contestants, adjustment, replicates)
    for two in CASES:
        progress(two.name)
        yield from _compared(two, replicates)
    for sizes in ("equal", "Pareto"):
        for n_contestants in (2, 6, 11):
            for name in SCALES:
                progress(f"equivalence by {name}, {n_contestants} contestants, {sizes} prompts")
                yield from _at_the_margin(Star(prompts=60, sizes=sizes), name, n_contestants, replicates)


@dataclass(frozen=True)
class Star:
    """Battles of contestants with the reference, code 0, on each of *prompts* prompts of the given *sizes*.

    The reference does better on some prompts than on others, by up to *effect* of the expected score.
    """

    prompts: int = 40
    sizes: str = "equal"
    per_unit: int = 3
    effect: float = 0.3

    def draw(self, rng: np.random.Generator, scores: Floats) -> Battles:
        """Draw the battles of contestants 1 to k, by their expected *scores*, float64[k]."""
        k = scores.size
        unit = np.repeat(np.arange(self.prompts, dtype=np.int32), draw_sizes(rng, self.sizes, self.prompts))
        effect = rng.uniform(-self.effect, self.effect, self.prompts)[unit]
        won = rng.random((unit.size, k, self.per_unit)) < scores[:, None] - effect[:, None, None]
        return Battles(
            contestants=NAMES[: k + 1],
            left=np.tile(np.repeat(np.arange(1, k + 1, dtype=np.int32), self.per_unit), unit.size),
            right=np.zeros(won.size, dtype=np.int32),
            outcome=np.where(won.ravel(), 0, 1).astype(np.int8),
            cluster=np.repeat(unit, k * self.per_unit),
            n_clusters=self.prompts,
        )


def by_ratings(battles: Battles) -> Block:
    """The differences of all contestants to the reference, in rating points."""
    fit = bradley_terry(battles)
    cells = block(fit, 0, range(1, fit.model.m))
    if cells is None:
        raise ValueError("too few prompts to simulate")
    return cells


def by_scores(battles: Battles) -> Block:
    """The same as expected scores minus 0.5."""
    fit = bradley_terry(battles)
    cells = block(fit, 0, range(1, fit.model.m))
    if cells is None:
        raise ValueError("too few prompts to simulate")
    return expected_scores(fit, cells)


def by_win_rates(battles: Battles) -> Block:
    """The same by win rates against the reference."""
    return advantages(win_rates(battles, 0), range(1, len(battles.contestants)))


SCALES: dict[str, Callable[[Battles], Block]] = {"points": by_ratings, "scores": by_scores, "win rates": by_win_rates}


def _power(n_contestants: int, adjustment: str, replicates: int) -> Iterator[Figure]:
    """How often one contestant is found to be ahead by what reports call detectable.

    These are reports in which it is ahead by as much or, without a goal, in which all are equal. A standard error in
    points is larger where one side wins most battles, so the former call a larger difference detectable.
    """
    star = Star()
    rng = np.random.default_rng([SEED, n_contestants, len(adjustment)])
    of_equals = promised = _promised(star, n_contestants, 0.0, adjustment, rng)
    for _ in range(STEPS):
        promised = _promised(star, n_contestants, promised, adjustment, rng)
    slack = 2 * math.sqrt(0.16 / replicates)
    for name, points in (("", promised), (" in a report of equals", of_equals)):
        detected = 0
        for _ in range(replicates):
            cells = by_ratings(star.draw(rng, _one_ahead(n_contestants, points)))
            low, _ = intervals(cells, levels([cells], adjustment, rng)[0], 0.95)
            detected += bool(low[0] > 0)
        power = detected / replicates
        yield Figure(
            bench=BENCH,
            figure=f"power at the detectable difference{name}, {n_contestants} contestants, {adjustment}",
            value=power,
            unit=f"of {replicates}",
            peer=f"detectable: {points:.0f} points",
            goal="" if name else f"{LOWEST_POWER} to {HIGHEST_POWER}, within {slack:.3f}",
            met=None if name else LOWEST_POWER - slack <= power <= HIGHEST_POWER + slack,
        )


def _one_ahead(n_contestants: int, points: float) -> Floats:
    """The expected scores of all contestants but the reference: the first is *points* ahead, the others equal."""
    return np.where(np.arange(n_contestants - 1) == 0, 1 / (1 + np.exp(-points / POINTS)), 0.5)


def _promised(star: Star, n_contestants: int, ahead: float, adjustment: str, rng: np.random.Generator) -> float:
    """What reports call detectable on average, in which one contestant is *ahead* by so many points."""
    reports = [by_ratings(star.draw(rng, _one_ahead(n_contestants, ahead))) for _ in range(PLANNED)]
    return float(np.mean([_detectable(cells, adjustment, rng) for cells in reports]))


def _detectable(cells: Block, adjustment: str, rng: np.random.Generator) -> float:
    strictest = np.full(cells.difference.size, levels([cells], adjustment, rng)[0].max())
    return detectable(float(cells.error[0]), float(cells.freedom[0]), float(critical_values(cells, strictest, 0.95)[0]))


@dataclass(frozen=True)
class TwoLeaderboards:
    """People's and a judge's battles of contestants on the same prompts, with a known slope.

    *people* and *judge* are the strengths, in log odds. Prompts are of the given *sizes*, and people have a *share* of
    the battles. Strengths vary between prompts by *effect*, for both alike if it is *common*.
    """

    name: str
    people: tuple[float, ...]
    judge: tuple[float, ...]
    prompts: int = 80
    sizes: str = "equal"
    share: float = 1.0
    effect: float = 0.5
    common: bool = False

    @property
    def truth(self) -> tuple[float | None, float | None]:
        """The slope and Pearson's correlation of the fits of all prompts; None if people see no difference."""
        judge, people = self._population(self.judge), self._population(self.people)
        if not any(self.people):
            return None, None
        spread = math.sqrt(float((judge @ judge) * (people @ people)))
        return float(judge @ people / (people @ people)), float(judge @ people / spread)

    def draw(self, rng: np.random.Generator) -> tuple[Battles, Battles]:
        """Draw the judge's and people's battles."""
        unit = np.repeat(np.arange(self.prompts, dtype=np.int32), draw_sizes(rng, self.sizes, self.prompts))
        effects = self.effect * rng.standard_normal((2, self.prompts, len(self.people)))
        of_judge, of_people = effects[0], effects[0 if self.common else 1]
        judged = self._battles(rng, np.array(self.judge) + of_judge, unit, 1.0)
        return judged, self._battles(rng, np.array(self.people) + of_people, unit, self.share)

    def _battles(self, rng: np.random.Generator, strength: Floats, unit: Ints, share: float) -> Battles:
        left, right = (side.astype(np.int32) for side in np.triu_indices(len(self.people), 1))
        chance = 1 / (1 + np.exp(strength[unit][:, right] - strength[unit][:, left])).ravel()
        kept = rng.random(chance.size) < share
        return Battles(
            contestants=NAMES[: len(self.people)],
            left=np.tile(left, unit.size)[kept],
            right=np.tile(right, unit.size)[kept],
            outcome=(rng.random(chance.size) > chance).astype(np.int8)[kept],
            cluster=np.repeat(unit, left.size)[kept],
            n_clusters=self.prompts,
        )

    def _population(self, strengths: tuple[float, ...]) -> Floats:
        gap = np.subtract.outer(strengths, strengths)[..., None] + math.sqrt(2) * self.effect * NODES
        wins = (1 / (1 + np.exp(-gap))) @ (WEIGHTS / WEIGHTS.sum())
        np.fill_diagonal(wins, 0)
        return newton(wins, 1e-12, 200)[0]


def _ladder(spread: float, slope: float = 1.0) -> tuple[float, ...]:
    return tuple((slope * np.linspace(spread, -spread, 8)).tolist())


_UNRELATED = (0.5, -0.5, -0.5, 0.5, 0.5, -0.5, -0.5, 0.5)
"""Strengths that are not correlated with a ladder."""
CASES = (
    TwoLeaderboards("eight close contestants, same order", _ladder(0.25), _ladder(0.25)),
    TwoLeaderboards("eight close contestants, same order, Pareto", _ladder(0.25), _ladder(0.25), sizes="Pareto"),
    TwoLeaderboards("eight close contestants, same order, common effects", _ladder(0.25), _ladder(0.25), common=True),
    TwoLeaderboards("same order, few votes of people", _ladder(0.5), _ladder(0.5), share=0.1),
    TwoLeaderboards("same order, few votes, log-normal", _ladder(0.5), _ladder(0.5), share=0.1, sizes="log-normal"),
    TwoLeaderboards("same order, 20 prompts", _ladder(0.5), _ladder(0.5), prompts=20),
    TwoLeaderboards("half as sharp, few votes", _ladder(0.8), _ladder(0.8, 0.5), share=0.1),
    TwoLeaderboards("twice as sharp, few votes", _ladder(0.8), _ladder(0.8, 2.0), share=0.1),
    TwoLeaderboards("unrelated", _ladder(0.5), _UNRELATED),
    TwoLeaderboards("unrelated, few votes", _ladder(0.5), _UNRELATED, share=0.1),
    TwoLeaderboards("people who see no difference", _ladder(0.0), _ladder(0.5)),
)


def _compared(two: TwoLeaderboards, replicates: int) -> Iterator[Figure]:
    rng = np.random.default_rng([SEED, CASES.index(two)])
    agreements: list[RankAgreement] = []
    for _ in range(replicates):
        try:
            agreements.append(rank_agreement(*two.draw(rng)))
        except Disconnected:
            continue
    reliability = np.median([agreement.reliabilities or (np.nan, np.nan) for agreement in agreements], axis=0)
    yield Figure(
        bench=BENCH,
        figure=f"{two.name}: Spearman, attenuated",
        value=float(np.mean([agreement.spearman.value or 0.0 for agreement in agreements])),
        unit=f"mean of {len(agreements)}",
        peer=f"reliabilities: judge {reliability[0]:.2f}, people {reliability[1]:.2f}",
    )
    least_squares = float(np.median([agreement.least_squares_slope for agreement in agreements]))
    for name, truth in zip((SLOPE, PEARSON), two.truth, strict=True):
        estimates = [getattr(agreement, name) for agreement in agreements]
        printed = [estimate for estimate in estimates if estimate.value is not None]
        beside = f", least squares {least_squares:.2f}" if name == SLOPE else ""
        yield _coverage(f"{two.name}: {name}", truth, printed, len(printed) / len(estimates), beside)


def _coverage(name: str, truth: float | None, printed: Sequence[Estimate], share: float, beside: str) -> Figure:
    """How often a printed interval contains the truth; how often one is printed, where every value is wrong."""
    if truth is None:
        return Figure(
            bench=BENCH,
            figure=f"{name}, determined although there is no true value",
            value=share,
            unit="share",
            goal="<= 0.05",
            met=share <= ERROR_RATE,
        )
    # Rounding to six digits must not exclude a correlation of exactly 1.
    ends = [(figure.low or 0.0, figure.high or 0.0) for figure in printed]
    value = float(np.mean([low - 1e-6 <= truth <= high + 1e-6 for low, high in ends]))
    slack = 2 * monte_carlo_error(COVERAGE, len(printed))
    median = float(np.median([figure.value or 0.0 for figure in printed]))
    return Figure(
        bench=BENCH,
        figure=f"{name}, coverage",
        value=value,
        unit=f"of {len(printed)}",
        peer=f"truth {truth:.2f}, median {median:.2f}{beside}; determined in {share:.2f}",
        goal=f">= {COVERAGE} less {slack:.3f}",
        met=value >= COVERAGE - slack,
    )


def _at_the_margin(star: Star, scale: str, n_contestants: int, replicates: int) -> Iterator[Figure]:
    """How often contestants exactly at the margin, on either side, are called equivalent: the worst, and any."""
    k = n_contestants - 1
    scores = np.where(np.arange(k) % 2, 0.4, 0.6)
    margin = 0.1 if scale != "points" else POINTS * math.log(0.6 / 0.4)
    rng = np.random.default_rng([SEED, n_contestants, len(scale), len(star.sizes)])
    wrong = np.zeros((2, replicates, k), dtype=bool)
    for replicate in range(replicates):
        cells = SCALES[scale](star.draw(rng, scores))
        for row, adjustment in zip(wrong, (NONE, HOLM), strict=True):
            two_sided = levels([cells], adjustment, np.random.default_rng(0))
            (result,) = equivalences([cells], margin, adjustment, two_sided)
            row[replicate] = [answer is Answer.YES for answer in result.equivalent]
    slack = 2 * monte_carlo_error(ERROR_RATE, replicates)
    for value, adjustment in ((wrong[0].mean(axis=0).max(), "none, the worst"), (wrong[1].any(axis=1).mean(), HOLM)):
        yield Figure(
            bench=BENCH,
            figure=f"equivalent at the margin, by {scale}, {n_contestants} contestants, {star.sizes}, {adjustment}",
            value=float(value),
            unit=f"of {replicates}",
            goal=f"<= {ERROR_RATE} and {slack:.3f}",
            met=bool(value <= ERROR_RATE + slack),
        )
