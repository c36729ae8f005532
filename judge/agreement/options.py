"""What a report on agreement is asked for: its figures, intervals, parts of the data and diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

from judge.domain.defaults import AGREEMENT, AGREEMENT_INFERENCES, AGREEMENT_INTERVALS
from judge.domain.errors import InvalidInput
from judge.domain.outcome import Reconcile
from judge.stats.agreement import IntervalMethod
from judge.stats.cluster_bootstrap import Resamples, bootstrap_interval
from judge.votes.votes import WHOLE, Part, Taking

MOST_REPLICATES = 10_000
TIES: Mapping[str, tuple[Literal["WITH", "WITHOUT"], ...]] = {
    "UNSPECIFIED": ("WITH", "WITHOUT"),
    "WITH": ("WITH",),
    "WITHOUT": ("WITHOUT",),
}
"""Which figures are computed: with ties, without ties, or both."""


@dataclass(frozen=True)
class AgreeOptions:
    """How to compare two sources. Raises InvalidInput, naming the field, for an option that is out of range."""

    unit: str = "UNSPECIFIED"
    sorted_orientation: bool = AGREEMENT.orientation == "sorted"
    ties: str = "UNSPECIFIED"
    level: float = AGREEMENT.level
    reconcile: Reconcile = AGREEMENT.reconcile
    by_turn: bool = False
    by_category: bool = False
    by_pair: bool = False
    by_annotator: bool = False
    parser: str = ""
    part: Part = WHOLE
    intervals: str = AGREEMENT.intervals
    replicates: int = AGREEMENT.replicates
    seed: int = AGREEMENT.seed
    epsilon: float = AGREEMENT.epsilon
    q: float = AGREEMENT.q
    least_items: int = AGREEMENT.least_items
    unreadable_as_tie: bool = False
    bias: bool = False
    gold: bool = False
    """Whether the target counts as gold labels, whatever made them. Labels of kind gold always do."""
    family: tuple[str, ...] = ()
    wanted: float = AGREEMENT.difference_to_detect
    """The difference in agreement that should be detected, as a share."""
    cascade_target: float = 0.0
    """The agreement that a cascade must guarantee; 0 for no cascade."""
    cascade_delta: float = AGREEMENT.cascade_delta
    weighting: str = "UNSPECIFIED"
    """What counts once; unspecified for an annotator in figures, and for a comparison where people are beside."""
    drift_margin: float = AGREEMENT.drift_margin
    """The largest change beyond noise that counts as no more than noise, as a share."""
    inference: str = AGREEMENT.inference
    """What the intervals of figures, and of the comparison with people, generalize to."""

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InvalidInput("options.level", f"level must be between 0 and 1, but it is {self.level}")
        self._check_intervals()
        shares = {
            "epsilon": self.epsilon,
            "q": self.q,
            "difference_to_detect": self.wanted,
            "drift_margin": self.drift_margin,
        }
        for name, share in shares.items():
            if not 0 < share < 1:
                raise InvalidInput(f"options.{name}", f"{name} must be between 0 and 1, but it is {share}")
        if not (0 <= self.cascade_target < 1 and 0 < self.cascade_delta < 1):
            raise InvalidInput(
                "options.cascade_target",
                "cascade_target and cascade_delta must lie between 0 and 1, "
                f"but they are {self.cascade_target} and {self.cascade_delta}",
            )
        if self.family and not self.bias:
            raise InvalidInput("options.family", "a family goes with bias: set bias too, or leave family empty")
        if self.seed < 0:
            raise InvalidInput("options.seed", f"seed must be 0 or more, but it is {self.seed}")
        if self.least_items < 2:  # noqa: PLR2004  # as above
            raise InvalidInput("options.least_items", f"least_items must be 2 or more, but it is {self.least_items}")

    def _check_intervals(self) -> None:
        if self.intervals not in AGREEMENT_INTERVALS:
            known = ", ".join(AGREEMENT_INTERVALS)
            raise InvalidInput("options.intervals", f"intervals must be one of {known}, not {self.intervals}")
        if self.inference not in AGREEMENT_INFERENCES:
            known = ", ".join(AGREEMENT_INFERENCES)
            raise InvalidInput("options.inference", f"inference must be one of {known}, not {self.inference}")
        if self.new_annotators and self.intervals != AGREEMENT.intervals:
            raise InvalidInput(
                "options.intervals",
                f"intervals {self.intervals} resample prompts alone: leave out inference {self.inference}",
            )
        if not 2 <= self.replicates <= MOST_REPLICATES:  # noqa: PLR2004  # a standard deviation needs two
            raise InvalidInput(
                "options.replicates", f"replicates must be from 2 to {MOST_REPLICATES:,}, but it is {self.replicates:,}"
            )

    @property
    def taking(self) -> Taking:
        """How votes are taken from the sources that are compared."""
        return Taking(self.reconcile, self.parser, self.part, unreadable_as_tie=self.unreadable_as_tie)

    @property
    def new_annotators(self) -> bool:
        """Whether intervals are for new annotators too."""
        return self.inference == "prompts-and-annotators"

    @cached_property
    def interval_method(self) -> IntervalMethod | None:
        """The bootstrap of all figures, with the same resamples; None for the sandwich and the jackknife."""
        if self.intervals == "sandwich":
            return None

        return partial(
            bootstrap_interval,
            resamples=Resamples(self.seed, self.replicates),
            percentile=self.intervals == "percentile",
        )

    @property
    def orientation(self) -> Literal["both", "sorted"]:
        """Whether a pair of contestants counts in both orientations or only sorted by name."""
        return "sorted" if self.sorted_orientation else "both"
