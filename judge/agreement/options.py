"""What agreement is asked, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np

from judge.agreement.bias import Bias
from judge.domain.errors import InvalidInput
from judge.domain.outcome import Reconcile
from judge.stats.agreement import AgreementFigure, IntervalMethod, agreement
from judge.stats.alternative import Alternative
from judge.stats.calibration import Calibration
from judge.stats.cascade import Cascade
from judge.stats.ceiling import Ceiling
from judge.stats.cluster_intervals import Estimate, Resamples, bootstrap_interval
from judge.stats.drift import Drift
from judge.stats.order_effects import OrderEffects
from judge.stats.rank_agreement import RankAgreement
from judge.stats.second_source import SecondSourceComparison
from judge.stats.votes import NOBODY, VoteColumns, VotePairs
from judge.votes.shared_codes import Table
from judge.votes.votes import WHOLE, Part, SourceVotes, Taking

INTERVALS = ("", "bootstrap", "percentile")
MOST_REPLICATES = 10_000
TIES: Mapping[str, tuple[Literal["WITH", "WITHOUT"], ...]] = {
    "UNSPECIFIED": ("WITH", "WITHOUT"),
    "WITH": ("WITH",),
    "WITHOUT": ("WITHOUT",),
}


@dataclass(frozen=True)
class AgreeOptions:
    """How to compare."""

    unit: str = "UNSPECIFIED"
    sorted_orientation: bool = False
    ties: str = "UNSPECIFIED"
    level: float = 0.95
    reconcile: Reconcile = Reconcile.TIE
    by_turn: bool = False
    by_category: bool = False
    by_pair: bool = False
    by_annotator: bool = False
    parser: str = ""
    part: Part = WHOLE
    intervals: str = ""
    replicates: int = 2000
    seed: int = 0
    epsilon: float = 0.2
    q: float = 0.05
    least_items: int = 30
    unreadable_as_tie: bool = False
    bias: bool = False
    family: tuple[str, ...] = ()
    wanted: float = 0.05
    """The difference of agreement one would like to tell from 0."""
    cascade_target: float = 0.0
    """The agreement that a cascade is to guarantee; 0 for none."""
    cascade_delta: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InvalidInput("options.level", f"level {self.level} is not between 0 and 1")
        if self.intervals not in INTERVALS:
            known = ", ".join(name for name in INTERVALS if name)
            raise InvalidInput("options.intervals", f"intervals {self.intervals!r} are none of {known}, or empty")
        if not 2 <= self.replicates <= MOST_REPLICATES:  # noqa: PLR2004  # a spread needs two
            raise InvalidInput("options.replicates", f"replicates is from 2 to {MOST_REPLICATES}")
        for name, share in {"epsilon": self.epsilon, "q": self.q, "difference_to_detect": self.wanted}.items():
            if not 0 < share < 1:
                raise InvalidInput(f"options.{name}", f"{name} lies between 0 and 1, and is not {share}")
        if not (0 <= self.cascade_target < 1 and 0 < self.cascade_delta < 1):
            raise InvalidInput("options.cascade_target", "a cascade's target and delta lie between 0 and 1")
        if self.family and not self.bias:
            raise InvalidInput("options.family", "a family goes with bias")
        if self.least_items < 2:  # noqa: PLR2004  # as above
            raise InvalidInput("options.least_items", "an annotator needs two items or more")

    @property
    def taking(self) -> Taking:
        """How the votes that are compared are taken."""
        return Taking(self.reconcile, self.parser, self.part, unreadable_as_tie=self.unreadable_as_tie)

    @cached_property
    def interval_method(self) -> IntervalMethod | None:
        """How figures get their intervals, where not by the sandwich and the jackknife: all by the same resamples."""
        if not self.intervals:
            return None

        return partial(
            bootstrap_interval,
            resamples=Resamples(self.seed, self.replicates),
            percentile=self.intervals == "percentile",
        )

    @property
    def orientation(self) -> Literal["both", "sorted"]:
        """Both or sorted."""
        return "sorted" if self.sorted_orientation else "both"


@dataclass(frozen=True)
class Figure:
    """One figure with the part of the data it covers."""

    part: Part
    ties: str
    unit: str
    figure: AgreementFigure
    annotator: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """What one figure counts: a part of the data, and of the target's annotators one, or all."""

    part: Part
    annotator: str = ""

    def of(self, table: Table, votes: VoteColumns) -> VoteColumns:
        """Those of *votes*, coded by *table*, that are counted in this figure."""
        rows = table.inside(self.part)[votes.item]
        if self.annotator:
            rows &= votes.annotator == table.annotators.index(self.annotator)
        return votes if rows.all() else votes.select(rows)


def cuts_of(table: Table, votes: VoteColumns, options: AgreeOptions) -> list[Cut]:
    """The whole, and what else was asked for, as far as *votes* have it."""
    base, items = options.part, np.unique(votes.item)
    found: set[Cut] = set()
    if options.by_turn:
        found |= {Cut(replace(base, turn=turn)) for turn in np.unique(table.turn[items]).tolist()}
    if options.by_category:
        names, code = table.category
        found |= {Cut(replace(base, category=names[at])) for at in np.unique(code[items]).tolist()}
    if options.by_pair:
        names, left, right = table.contestants
        ends = np.unique(np.stack((left[items], right[items])), axis=1).T.tolist()
        found |= {Cut(replace(base, left=names[one], right=names[other])) for one, other in ends}
    if options.by_annotator:
        found |= {Cut(base, table.annotators[at]) for at in np.unique(votes.annotator).tolist() if at != NOBODY}
    whole = Cut(base)
    return [
        whole,
        *sorted(
            found - {whole},
            key=lambda cut: (cut.part.turn, cut.part.category, cut.part.left, cut.part.right, cut.annotator),
        ),
    ]


def figured(pairs: VotePairs, options: AgreeOptions) -> Iterator[tuple[str, AgreementFigure]]:
    """The figures of *pairs* with ties kept, dropped, or both, as asked for."""
    for ties in TIES[options.ties]:
        yield ties, agreement(pairs, ties, options.orientation, options.level, options.interval_method)


@dataclass(frozen=True)
class Diagnostics:
    """What a target tells besides, of a source: each None or empty where it cannot be said, *notes* say why."""

    calibration: Calibration | None = None
    orders: RankAgreement | None = None
    gaps: tuple[tuple[float, float, AgreementFigure], ...] = ()
    notes: tuple[str, ...] = ()
    ceilings: tuple[tuple[Cut, Ceiling], ...] = ()
    alternative: Alternative | None = None
    annotators: tuple[str, ...] = ()
    """The names behind the codes of the alternative-annotator test."""
    cascade: Cascade | None = None
    bias: Bias | None = None
    drift: Drift | None = None
    """Of two judges, or of one judged twice: the target before, the source after."""
    second_sources: tuple[SecondSourceComparison, ...] = ()
    """The source beside another, against the target."""


@dataclass(frozen=True)
class Report:
    """How far two sources agree."""

    source: SourceVotes
    target: SourceVotes
    options: AgreeOptions
    figures: tuple[Figure, ...]
    source_only: int
    target_only: int
    both: int
    consistency: OrderEffects | None = None
    incomplete: int = 0
    repeats: Estimate | None = None
    diagnostics: Diagnostics = Diagnostics()
