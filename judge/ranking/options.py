"""What a ranking is asked for: the method, the options of its fit, its intervals and the parts of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from judge.domain.errors import InvalidInput
from judge.domain.outcome import Reconcile
from judge.domain.source import Source, SourceKind
from judge.stats.bootstrap import SE_T, STUDENTISED
from judge.stats.bradley_terry import POINTS
from judge.stats.cluster_intervals import PERCENTILE
from judge.stats.scorecard import ADJUSTMENTS, MAX_T
from judge.stats.tie_rules import DAVIDSON, HALF_WIN, RAO_KUPPER
from judge.votes.votes import WHOLE, Part, Taking

TIES = {"bradley-terry": HALF_WIN, DAVIDSON: DAVIDSON, RAO_KUPPER: RAO_KUPPER}
"""The tie rule of each method that fits strengths."""
METHODS = (*TIES, "elo", "elo-permuted", "win-rate")
SCALES = ("elo", "natural")
INFERENCES = ("new-prompts", "fixed-prompts", "annotators", "unclustered")
INTERVALS = {"sandwich": "", "bootstrap": SE_T, "bootstrap-t": STUDENTISED, "percentile": PERCENTILE}
"""The intervals there are, and the kind of bootstrap they come of."""
MOST_PERMUTATIONS = 10_000


@dataclass(frozen=True, slots=True)
class RankOptions:
    """How to rank."""

    method: str = "bradley-terry"
    k: float = 4.0
    start: float = 1000.0
    level: float = 0.95
    reference: str = ""
    reconcile: Reconcile = Reconcile.TIE
    by_category: bool = False
    part: Part = WHOLE
    largest: bool = False
    parser: str = ""
    scale: str = "elo"
    inference: str = "new-prompts"
    strata: bool = False
    position: bool = False
    """Fit what the left side is worth; verdicts that count for each order always do."""
    ridge: float = 0.0
    anchor: tuple[str, float] | None = None
    anchors: tuple[tuple[str, float], ...] = ()
    """Contestants whose mean rating is fixed at the mean of these, where no single one is."""
    pairs: bool = False
    adjustment: str = MAX_T
    wanted: float = 30.0
    """The difference to the reference that one would like to detect, in rating points."""
    targets: tuple[str, ...] = ()
    permutations: int = 100
    seed: int = 0
    style: bool = False
    leave_one_out: bool = False
    intervals: str = "sandwich"
    replicates: int = 1000
    anchored_to: Source | None = None
    variance: bool = False
    decisive: float = 1.0
    """How many votes a verdict of full strength on a Likert scale counts as."""

    @property
    def taking(self) -> Taking:
        """How votes are taken from the source that is ranked."""
        return Taking(self.reconcile, self.parser, self.part, self.decisive)

    @property
    def scale_factor(self) -> float:
        """How many units of the scale asked for one Elo point is."""
        return 1.0 if self.scale == "elo" else 1 / POINTS

    def __post_init__(self) -> None:
        known = {
            "method": (self.method, METHODS),
            "scale": (self.scale, SCALES),
            "inference": (self.inference, INFERENCES),
            "adjustment": (self.adjustment, ADJUSTMENTS),
            "intervals": (self.intervals, tuple(INTERVALS)),
        }
        for name, (said, allowed) in known.items():
            if said not in allowed:
                raise InvalidInput(f"options.{name}", f"{name} {said!r} is none of {', '.join(allowed)}")
        numbers = {
            "ridge": (self.ridge, self.ridge >= 0),
            "difference_to_detect": (self.wanted, self.wanted > 0),
            "level": (self.level, 0 < self.level < 1),
            "decisive_weight": (self.decisive, self.decisive >= 1),
        }
        for name, (value, sound) in numbers.items():
            if not (math.isfinite(value) and sound):
                raise InvalidInput(f"options.{name}", f"{name} cannot be {value}")
        for name, many in {"permutations": self.permutations, "replicates": self.replicates}.items():
            if not 2 <= many <= MOST_PERMUTATIONS:  # noqa: PLR2004  # a spread needs two
                raise InvalidInput(f"options.{name}", f"{name} is from 2 to {MOST_PERMUTATIONS}")
        self._fitting()
        self._resampled()
        self._anchored()

    def _fitting(self) -> None:
        fixed = (*self.anchors, *([self.anchor] if self.anchor else []))
        if not all(math.isfinite(rating) for _, rating in fixed):
            raise InvalidInput("options.anchor", "an anchor's rating is a finite number")
        if self.anchors and self.anchor is not None:
            raise InvalidInput("options.anchors", "either one contestant is an anchor, or an earlier leaderboard's are")
        if len({name for name, _ in self.anchors}) < len(self.anchors):
            raise InvalidInput("options.anchors", "a contestant is named twice among the anchors")
        if self.method == "win-rate" and not self.reference:
            raise InvalidInput("options.reference_contestant", "win-rate needs a reference contestant")
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
            "intervals": self.intervals != "sandwich",
            "anchored_to": self.anchored_to is not None,
        }
        if self.method not in TIES and any(fitted.values()):
            told = ", ".join(name for name, asked in fitted.items() if asked)
            raise InvalidInput(f"options.{told}", f"method {self.method} has no {told}; {', '.join(TIES)} have")
        if self.strata and self.inference != "new-prompts":
            raise InvalidInput("options.strata", "strata are of prompts, and go with inference new-prompts")

    def _resampled(self) -> None:
        if self.intervals == "sandwich":
            return
        if self.inference == "fixed-prompts" or self.strata:
            raise InvalidInput("options.intervals", "a bootstrap draws prompts from all of them: no strata, none fixed")
        if (self.anchor is not None or self.anchors) and self.intervals != "bootstrap":
            raise InvalidInput("options.intervals", f"intervals {self.intervals} go with no anchor; bootstrap does")

    def _anchored(self) -> None:
        if self.anchored_to is None:
            return
        other = {
            "method": self.method != "bradley-terry",
            "inference": self.inference != "new-prompts",
            "reconcile": self.reconcile is Reconcile.EACH,
            "intervals": self.intervals != "sandwich",
            "ridge": self.ridge > 0,
            "style": self.style,
            "strata": self.strata,
            "by_category": self.by_category or bool(self.targets),
            "leave_one_out": self.leave_one_out,
            "decisive_weight": self.decisive != 1,
        }
        if any(other.values()):
            told = ", ".join(name for name, asked in other.items() if asked)
            raise InvalidInput("options.anchored_to", f"ratings anchored to labels go with the default {told} only")
        if self.anchored_to.kind not in (SourceKind.PEOPLE, SourceKind.LABELS):
            raise InvalidInput("options.anchored_to", "ratings are anchored to people or labels:PATTERN")
