"""Votes: what annotators (people or judges) said of the same comparisons, and the pairs of votes that meet on one.

Every outcome is oriented the same way: LEFT is the contestant whose name sorts first, whichever was shown first.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from judge.columns import arrays
from judge.columns.arrays import Codes, Flags, Floats, Ints
from judge.stats.battles import TIE

NOBODY = -1
"""The annotator of a vote that several annotators gave together."""

_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class VoteColumns:
    """Columns of n votes, which may be none.

    *item* is int32[n], the code of the comparison; *outcome* is int8[n] (LEFT, RIGHT, TIE, where left is the smaller
    name); *cluster* is int32[n], the code of the comparison's prompt; *annotator* is int32[n]. Item and cluster codes
    mean the same in all VoteColumns that are compared. Raises ValueError, naming what is wrong, where lengths differ, a
    code is out of range, or votes on one item are of several prompts.
    """

    item: Ints
    outcome: Codes
    cluster: Ints
    annotator: Ints

    def __post_init__(self) -> None:
        """Check every column, and bring it to its type."""
        most = np.iinfo(np.int32).max
        for name in ("item", "cluster"):
            object.__setattr__(self, name, arrays.codes(name, getattr(self, name), most))
        object.__setattr__(self, "outcome", arrays.outcomes("outcome", self.outcome))
        object.__setattr__(self, "annotator", np.asarray(self.annotator).astype(np.int32, copy=False))
        arrays.same_length(item=self.item, outcome=self.outcome, cluster=self.cluster, annotator=self.annotator)
        _, first, inverse = np.unique(self.item, return_index=True, return_inverse=True)
        if (self.cluster != self.cluster[first][inverse]).any():
            raise ValueError("Votes on one comparison are said to be of several prompts.")

    @property
    def n(self) -> int:
        """The number of votes."""
        return self.item.size

    def select(self, rows: Flags | npt.NDArray[np.integer]) -> "VoteColumns":
        """The votes in these *rows*."""
        return VoteColumns(self.item[rows], self.outcome[rows], self.cluster[rows], self.annotator[rows])


@dataclass(frozen=True, eq=False)
class VotePairs:
    """n pairs of votes on the same comparison.

    *source* and *target* are int8[n], the two outcomes; *item* and *cluster* are int32[n]. Where the two votes are
    *exchangeable* (both of one group), neither is the source: the smaller outcome code then stands under *source*.
    """

    source: Codes
    target: Codes
    item: Ints
    cluster: Ints
    exchangeable: bool = False

    @property
    def n(self) -> int:
        """The number of pairs."""
        return self.source.size

    def select(self, rows: Flags | npt.NDArray[np.integer]) -> "VotePairs":
        """The pairs in these *rows*."""
        return VotePairs(self.source[rows], self.target[rows], self.item[rows], self.cluster[rows], self.exchangeable)


def plurality(votes: VoteColumns, ties: Literal["tie", "drop"] = "tie") -> VoteColumns:
    """One vote for each item, in the order of items: the outcome with the most votes.

    Where several outcomes have the most, the vote is a TIE, or by *ties* = "drop" there is none. Raises ValueError for
    another rule.

    >>> zero = np.zeros(3, dtype=np.int32)
    >>> plurality(VoteColumns(zero, np.array([0, 0, 1]), zero, np.arange(3))).outcome.tolist()
    [0]
    """
    if ties not in ("tie", "drop"):
        raise ValueError(f"The rule for ties {ties!r} is unknown: there are tie and drop.")
    table, first = _tallies(votes)
    most = table.max(axis=1, keepdims=True) if len(table) else table[:, :1]
    level = np.count_nonzero(table == most, axis=1) > 1
    outcome = np.where(level, TIE, table.argmax(axis=1)).astype(np.int8)
    kept = ~level if ties == "drop" else np.ones_like(level)
    return _together(votes, first[kept], outcome[kept])


def split_plurality(votes: VoteColumns) -> tuple[VoteColumns, Floats]:
    """The outcomes with the most votes on each item, in the order of items, and the weight of each: one an item.

    >>> zero = np.zeros(2, dtype=np.int32)
    >>> found, weight = split_plurality(VoteColumns(zero, np.array([0, 1]), zero, np.arange(2)))
    >>> found.outcome.tolist(), weight.tolist()
    ([0, 1], [0.5, 0.5])
    """
    table, first = _tallies(votes)
    leads = table == table.max(axis=1, initial=0, keepdims=True)
    at, outcome = np.nonzero(leads)
    return _together(votes, first[at], outcome.astype(np.int8)), 1 / np.count_nonzero(leads, axis=1)[at]


def majority(votes: VoteColumns) -> VoteColumns:
    """One vote for each item on which more than half of the votes agree, in the order of items.

    >>> zero = np.zeros(3, dtype=np.int32)
    >>> majority(VoteColumns(zero, np.array([0, 2, 1]), zero, np.arange(3))).n
    0
    """
    table, first = _tallies(votes)
    kept = 2 * table.max(axis=1) > table.sum(axis=1) if len(table) else np.empty(0, dtype=bool)
    return _together(votes, first[kept], table[kept].argmax(axis=1).astype(np.int8))


def pairs_between(source: VoteColumns, target: VoteColumns) -> VotePairs:
    """Each vote of *target* with each vote of *source* on the same item, in the order of *target*.

    >>> zero = np.zeros(2, dtype=np.int32)
    >>> one = VoteColumns(np.arange(2), np.array([0, 1]), zero, zero)
    >>> found = pairs_between(one, VoteColumns(np.zeros(1, dtype=int), np.array([2]), zero[:1], zero[:1]))
    >>> found.source.tolist(), found.target.tolist()
    ([0], [2])
    """
    order = np.argsort(source.item, kind="stable")
    begin = np.searchsorted(source.item, target.item, side="left", sorter=order)
    many = np.searchsorted(source.item, target.item, side="right", sorter=order) - begin
    theirs = np.repeat(np.arange(target.n), many)
    within = np.arange(theirs.size) - np.repeat(np.cumsum(many) - many, many)
    ours = order[begin[theirs] + within]
    return VotePairs(source.outcome[ours], target.outcome[theirs], target.item[theirs], target.cluster[theirs])


def pairs_within(votes: VoteColumns, same_annotator: bool = True) -> VotePairs:
    """Every unordered pair of votes on the same item, in the order of items.

    Two votes of one annotator on one item are a pair too, unless *same_annotator* is false.

    >>> zero = np.zeros(3, dtype=np.int32)
    >>> pairs_within(VoteColumns(zero, np.array([0, 0, 1]), zero, np.arange(3))).n
    3
    """
    order = np.argsort(votes.item, kind="stable").astype(np.int32)
    _, begin, many = np.unique(votes.item[order], return_index=True, return_counts=True)
    rows: list[Ints] = [np.empty((2, 0), dtype=np.int32)]
    sizes = np.unique(many[many > 1]).tolist()
    for k in sizes:
        ends = np.array(np.triu_indices(k, 1))
        groups = begin[many == k]
        rows.extend(
            order[block[None, :, None] + ends[:, None, :]].reshape(2, -1)
            for block in np.array_split(groups, 1 + groups.size * ends.shape[1] // _BLOCK)
        )
    one, other = np.concatenate(rows, axis=1)
    if not same_annotator:
        differ = votes.annotator[one] != votes.annotator[other]
        one, other = one[differ], other[differ]
    item = votes.item[one]
    if len(sizes) > 1:
        by_item = np.argsort(item, kind="stable")
        one, other, item = one[by_item], other[by_item], item[by_item]
    outcomes = votes.outcome[one], votes.outcome[other]
    return VotePairs(np.minimum(*outcomes), np.maximum(*outcomes), item, votes.cluster[one], exchangeable=True)


def _tallies(votes: VoteColumns) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The votes for each outcome on each item, intp[items, 3], and a row of each item."""
    items, first, inverse = np.unique(votes.item, return_index=True, return_inverse=True)
    return np.bincount(inverse * 3 + votes.outcome, minlength=3 * items.size).reshape(items.size, 3), first


def _together(votes: VoteColumns, rows: npt.NDArray[np.intp], outcome: Codes) -> VoteColumns:
    return VoteColumns(votes.item[rows], outcome, votes.cluster[rows], np.full(rows.size, NOBODY, dtype=np.int32))
