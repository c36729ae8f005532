"""Votes as columns: the comparisons, prompts and annotators of several sources under the same codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints
from judge.columns.names import encode_names
from judge.domain.source import Merge
from judge.stats.votes import NOBODY, VoteColumns, majority, plurality, split_plurality
from judge.votes.comparisons import ComparisonIndex, ComparisonKey
from judge.votes.vote_table import Numbers, VoteTable
from judge.votes.votes import Part


@dataclass(frozen=True, eq=False)
class Side:
    """A source's *votes* as columns. *left_score* is float64[n], NaN if it follows from the outcome."""

    votes: VoteColumns
    left_score: Floats


@dataclass(frozen=True, eq=False)
class Table:
    """The votes of several sources on *keys*, all of their comparisons. *categories* are by prompt id.

    Votes without an annotator's name have the annotator code NOBODY.
    """

    keys: ComparisonIndex
    annotators: Sequence[str]
    sides: tuple[Side, ...]
    categories: Mapping[str, str]

    @staticmethod
    def of(categories: Mapping[str, str], *sources: VoteTable) -> Table:
        """The votes of all *sources*."""
        columns = [rows.compact() for rows in sources]
        items, people = Numbers[ComparisonKey](), Numbers[str]()
        codes = [
            (items.of(rows.keys)[rows.item], np.where(rows.unnamed, NOBODY, people.of(rows.annotators)[rows.annotator]))
            for rows in columns
        ]
        keys, annotators = ComparisonIndex.of(items), tuple(people)
        sides = tuple(
            Side(
                VoteColumns(item=item, outcome=rows.outcome, cluster=keys.prompt[item], annotator=annotator),
                np.full(len(rows), np.nan) if rows.left_score is None else rows.left_score,
            )
            for rows, (item, annotator) in zip(columns, codes, strict=True)
        )
        return Table(keys=keys, annotators=annotators, sides=sides, categories=categories)

    @property
    def contestants(self) -> tuple[tuple[str, ...], Ints, Ints]:
        """The names, sorted, and the codes of each comparison's left and right contestant."""
        return tuple(self.keys.contestants), self.keys.left, self.keys.right

    @property
    def turn(self) -> Ints:
        """The turn of each comparison, int32[items]."""
        return self.keys.turn

    @cached_property
    def category(self) -> tuple[tuple[str, ...], Ints]:
        """The names of categories, sorted, and the code of each comparison's category, int32[items]."""
        names, (code,) = encode_names([self.categories.get(key.prompt_id, "") for key in self.keys])
        return tuple(map(str, names)), code

    def inside(self, part: Part) -> Flags:
        """Which comparisons belong to *part*, by turn, category and contestants."""
        return replace(part, tag="").among(self.keys, self.categories, {})


def merge_votes(rows: VoteTable, merge: Merge) -> VoteTable:
    """Merge *rows* into one vote per comparison, as *merge* says; *rows* unchanged for NONE."""
    if merge is Merge.NONE:
        return rows
    votes, weight = rows.columns, None
    if merge is Merge.PLURALITY_SPLIT:
        merged, weight = split_plurality(votes)
    elif merge is Merge.MAJORITY:
        merged = majority(votes)
    else:
        merged = plurality(votes, "drop" if merge is Merge.PLURALITY_DROP else "tie")
    return VoteTable(
        keys=rows.keys,
        annotators=("",),
        item=merged.item,
        annotator=np.zeros(merged.n, dtype=np.int32),
        outcome=merged.outcome,
        weight=weight,
    )
