"""How far two sources agree on the same comparisons, or one source's annotators among themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from judge.domain.errors import InvalidInput
from judge.domain.outcome import Outcome, Reconcile
from judge.domain.source import Merge
from judge.runs.bias import Bias
from judge.runs.orders_agree import leaderboards, steps
from judge.runs.sources import merged
from judge.runs.votes import WHOLE, Part, Taking, Vote, Votes, Where, whole
from judge.stats.agreement import AgreementFigure, Doubt, agreement
from judge.stats.alternative import Alternative, alternative_annotator
from judge.stats.arrays import Floats
from judge.stats.calibration import Calibration, calibration
from judge.stats.cascade import Cascade, cascade
from judge.stats.ceiling import Ceiling, ceiling
from judge.stats.clustered import Estimate, jackknife, mean, resampled
from judge.stats.names import coded
from judge.stats.order_effects import OrderEffects, order_consistency
from judge.stats.rank_agreement import RankAgreement
from judge.stats.votes import Votes as Coded
from judge.stats.votes import pairs_between, pairs_within

INTERVALS = ("", "bootstrap", "percentile")
MOST_REPLICATES = 10_000
BOARDS = 1000
"""Resamples of the two leaderboards."""
_TIES: Mapping[str, tuple[Literal["KEEP", "DROP"], ...]] = {
    "UNSPECIFIED": ("KEEP", "DROP"),
    "KEEP": ("KEEP",),
    "DROP": ("DROP",),
}


@dataclass(frozen=True, slots=True)
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
    reading: str = ""
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
        for name, share in {"epsilon": self.epsilon, "q": self.q, "wanted_difference": self.wanted}.items():
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
        return Taking(self.reconcile, self.reading, self.part, unreadable_as_tie=self.unreadable_as_tie)

    @property
    def doubt(self) -> Doubt | None:
        """How figures get their intervals, where not by the sandwich and the jackknife."""
        if not self.intervals:
            return None

        def drawn(
            sums: Floats, statistic: Callable[[Floats], Floats], level: float, n: int, bounds: tuple[float, float]
        ) -> Estimate:
            rng = np.random.default_rng(self.seed)
            percentile = self.intervals == "percentile"
            return resampled(
                sums, statistic, level, n, bounds, rng=rng, replicates=self.replicates, percentile=percentile
            )

        return drawn

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


@dataclass(frozen=True)
class Report:
    """How far two sources agree."""

    source: Votes
    target: Votes
    options: AgreeOptions
    figures: tuple[Figure, ...]
    source_only: int
    target_only: int
    both: int
    consistency: OrderEffects | None = None
    incomplete: int = 0
    calibration: Calibration | None = None
    orders: RankAgreement | None = None
    gaps: tuple[tuple[float, float, AgreementFigure], ...] = ()
    notes: tuple[str, ...] = ()
    ceilings: tuple[tuple[Part, Ceiling], ...] = ()
    alternative: Alternative | None = None
    annotators: tuple[str, ...] = ()
    """The names behind the codes of the alternative-annotator test."""
    bias: Bias | None = None
    repeats: Estimate | None = None
    cascade: Cascade | None = None


@dataclass(frozen=True, slots=True)
class _Cut:
    part: Part
    annotator: str = ""

    def takes(self, vote: Vote, votes: Votes) -> bool:
        """Whether *vote*, of *votes*, is counted in this figure."""
        return self.annotator in ("", vote.annotator) and self.part.takes(vote.where, votes.categories, votes.tags)


def measure(source: Votes, target: Votes | None, options: AgreeOptions) -> Report:
    """The report of *source* against *target*, or among the source's own annotators without one."""
    unit = _unit(options.unit, among_themselves=target is None)
    other = source if target is None else target
    if unit == "PLURALITY":
        other = replace(other, rows=tuple(merged(other.rows, Merge.PLURALITY)))
    figures = [
        Figure(cut.part, ties, unit, _figure(source, other, options, ties, cut, target is None), cut.annotator)
        for cut in _cuts(other, options)
        for ties in _TIES[options.ties]
    ]
    mine, theirs = {v.where for v in source.rows}, {v.where for v in other.rows}
    consistency, incomplete = _consistency(source, options.level)
    report = Report(
        source,
        other,
        options,
        tuple(figures),
        len(mine - theirs),
        len(theirs - mine),
        len(mine & theirs),
        consistency,
        incomplete,
        _calibrated(source, other, options) if target is not None else None,
        *(_beside_boards(source, other, options) if target is not None else (None, (), ())),
        *(_beside_people(source, target, options) if target is not None else ()),
    )
    cascaded = _cascaded(source, other, options) if options.cascade_target and target is not None else None
    return replace(report, repeats=_repeats(source, options.level), cascade=cascaded)


def _cascaded(source: Votes, target: Votes, options: AgreeOptions) -> Cascade | None:
    """Where the source may answer alone, held against the target's plurality; None with nothing in common."""
    most = {vote.where: vote.outcome for vote in merged(target.rows, Merge.PLURALITY)}
    rows = [vote for vote in source.rows if vote.where in most]
    if not rows:
        return None
    prompts: dict[str, int] = {}
    return cascade(
        np.array([1.0 if vote.share is None else abs(2 * vote.share - 1) for vote in rows]),
        np.array([vote.outcome is most[vote.where] for vote in rows]),
        _ints([prompts.setdefault(vote.where.prompt_id, len(prompts)) for vote in rows]),
        np.random.default_rng(options.seed),
        options.cascade_target,
        options.cascade_delta,
        options.level,
    )


def _repeats(votes: Votes, level: float) -> Estimate | None:
    """How often two repeats of the same showing have the same outcome; None where nothing was repeated."""
    same, prompts = [], []
    for told in votes.shares.values():
        for where, by_order in told.items():
            for shares in by_order.values():
                said = [whole(share) for share in shares if share is not None]
                for pair in combinations(said, 2):
                    same.append(float(pair[0] is pair[1]))
                    prompts.append(where.prompt_id)
    if not same:
        return None
    return mean(np.array(same), coded(prompts)[1][0], level, (0.0, 1.0))


def _calibrated(source: Votes, target: Votes, options: AgreeOptions) -> Calibration | None:
    """What the source's probabilities are worth, if it has other than those that two orders make of whole outcomes."""
    given = {vote.where: vote.share for vote in source.rows if vote.share is not None}
    if all((4 * share).is_integer() for share in given.values()):
        return None
    votes = [vote for vote in target.rows if vote.where in given and vote.outcome is not Outcome.TIE]
    if not votes:
        return None
    prompts: dict[str, int] = {}
    return calibration(
        np.array([given[vote.where] for vote in votes]),
        np.array([float(vote.outcome is Outcome.LEFT) for vote in votes]),
        _ints([prompts.setdefault(vote.where.prompt_id, len(prompts)) for vote in votes]),
        np.random.default_rng(options.seed),
        options.level,
    )


def _beside_boards(
    source: Votes, target: Votes, options: AgreeOptions
) -> tuple[RankAgreement | None, tuple[tuple[float, float, AgreementFigure], ...], tuple[str, ...]]:
    """The two leaderboards, and agreement by how far apart contestants are in the target's."""
    boards = leaderboards(source, target, options.level, BOARDS, options.seed)
    notes = (f"The two leaderboards are not compared: {boards.reason}.",) if boards.reason else ()
    gaps = []
    for least, most, votes in steps(target.rows, boards.ratings):
        codes = _Codes()
        theirs = codes.votes(votes)
        inside = {vote.where for vote in votes}
        pairs = pairs_between(codes.votes([vote for vote in source.rows if vote.where in inside]), theirs)
        for ties in _TIES[options.ties]:
            figure = agreement(pairs, ties, options.orientation, options.level, options.doubt)
            gaps.append((least, most, figure))
    return boards.orders, tuple(gaps), notes


def _beside_people(
    source: Votes, target: Votes, options: AgreeOptions
) -> tuple[tuple[tuple[Part, Ceiling], ...], Alternative | None, tuple[str, ...]]:
    """The source beside the target's votes among themselves, and the alternative-annotator test.

    Nothing where no comparison has two votes of the target, or the source has several on one.
    """
    if len({vote.where for vote in source.rows}) < len(source.rows):
        return (), None, ()
    counts = Counter(vote.where for vote in target.rows)
    common = {vote.where for vote in source.rows} & {where for where, many in counts.items() if many > 1}
    if not common:
        return (), None, ()
    ceilings: list[tuple[Part, Ceiling]] = []
    doubt = options.doubt or jackknife
    for cut in _cuts(replace(target, rows=tuple(v for v in target.rows if v.where in common)), options):
        if cut.annotator:
            continue
        codes = _Codes()
        people = codes.votes([vote for vote in target.rows if cut.takes(vote, target)])
        judge = codes.votes([vote for vote in source.rows if cut.takes(vote, source)])
        ceilings.extend(
            (cut.part, ceiling(judge, people, ties, options.orientation, options.level, doubt, options.wanted))
            for ties in _TIES[options.ties]
        )
    codes = _Codes()
    judge, people = codes.votes(source.rows), codes.votes(target.rows)
    rng = np.random.default_rng(options.seed)
    if len({vote.annotator for vote in target.rows}) < 2:  # noqa: PLR2004  # one has nobody to be compared with
        return tuple(ceilings), None, ()
    test = alternative_annotator(judge, people, rng, options.epsilon, options.q, options.least_items)
    return tuple(ceilings), test, codes.annotators


def _unit(said: str, *, among_themselves: bool) -> str:
    if among_themselves:
        if said not in ("UNSPECIFIED", "ANNOTATOR_PAIR"):
            raise InvalidInput("options.unit", "one source alone is compared by unit ANNOTATOR_PAIR")
        return "ANNOTATOR_PAIR"
    if said == "ANNOTATOR_PAIR":
        raise InvalidInput(
            "options.unit", "unit ANNOTATOR_PAIR compares one source's own annotators; leave target empty"
        )
    return "VOTE" if said == "UNSPECIFIED" else said


def _cuts(votes: Votes, options: AgreeOptions) -> list[_Cut]:
    base, of = options.part, votes.categories
    found: dict[_Cut, None] = {_Cut(base): None}
    for vote in votes.rows:
        where = vote.where
        if options.by_turn:
            found[_Cut(replace(base, turn=where.turn))] = None
        if options.by_category:
            found[_Cut(replace(base, category=of.get(where.prompt_id, "")))] = None
        if options.by_pair:
            found[_Cut(replace(base, left=where.left, right=where.right))] = None
        if options.by_annotator:
            found[_Cut(base, vote.annotator)] = None
    first, *rest = found
    return [
        first,
        *sorted(rest, key=lambda cut: (cut.part.turn, cut.part.category, cut.part.left, cut.part.right, cut.annotator)),
    ]


def _figure(
    source: Votes,
    target: Votes,
    options: AgreeOptions,
    ties: Literal["KEEP", "DROP"],
    cut: _Cut,
    among_themselves: bool,
) -> AgreementFigure:
    codes = _Codes()
    theirs = codes.votes([vote for vote in target.rows if cut.takes(vote, target)])
    if among_themselves:
        pairs = pairs_within(theirs)
    else:
        wanted = {vote.where for vote in target.rows if cut.takes(vote, target)}
        pairs = pairs_between(codes.votes([vote for vote in source.rows if vote.where in wanted]), theirs)
    return agreement(pairs, ties=ties, orientation=options.orientation, level=options.level, doubt=options.doubt)


class _Codes:
    """Codes comparisons, prompts and annotators as integers, the same in every table it makes."""

    def __init__(self) -> None:
        self._items: dict[Where, int] = {}
        self._prompts: dict[str, int] = {}
        self._annotators: dict[str, int] = {}

    @property
    def annotators(self) -> tuple[str, ...]:
        """The annotators, by their codes."""
        return tuple(self._annotators)

    def votes(self, rows: Sequence[Vote]) -> Coded:
        """*rows* as columns."""
        return Coded(
            item=_ints([self._items.setdefault(v.where, len(self._items)) for v in rows]),
            outcome=np.array([v.outcome - 1 for v in rows], dtype=np.int8),
            cluster=_ints([self._prompts.setdefault(v.where.prompt_id, len(self._prompts)) for v in rows]),
            annotator=_ints([self._annotators.setdefault(v.annotator, len(self._annotators)) for v in rows]),
        )


def _ints(values: Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return np.array(values, dtype=np.int32)


def _consistency(votes: Votes, level: float) -> tuple[OrderEffects | None, int]:
    whole = [o for o in votes.orders if o.left_first is not None and o.right_first is not None]
    incomplete = len(votes.orders) - len(whole)
    if not votes.orders:
        return None, 0
    prompts: dict[str, int] = {}
    found = order_consistency(
        np.array([o.left_first - 1 for o in whole if o.left_first], dtype=np.int8),
        np.array([o.right_first - 1 for o in whole if o.right_first], dtype=np.int8),
        _ints([prompts.setdefault(o.where.prompt_id, len(prompts)) for o in whole]),
        level=level,
    )
    return found, incomplete
