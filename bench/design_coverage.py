"""How often intervals hold on designs that are drawn from a seed, each with a known truth.

For each design: the coverage of the ratings' 95 % intervals for the worst contestant, of the differences of neighbors,
of all rank intervals at once, and the median width beside that of an oracle which knows the estimates' true spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from designs import Design, draw_design
from figures import Figure, monte_carlo_error, progress

from judge.columns.arrays import Floats
from judge.stats.bradley_terry import POINTS, BradleyTerryFit, bradley_terry
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.simultaneous import rank_intervals

SEED, DESIGNS, REPLICATES = 20261130, 60, 1000
FEWEST_OWN, FEWEST_EFFECTIVE = 5, 10
NORMAL = 1.959963984540054
"""The quantile of an interval of 95 % of an oracle that knows the variance."""
RATINGS, DIFFERENCES = 0, 1
"""The kinds of intervals that a tally counts."""
GOAL, GOAL_AT_ONCE, WIDEST = 0.93, 0.94, 1.25


@dataclass(eq=False)
class Tally:
    """What happened in the replicates of a *design*.

    *held* and *printed*, float64[2, m], count the intervals that held and that were printed: those of ratings, and of
    differences to the first contestant. *ratings* and *widths* are float64[replicates, m].
    """

    design: Design
    held: Floats
    printed: Floats
    ratings: list[Floats] = field(default_factory=list)
    widths: list[Floats] = field(default_factory=list)
    at_once: int = 0
    ranked: int = 0
    fitted: int = 0

    def worst(self, kind: int) -> tuple[float, int]:
        """The lowest coverage of a contestant with at least half of its intervals printed, and in how many of them.

        *kind* is `RATINGS` or `DIFFERENCES`.
        """
        held, printed = self.held[kind], self.printed[kind]
        usual = (printed > 0) & (printed * 2 >= self.fitted)
        if not usual.any():
            return float("nan"), 0
        shares = np.where(usual, held / np.where(usual, printed, 1.0), np.inf)
        at = int(shares.argmin())
        return float(shares[at]), int(printed[at])

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
    tally.held[RATINGS] += known & (intervals.low <= rating) & (rating <= intervals.high)
    tally.printed[RATINGS] += known
    tally.ratings.append(fit.ratings)
    tally.widths.append(np.where(known, intervals.high - intervals.low, np.nan))
    against = fit.differences(0)
    gap = POINTS * (truth - truth[0])
    tally.held[DIFFERENCES, 1:] += ((against.low <= gap) & (gap <= against.high))[1:]
    tally.printed[DIFFERENCES, 1:] += np.isfinite(against.low + against.high)[1:]
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
        tally = Tally(design=design, held=np.zeros((2, design.m)), printed=np.zeros((2, design.m)))
        for number in range(replicates):
            replicate(tally, np.random.default_rng([seed, at, number]))
        yield tally


def must_have_intervals(design: Design) -> bool:
    """Whether *design* has enough prompts, and each contestant enough of its own, that an interval must be printed."""
    return design.effective >= FEWEST_EFFECTIVE and int(design.own_prompts.min()) >= FEWEST_OWN


def rows(seed: int = SEED, designs: int = DESIGNS, replicates: int = REPLICATES) -> Iterator[Figure]:
    """Figures of each design: its ratings, its differences and its ranks; then the median width and what was missed."""
    missed, judged, widths = 0, 0, []
    for tally in tallies(seed, designs, replicates):
        progress(tally.design.name)
        must = must_have_intervals(tally.design)
        figures = list(_figures(tally, replicates, must=must))
        yield from figures
        if must:
            judged += 1
            missed += any(figure.met is False for figure in figures)
            widths.append(tally.width)
    width = float(np.nanmedian(widths)) if widths else float("nan")
    yield Figure(
        bench="coverage",
        figure="designs in which every goal is met",
        value=judged - missed,
        unit=f"of {judged} that must have intervals",
        peer=f"median of widths {width:.2f} x the oracle's",
        ratio=width,
        goal=f"all; width at most {WIDEST}",
        met=missed == 0 and width <= WIDEST,
    )


def _figures(tally: Tally, replicates: int, *, must: bool) -> Iterator[Figure]:
    """The figures of one design, with goals if it *must* have intervals."""
    design = tally.design
    name = f"{design.name}, {design.effective:.0f} effective"
    printed = tally.printed[RATINGS].sum() / max(tally.fitted * design.m, 1)
    aside = f"worst of {design.m}; printed {printed:.2f}; fitted {tally.fitted} of {replicates}"
    least = GOAL if must else None
    yield _figure(f"ratings, {name}", *tally.worst(RATINGS), least, aside, tally.width)
    yield _figure(f"differences to the first, {name}", *tally.worst(DIFFERENCES), least)
    yield _figure(
        f"all ranks, {name}", tally.at_once / max(tally.ranked, 1), tally.ranked, GOAL_AT_ONCE if must else None
    )


def _figure(name: str, value: float, n: int, least: float | None, peer: str = "", width: float | None = None) -> Figure:
    """A coverage in *n* replicates, with its Monte-Carlo error, and the goal if there is one."""
    error = monte_carlo_error(GOAL, n) if n else float("nan")
    return Figure(
        bench="coverage",
        figure=name,
        value=value,
        unit=f"+- {error:.3f}",
        peer=peer + (f"; oracle's width x {width:.2f}" if width is not None else ""),
        ratio=width,
        goal="" if least is None else f">= {least} - 2 standard errors",
        met=None if least is None or not n else value >= least - 2 * error,
    )
