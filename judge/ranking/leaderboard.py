"""What a ranking returns: ratings, standings against a reference contestant, and what else was fitted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from judge.ranking.goodness_of_fit import FitReport
from judge.ranking.options import TIES, RankOptions
from judge.stats.cluster_intervals import Estimate
from judge.stats.equivalence import Answer
from judge.stats.length_control import LengthControl
from judge.stats.scorecard import Block
from judge.stats.tie_rules import HALF_WIN
from judge.stats.variance import Component
from judge.votes.votes import Part, SourceVotes

UNSPECIFIED = "UNSPECIFIED"
"""The standing of a contestant without an interval."""


@dataclass(frozen=True, slots=True)
class RatingRow:
    """One contestant's rating. NaN where there is no interval, None for what was not computed."""

    contestant: str
    rating: float
    low: float
    high: float
    rank: int
    n: int
    """The number of battles."""
    prompts: int
    expected: float | None = None
    """The expected win rate against the leaderboard's `expected_against`."""
    ranks: tuple[int, int] | None = None
    """The lowest and the highest rank that cannot be excluded, simultaneously for all contestants."""
    best: float | None = None
    """The probability of being the best, if the true strengths come from one normal distribution."""
    order_sd: float | None = None
    """The standard deviation of Elo over random orders of the battles."""
    by_prompt: Estimate | None = None
    """The mean win rate of the prompts, each counting once."""
    interval_method: str = ""
    """How the interval was computed, or "none: " and the reason."""
    standard_error: float | None = None
    """Of win rates: the standard error over what the interval is over, not limited to what shares can vary."""
    counts: tuple[int, int, int] | None = None
    """Of win rates: the wins, losses and ties against the reference contestant."""
    length_controlled: LengthControl | None = None
    """The win rate if all outputs were equally long, if the options ask for it."""


@dataclass(frozen=True, slots=True)
class EquivalenceRow:
    """Whether a contestant is *equivalent* and *non_inferior* to the reference contestant within a *margin*.

    *low* and *high* are the interval of the two one-sided tests, in the unit of the margin.
    """

    margin: float
    low: float
    high: float
    equivalent: Answer
    non_inferior: Answer


@dataclass(frozen=True, slots=True)
class StandingRow:
    """One contestant against the reference contestant; *low* and *high* are adjusted for the number of cells."""

    contestant: str
    difference: float
    low: float
    high: float
    probability_better: float
    detectable: float = math.nan
    """The smallest difference that these prompts would detect with power 0.8; NaN if they can detect none."""
    needed: int | None = None
    """How many prompts it takes to detect *wanted*; None if the intervals are not over prompts."""
    wanted: float = math.nan
    """The difference to detect, in the unit of *difference*."""
    within: EquivalenceRow | None = None
    """Equivalence on the scale of the ratings, if the options ask for it."""
    within_win_rate: EquivalenceRow | None = None
    """Equivalence of the expected score against the reference contestant, minus 0.5."""
    no_interval: str = ""
    """Why there is no interval: "none: " and the reason; empty if there is one."""

    @property
    def standing(self) -> str:
        """AHEAD, BEHIND or CANNOT_TELL; UNSPECIFIED without an interval."""
        if self.no_interval:
            return UNSPECIFIED
        if self.low > 0:
            return "AHEAD"
        return "BEHIND" if self.high < 0 else "CANNOT_TELL"


@dataclass(frozen=True, slots=True)
class PairRow:
    """The difference between two contestants, with an interval that is not adjusted for the number of pairs."""

    left: str
    right: str
    difference: float
    low: float
    high: float
    probability_better: float = math.nan
    """1 less the one-sided p-value of the difference."""


@dataclass(frozen=True, slots=True)
class EffectRow:
    """A coefficient that was fitted together with the strengths, in natural log odds per unit."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ShareRow:
    """In how many of the requested categories a contestant is ahead of and behind the reference contestant.

    *cells* is the number of those in which it has a standing.
    """

    contestant: str
    ahead: int
    behind: int
    cells: int


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """The ranks without one category or one judge. Contestants that cannot be ranked without it are missing."""

    category: str
    ranks: tuple[tuple[str, int], ...]
    judge: str = ""


@dataclass(frozen=True, slots=True)
class Anchoring:
    """The labels that ratings were anchored to, and what they contributed."""

    source: str
    labeled: int
    comparisons: int
    prompts: int
    weight: float
    gain: float
    more_labels: float
    more_prompts: float
    assumed_random: bool
    unused: int


@dataclass(frozen=True)
class Leaderboard:
    """Contestants ranked by one method, over one part of the data."""

    options: RankOptions
    part: Part
    interval_method: str
    ratings: tuple[RatingRow, ...]
    unranked: tuple[tuple[str, str], ...] = ()
    """Contestants that cannot be ranked, each with the reason."""
    components: tuple[tuple[str, ...], ...] = ()
    prompts: int = 0
    battles: int = 0
    standings: tuple[StandingRow, ...] = ()
    slices: tuple[Leaderboard, ...] = ()
    votes: SourceVotes | None = None
    notes: tuple[str, ...] = field(default=())
    pairs: tuple[PairRow, ...] = ()
    effects: tuple[EffectRow, ...] = ()
    shares: tuple[ShareRow, ...] = ()
    left_out: tuple[LeaveOneOut, ...] = ()
    without_style: Leaderboard | None = None
    uniform_sample: Leaderboard | None = None
    """For an adaptive run, the leaderboard of its uniform sample."""
    resamples: tuple[int, int] | None = None
    """For a bootstrap, how many resamples were drawn, and how many of them could not be ranked."""
    anchoring: Anchoring | None = None
    variance: tuple[Component, ...] = ()
    goodness_of_fit: FitReport | None = None
    block: Block | None = None
    """The differences behind the standings, in their order."""
    score_block: Block | None = None
    """The expected scores against the reference contestant, minus 0.5, in the same order."""
    clusters: int = 0
    """The number of prompts, or of whatever else the intervals are over, behind *block*."""

    @property
    def scale(self) -> str:
        """The unit of the ratings: `elo` points, `natural` log strength, or a `share` for win rates."""
        return "share" if self.options.method == "win-rate" else self.options.scale

    @property
    def expected_against(self) -> str:
        """The contestant that expected win rates are against; empty for one of average rating."""
        reference = self.options.reference
        ranked = any(row.contestant == reference for row in self.ratings)
        return reference if ranked or self.options.method == "win-rate" else ""

    @property
    def ties(self) -> str:
        """The tie rule."""
        return TIES.get(self.options.method, HALF_WIN)

    def with_notes(self, *notes: str) -> Leaderboard:
        """The same leaderboard with *notes* added."""
        return replace(self, notes=(*self.notes, *notes))
