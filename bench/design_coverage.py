"""How often intervals hold on designs that are drawn from a seed, each with a known truth.

For each design: the coverage of the ratings' 95 % intervals for the worst contestant, of the differences of neighbors,
of all rank intervals at once, and the median width beside that of an oracle which knows the estimates' true spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from designs import Design, draw_design
from figures import Figure, progress

from judge.columns.arrays import Floats
from judge.stats.bradley_terry import POINTS, BradleyTerryFit, bradley_terry
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.simultaneous import rank_intervals

SEED, DESIGNS, REPLICATES = 20261130, 60, 1000
FEWEST_OWN, FEWEST_EFFECTIVE = 5, 10
NORMAL = 1.959963984540054
"""The quantile of an interval of 95 % of an oracle that knows the variance."""
GOAL, GOAL_AT_ONCE, WIDEST = 0.93, 0.94, 1.25


@dataclass(eq=False)
class Tally:
    """What happened in the replicates of a *design*.

    *held* and *printed*, float64[m], count the intervals of ratings that held and that were printed, *adjacent* those
    of differences to the first contestant. *ratings* and *widths* are float64[replicates, m].
    """

    design: Design
    held: Floats
    printed: Floats
    adjacent: Floats
    ratings: list[Floats] = field(default_factory=list)
    widths: list[Floats] = field(default_factory=list)
    at_once: int = 0
    ranked: int = 0
    fitted: int = 0

    @property
    def coverage(self) -> Floats:
        """The share of printed intervals that hold the truth, float64[m]; NaN for contestants without any."""
        shares: Floats = self.held / np.where(self.printed > 0, self.printed, np.nan)
        return shares

    @property
    def worst(self) -> tuple[float, float]:
        """The coverage for the worst contestant with at least half of its intervals printed, and its standard error."""
        shares = np.where(self.printed * 2 >= self.fitted, self.coverage, np.nan)
        if np.isnan(shares).all():
            return float("nan"), float("nan")
        at = int(np.nanargmin(shares))
        return float(shares[at]), float(np.sqrt(GOAL * (1 - GOAL) / self.printed[at]))

    @property
    def width(self) -> float:
        """The median width of an interval in units of the oracle's."""
        if len(self.ratings) < 2:  # a spread needs two
            return float("nan")
        oracle = 2 * NORMAL * np.std(np.array(self.ratings), axis=0, ddof=1)
        return float(np.nanmedian(np.array(self.widths) / np.where(oracle > 0, oracle, np.nan)))


def replicate(tally: Tally, rng: np.random.Generator) -> None:
    """Draw one replicate of the design and add it to *tally*; a board that falls apart counts as not fitted."""
    design = tally.design
    try:
        fit = bradley_terry(design.battles(rng))
    except (Disconnected, NotConverged):
        return
    truth = design.truth
    tally.fitted += 1
    intervals = fit.interval()
    known = np.isfinite(intervals.low) & np.isfinite(intervals.high)
    # An interval is relative to the mean of the contestants that have one.
    shift = (fit.log_strengths - truth)[known].mean() if known.any() else 0.0
    rating = 1000 + POINTS * (truth + shift)
    tally.held += known & (intervals.low <= rating) & (rating <= intervals.high)
    tally.printed += known
    tally.ratings.append(fit.ratings)
    tally.widths.append(np.where(known, intervals.high - intervals.low, np.nan))
    against = fit.differences(0)
    gap = POINTS * (truth - truth[0])
    tally.adjacent += (against.low <= gap) & (gap <= against.high)
    _add_ranks(tally, fit)


def _add_ranks(tally: Tally, fit: BradleyTerryFit) -> None:
    covariance = fit.covariance
    if covariance.matrix is None:
        return
    ranks = rank_intervals(fit.log_strengths, covariance.pairs)
    truth = tally.design.truth
    low = 1 + (truth[None, :] > truth[:, None] + 1e-9).sum(axis=1)
    high = truth.size - (truth[None, :] < truth[:, None] - 1e-9).sum(axis=1)
    tally.ranked += 1
    tally.at_once += bool(((ranks.low <= low) & (high <= ranks.high)).all())


def tallies(seed: int, designs: int, replicates: int) -> Iterator[Tally]:
    """Draw *designs* from *seed* and *replicates* of each."""
    for at in range(designs):
        design = draw_design(np.random.default_rng([seed, at]))
        nothing = np.zeros(design.m)
        tally = Tally(design=design, held=nothing, printed=nothing.copy(), adjacent=nothing.copy())
        for number in range(replicates):
            replicate(tally, np.random.default_rng([seed, at, number]))
        yield tally


def rows(seed: int = SEED, designs: int = DESIGNS, replicates: int = REPLICATES) -> Iterator[Figure]:
    """One figure for each design, and the share of designs that meet the goals."""
    met, judged, widths = 0, 0, []
    for tally in tallies(seed, designs, replicates):
        design = tally.design
        progress(design.name)
        must = design.effective >= FEWEST_EFFECTIVE and int(design.own_prompts.min()) >= FEWEST_OWN
        worst, error = tally.worst
        held = bool(worst >= GOAL - 2 * error) if must and tally.fitted else None
        if held is not None:
            met, judged = met + held, judged + 1
            widths.append(tally.width)
        printed = tally.printed.sum() / max(tally.fitted * design.m, 1)
        at_once = tally.at_once / tally.ranked if tally.ranked else float("nan")
        yield Figure(
            bench="coverage",
            figure=f"ratings, {design.name}, {design.effective:.0f} effective",
            value=worst,
            unit=f"worst of {design.m}, +- {error:.3f}",
            peer=f"oracle's width x {tally.width:.2f}; printed {printed:.2f}; "
            f"fitted {tally.fitted} of {replicates}; all ranks {at_once:.3f}",
            ratio=tally.width,
            goal=f">= {GOAL} - 2 standard errors",
            met=held,
        )
    yield Figure(
        bench="coverage",
        figure="designs of which the worst contestant's coverage is at least the goal",
        value=met / max(judged, 1),
        unit=f"of {judged}",
        peer=f"median of widths {np.nanmedian(widths) if widths else float('nan'):.2f} x the oracle's",
        goal="all",
        met=met == judged,
    )
