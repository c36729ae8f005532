"""What a ranking is asked for: the method, the options of its fit, its intervals and the parts of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from judge.domain.defaults import RANKING, RATING_SCALES
from judge.domain.errors import InvalidInput
from judge.domain.outcome import PER_ORDER, Reconcile
from judge.domain.source import Source, SourceKind
from judge.stats.bootstrap import SE_T, STUDENTISED
from judge.stats.bradley_terry import POINTS
from judge.stats.cluster_intervals import PERCENTILE
from judge.stats.scorecard import ADJUSTMENTS
from judge.stats.tie_rules import DAVIDSON, HALF_WIN, RAO_KUPPER
from judge.votes.votes import WHOLE, Part, Taking

TIES = {"bradley-terry": HALF_WIN, DAVIDSON: DAVIDSON, RAO_KUPPER: RAO_KUPPER}
"""The tie rule of each method that fits strengths."""
_ELO = ("elo", "elo-permuted")
METHODS = (*TIES, *_ELO, "win-rate")
TWO_WAY = "prompts-and-annotators"
OVER_PROMPTS = "new-prompts"
INFERENCES = (OVER_PROMPTS, "fixed-prompts", "annotators", "unclustered", TWO_WAY)
INTERVALS = {"sandwich": "", "bootstrap": SE_T, "bootstrap-t": STUDENTISED, "percentile": PERCENTILE}
"""The kinds of intervals, and the bootstrap that each comes from."""
MOST_PERMUTATIONS = 10_000
EVEN = 0.5
"""The expected score between two contestants that are equally good."""


@dataclass(frozen=True, slots=True)
class RankOptions:
    """How to rank. Raises InvalidInput, naming the field, for values and combinations that are not possible."""

    method: str = RANKING.method
    k: float = RANKING.k
    start: float = RANKING.start
    level: float = RANKING.level
    reference: str = ""
    reconcile: Reconcile = RANKING.reconcile
    by_category: bool = False
    part: Part = WHOLE
    largest: bool = RANKING.degenerate == "largest"
    parser: str = ""
    scale: str = RANKING.scale
    inference: str = RANKING.inference
    strata: bool = False
    position: bool = False
    """Fit the advantage of the left side. It is always fitted when each order is a vote of its own."""
    ridge: float = RANKING.ridge
    anchor: tuple[str, float] | None = None
    anchors: tuple[tuple[str, float], ...] = ()
    """Contestants whose mean rating is fixed at the mean of these ratings; not with *anchor*."""
    pairs: bool = False
    adjustment: str = RANKING.adjustment
    wanted: float = RANKING.difference_to_detect
    """The difference to the reference contestant that should be detected, in rating points."""
    within: float = 0.0
    """The margin of equivalence to the reference contestant, in rating points; 0 for none."""
    within_win_rate: float = 0.0
    """The margin for the expected score against the reference contestant, which is 0.5 for an equal; 0 for none."""
    targets: tuple[str, ...] = ()
    permutations: int = RANKING.permutations
    seed: int = RANKING.seed
    style: bool = False
    leave_one_out: bool = False
    intervals: str = RANKING.intervals
    replicates: int = RANKING.replicates
    anchored_to: Source | None = None
    variance: bool = False
    goodness_of_fit: bool = False
    decisive: float = RANKING.decisive_weight
    """How many votes a verdict of full strength on a Likert scale counts for."""
    length_controlled: bool = False
    """Also estimate win rates as if all outputs were equally long."""
    difficulties: tuple[tuple[str, float], ...] = ()
    """The difficulty of each prompt, for length-controlled win rates."""

    @property
    def taking(self) -> Taking:
        """How votes are taken from the source that is ranked."""
        return Taking(reconcile=self.reconcile, parser=self.parser, part=self.part, decisive=self.decisive)

    @property
    def scale_factor(self) -> float:
        """How many units of the scale asked for one Elo point is."""
        return 1.0 if self.scale == "elo" else 1 / POINTS

    def __post_init__(self) -> None:
        known = {
            "method": (self.method, METHODS),
            "scale": (self.scale, RATING_SCALES),
            "inference": (self.inference, INFERENCES),
            "adjustment": (self.adjustment, ADJUSTMENTS),
            "intervals": (self.intervals, tuple(INTERVALS)),
        }
        for name, (value, allowed) in known.items():
            if value not in allowed:
                raise InvalidInput(f"options.{name}", _unknown_value(name, value, allowed))
        numbers = {
            "ridge": (self.ridge, "0 or more", self.ridge >= 0),
            "difference_to_detect": (self.wanted, "more than 0", self.wanted > 0),
            "within": (self.within, "0 or more", self.within >= 0),
            "within_win_rate": (self.within_win_rate, "from 0 to less than 0.5", 0 <= self.within_win_rate < EVEN),
            "level": (self.level, "between 0 and 1", 0 < self.level < 1),
            "decisive_weight": (self.decisive, "1 or more", self.decisive >= 1),
            "k": (self.k, "more than 0", self.k > 0),
            "start": (self.start, "a number", True),
            "seed": (self.seed, "0 or more", self.seed >= 0),
        }
        for name, (number, limits, valid) in numbers.items():
            if not (math.isfinite(number) and valid):
                raise InvalidInput(f"options.{name}", f"{name} must be {limits}, but it is {number}")
        for name, count in {"permutations": self.permutations, "replicates": self.replicates}.items():
            if not 2 <= count <= MOST_PERMUTATIONS:  # noqa: PLR2004  # a standard deviation needs two
                raise InvalidInput(
                    f"options.{name}", f"{name} must be from 2 to {MOST_PERMUTATIONS:,}, but it is {count:,}"
                )
        self._check_anchors()
        self._check_method()
        self._check_length_control()
        self._check_margins()
        self._check_bootstrap()
        self._check_anchoring()
        self._check_goodness_of_fit()

    def _check_anchors(self) -> None:
        fixed = (*self.anchors, *([self.anchor] if self.anchor else []))
        if not all(math.isfinite(rating) for _, rating in fixed):
            raise InvalidInput("options.anchor", "the rating of an anchor must be a finite number")
        if self.anchors and self.anchor is not None:
            raise InvalidInput(
                "options.anchors", "give either one anchor or the anchors of an earlier leaderboard, not both"
            )
        if len({name for name, _ in self.anchors}) < len(self.anchors):
            raise InvalidInput("options.anchors", "the anchors name a contestant twice")

    def _check_method(self) -> None:
        if self.method == "win-rate" and not self.reference:
            raise InvalidInput("options.reference_contestant", "method win-rate needs a reference contestant")
        fitted = {
            "style": self.style,
            "anchor": self.anchor is not None,
            "anchors": bool(self.anchors),
            "ridge": self.ridge > 0,
            "pairs": self.pairs,
            "strata": self.strata,
            "position_effect": self.position,
            "scale": self.scale != "elo",
            "leave_one_out": self.leave_one_out,
            f"{self.intervals} intervals": self.intervals != "sandwich",
            "anchored_to": self.anchored_to is not None,
            "goodness_of_fit": self.goodness_of_fit,
        }
        if self.method not in TIES and any(fitted.values()):
            names = ", ".join(name for name, is_set in fitted.items() if is_set)
            own = "; its own intervals need no option" if self.method == "win-rate" and "intervals" in names else ""
            message = f"method {self.method} has no {names}{own}; choose one of {', '.join(TIES)}, or leave {names} out"
            raise InvalidInput(f"options.{names}", message)
        if self.method in _ELO and self.reference:
            message = f"method {self.method} has no comparisons with a reference contestant; leave it out"
            raise InvalidInput("options.reference_contestant", message)
        if self.method not in TIES and self.inference == TWO_WAY:
            raise InvalidInput(
                "options.inference",
                f"inference {TWO_WAY} needs one of the methods {', '.join(TIES)}, not {self.method}",
            )
        if self.strata and self.inference != "new-prompts":
            raise InvalidInput("options.strata", f"strata need inference new-prompts, not {self.inference}")

    def _check_length_control(self) -> None:
        if self.length_controlled and self.method != "win-rate":
            raise InvalidInput(
                "options.length_controlled", f"length-controlled win rates need method win-rate, not {self.method}"
            )
        if self.difficulties and not self.length_controlled:
            raise InvalidInput("options.difficulties", "difficulties are for length-controlled win rates")
        if not all(math.isfinite(difficulty) for _, difficulty in self.difficulties):
            raise InvalidInput("options.difficulties", "a difficulty must be a finite number")

    def _check_margins(self) -> None:
        margins = {"within": self.within, "within_win_rate": self.within_win_rate}
        for name in (name for name, margin in margins.items() if margin):
            if not self.reference:
                raise InvalidInput(f"options.{name}", f"{name} needs a reference contestant")
            if self.method in _ELO or (self.method == "win-rate" and name == "within"):
                raise InvalidInput(f"options.{name}", f"method {self.method} has no {name}")
            if 2 * self.level <= 1:  # the interval of one-sided tests has the level 2 * level - 1
                raise InvalidInput("options.level", f"{name} needs a level of more than 0.5, not {self.level}")

    def _check_bootstrap(self) -> None:
        if self.intervals == "sandwich":
            return
        if self.inference in ("fixed-prompts", TWO_WAY) or self.strata:
            raise InvalidInput(
                "options.intervals",
                f"intervals {self.intervals} resample all prompts: leave out strata and inference fixed-prompts or "
                f"{TWO_WAY}",
            )
        if (self.anchor is not None or self.anchors) and self.intervals != "bootstrap":
            raise InvalidInput(
                "options.intervals",
                f"intervals {self.intervals} cannot be combined with an anchor; intervals bootstrap can",
            )

    def _check_anchoring(self) -> None:
        if self.anchored_to is None:
            return
        other = {
            "method": self.method != "bradley-terry",
            "inference": self.inference != "new-prompts",
            "reconcile": self.reconcile in PER_ORDER,
            f"{self.intervals} intervals": self.intervals != "sandwich",
            "ridge": self.ridge > 0,
            "style": self.style,
            "strata": self.strata,
            "by_category": self.by_category or bool(self.targets),
            "leave_one_out": self.leave_one_out,
            "decisive_weight": self.decisive != 1,
        }
        if any(other.values()):
            names = ", ".join(name for name, is_set in other.items() if is_set)
            raise InvalidInput("options.anchored_to", f"ratings anchored to labels need the default {names}")
        if self.anchored_to.kind not in (SourceKind.PEOPLE, SourceKind.LABELS):
            raise InvalidInput(
                "options.anchored_to", f"ratings can be anchored to people or labels:PATTERN, not to {self.anchored_to}"
            )

    def _check_goodness_of_fit(self) -> None:
        other = {
            "inference": self.inference != "new-prompts",
            "ridge": self.ridge > 0,
            "anchored_to": self.anchored_to is not None,
        }
        if self.goodness_of_fit and any(other.values()):
            names = ", ".join(name for name, is_set in other.items() if is_set)
            message = f"goodness of fit is tested over prompts, on the fit of all battles: leave out {names}"
            raise InvalidInput("options.goodness_of_fit", message)


def _unknown_value(name: str, value: str, allowed: Sequence[str]) -> str:
    """The message for a value that is not allowed, with the closest one that is."""
    closest = get_close_matches(value, allowed, n=1)
    return f"unknown {name} {value!r}; use one of {', '.join(allowed)}" + (
        f" (did you mean {closest[0]}?)" if closest else ""
    )
