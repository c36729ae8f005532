"""Votes as columns: the comparisons, prompts and annotators of several sources under the same codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints
from judge.columns.names import encode_names
from judge.domain.outcome import Outcome
from judge.domain.source import Merge
from judge.stats.votes import VoteColumns as Coded
from judge.stats.votes import majority, plurality, split_plurality
from judge.votes.comparisons import ComparisonIndex, ComparisonKey
from judge.votes.vote_table import Columns, Numbers
from judge.votes.votes import Part, Vote


@dataclass(frozen=True, eq=False)
class Side:
    """A source's *votes* as columns; *left_score* is float64[n]: 1 left, 0.5 tie, 0 right, NaN if it is whole."""

    votes: Coded
    left_score: Floats


@dataclass(frozen=True, eq=False)
class Table:
    """What several sources say, their comparisons being *keys*; *categories* are by prompt."""

    keys: ComparisonIndex
    annotators: Sequence[str]
    sides: tuple[Side, ...]
    categories: Mapping[str, str]

    @staticmethod
    def of(categories: Mapping[str, str], *sources: Sequence[Vote]) -> Table:
        """The votes of all *sources*."""
        columns = [Columns.of(rows).compact() for rows in sources]
        items, people = Numbers[ComparisonKey](), Numbers[str]()
        told = [(items.of(rows.keys)[rows.item], people.of(rows.annotators)[rows.annotator]) for rows in columns]
        keys, annotators = ComparisonIndex.of(items), tuple(people)
        sides = tuple(
            Side(
                Coded(item, rows.outcome, keys.prompt[item], annotator),
                np.full(len(rows), np.nan) if rows.left_score is None else rows.left_score,
            )
            for rows, (item, annotator) in zip(columns, told, strict=True)
        )
        return Table(keys, annotators, sides, categories)

    @property
    def contestants(self) -> tuple[tuple[str, ...], Ints, Ints]:
        """The names, sorted, and the code of each comparison's left and right."""
        return tuple(self.keys.contestants), self.keys.left, self.keys.right

    @property
    def turn(self) -> Ints:
        """Of each comparison, int32[items]."""
        return self.keys.turn

    @cached_property
    def category(self) -> tuple[tuple[str, ...], Ints]:
        """The names, and the code of each comparison's."""
        names, (code,) = encode_names([self.categories.get(key.prompt_id, "") for key in self.keys])
        return tuple(map(str, names)), code

    def inside(self, part: Part) -> Flags:
        """Which comparisons belong to *part*, by turn, category and contestants."""
        return replace(part, tag="").among(self.keys, self.categories, {})


def merged(rows: Sequence[Vote], merge: Merge) -> Sequence[Vote]:
    """*rows* as they are, or one vote a comparison: what most of them say, or more than half."""
    if merge is Merge.NONE:
        return rows
    told = Columns.of(rows)
    votes = Coded(told.item, told.outcome, told.item, told.annotator)
    if merge is Merge.PLURALITY_SPLIT:
        parts, weight = split_plurality(votes)
        told_by = zip(parts.item.tolist(), parts.outcome.tolist(), weight.tolist(), strict=True)
        return [Vote(told.keys[at], Outcome(code + 1), f"@{merge}", weight=part) for at, code, part in told_by]
    if merge is Merge.MAJORITY:
        one = majority(votes)
    else:
        one = plurality(votes, "drop" if merge is Merge.PLURALITY_DROP else "tie")
    return Columns(told.keys, (f"@{merge}",), one.item, np.zeros(one.n, dtype=np.int32), one.outcome)
