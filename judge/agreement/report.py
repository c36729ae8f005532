"""What a report on agreement contains: figures, the two orders of the source, and diagnostics."""

from __future__ import annotations

from dataclasses import dataclass

from judge.agreement.bias import Bias
from judge.agreement.cuts import Cut
from judge.agreement.gold import NO_GOLD, GoldAccuracy
from judge.agreement.options import AgreeOptions
from judge.stats.agreement import AgreementFigure
from judge.stats.alternative import Alternative
from judge.stats.calibration import Calibration
from judge.stats.cascade import Cascade
from judge.stats.ceiling import Ceiling
from judge.stats.cluster_intervals import Estimate
from judge.stats.drift import Drift
from judge.stats.order_effects import OrderEffects
from judge.stats.rank_agreement import RankAgreement
from judge.stats.second_source import SecondSourceComparison
from judge.votes.votes import Part, SourceVotes


@dataclass(frozen=True)
class Figure:
    """One figure with the part of the data that it covers."""

    part: Part
    ties: str
    unit: str
    figure: AgreementFigure
    annotator: str = ""


@dataclass(frozen=True)
class Diagnostics:
    """What else a target shows about a source. What is unknown is None or empty, and *notes* say why."""

    calibration: Calibration | None = None
    orders: RankAgreement | None = None
    gaps: tuple[tuple[float, float, AgreementFigure], ...] = ()
    """Agreement by the distance of the two contestants in the target's leaderboard: from, to, and the figure."""
    notes: tuple[str, ...] = ()
    ceilings: tuple[tuple[Cut, Ceiling], ...] = ()
    alternative: Alternative | None = None
    annotators: tuple[str, ...] = ()
    """The names behind the codes of the alternative-annotator test."""
    cascade: Cascade | None = None
    bias: Bias | None = None
    drift: Drift | None = None
    """The change from one judge, the target, to another one or the same judge later, the source."""
    second_sources: tuple[SecondSourceComparison, ...] = ()
    """The source compared with a second source, both against the target."""


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
    intra_annotator: tuple[Estimate | None, Estimate | None] = (None, None)
    """For the source and the target, if they are labels: how often an annotator who votes again says the same."""
    gold: GoldAccuracy = NO_GOLD
    """The accuracy of the source, if the target is gold labels."""
    diagnostics: Diagnostics = Diagnostics()
