"""How far two sources agree on the same comparisons, or one source's annotators among themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from judge.domain.errors import InvalidInput
from judge.domain.outcome import Reconcile
from judge.domain.source import Merge
from judge.runs.sources import merged
from judge.runs.votes import WHOLE, Part, Vote, Votes, Where
from judge.stats.agreement import AgreementFigure, agreement
from judge.stats.order_effects import OrderEffects, order_consistency
from judge.stats.votes import Votes as Coded
from judge.stats.votes import pairs_between, pairs_within

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

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InvalidInput("options.level", f"level {self.level} is not between 0 and 1")

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
    return Report(
        source,
        other,
        options,
        tuple(figures),
        len(mine - theirs),
        len(theirs - mine),
        len(mine & theirs),
        consistency,
        incomplete,
    )


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
    return agreement(pairs, ties=ties, orientation=options.orientation, level=options.level)


class _Codes:
    """Codes comparisons, prompts and annotators as integers, the same in every table it makes."""

    def __init__(self) -> None:
        self._items: dict[Where, int] = {}
        self._prompts: dict[str, int] = {}
        self._annotators: dict[str, int] = {}

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
