"""Votes of annotators (people or judges) on the same comparisons, and the pairs of votes on one comparison.

All outcomes have the same orientation: LEFT is the contestant whose name sorts first, whichever was shown first.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from judge.columns import arrays
from judge.columns.arrays import Codes, Flags, Floats, Ints
from judge.stats.battles import TIE
from judge.stats.errors import StatisticsError, column_errors

NOBODY = -1
"""The annotator code of a vote that combines the votes of several annotators."""

_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class VoteColumns:
    """Columns of n votes, which may be none.

    *item* is int32[n], the code of the comparison; *outcome* is int8[n] (LEFT, RIGHT, TIE, where left is the smaller
    name); *cluster* is int32[n], the code of the comparison's prompt; *annotator* is int32[n]. Item and cluster codes
    mean the same in all VoteColumns that are compared. Raises StatisticsError if lengths differ, a code is out of
    range, or the votes on one item have several prompts.
    """

    item: Ints
    outcome: Codes
    cluster: Ints
    annotator: Ints

    def __post_init__(self) -> None:
        """Check every column and convert it to its type."""
        most = np.iinfo(np.int32).max
        with column_errors():
            for name in ("item", "cluster"):
                object.__setattr__(self, name, arrays.codes(name, getattr(self, name), most))
            object.__setattr__(self, "outcome", arrays.outcomes("outcome", self.outcome))
            object.__setattr__(self, "annotator", np.asarray(self.annotator).astype(np.int32, copy=False))
            arrays.same_length(item=self.item, outcome=self.outcome, cluster=self.cluster, annotator=self.annotator)
        _, first, inverse = np.unique(self.item, return_index=True, return_inverse=True)
        if (self.cluster != self.cluster[first][inverse]).any():
            raise StatisticsError("The votes on one comparison have several prompts: each comparison must have one.")

    @property
    def n(self) -> int:
        """The number of votes."""
        return self.item.size

    def select(self, rows: Flags | npt.NDArray[np.integer]) -> "VoteColumns":
        """The votes in these *rows*."""
        return VoteColumns(
            item=self.item[rows],
            outcome=self.outcome[rows],
            cluster=self.cluster[rows],
            annotator=self.annotator[rows],
        )


@dataclass(frozen=True, eq=False)
class VotePairs:
    """n pairs of votes on the same comparison.

    *source* and *target* are int8[n], the two outcomes; *item* and *cluster* are int32[n]. If the two votes are
    *exchangeable* (both from one group), *source* holds the smaller outcome code.
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
        return VotePairs(
            source=self.source[rows],
            target=self.target[rows],
            item=self.item[rows],
            cluster=self.cluster[rows],
            exchangeable=self.exchangeable,
        )


def plurality(votes: VoteColumns, ties: Literal["tie", "drop"] = "tie") -> VoteColumns:
    """Combine the votes on each item into one, the outcome with the most votes, in the order of items.

    If several outcomes have the most votes, the result is a TIE, or no vote with *ties* = "drop". Raises
    StatisticsError for any other value of *ties*.

    >>> zero = np.zeros(3, dtype=np.int32)
    >>> plurality(VoteColumns(zero, np.array([0, 0, 1]), zero, np.arange(3))).outcome.tolist()
    [0]
    """
    if ties not in ("tie", "drop"):
        raise StatisticsError(f"Unknown rule for ties {ties!r}: choose tie or drop.")
    table, first = _tallies(votes)
    most = table.max(axis=1, keepdims=True) if len(table) else table[:, :1]
    level = np.count_nonzero(table == most, axis=1) > 1
    outcome = np.where(level, TIE, table.argmax(axis=1)).astype(np.int8)
    kept = ~level if ties == "drop" else np.ones_like(level)
    return _together(votes, first[kept], outcome[kept])


def split_plurality(votes: VoteColumns) -> tuple[VoteColumns, Floats]:
    """The outcomes with the most votes on each item, in the order of items, and their weights, which sum to 1 per item.

    >>> zero = np.zeros(2, dtype=np.int32)
    >>> split, weight = split_plurality(VoteColumns(zero, np.array([0, 1]), zero, np.arange(2)))
    >>> split.outcome.tolist(), weight.tolist()
    ([0, 1], [0.5, 0.5])
    """
    table, first = _tallies(votes)
    leads = table == table.max(axis=1, initial=0, keepdims=True)
    at, outcome = np.nonzero(leads)
    return _together(votes, first[at], outcome.astype(np.int8)), 1 / np.count_nonzero(leads, axis=1)[at]


def majority(votes: VoteColumns) -> VoteColumns:
    """Combine the votes on each item into one if more than half of them agree, in the order of items.

    >>> zero = np.zeros(3, dtype=np.int32)
    >>> majority(VoteColumns(zero, np.array([0, 2, 1]), zero, np.arange(3))).n
    0
    """
    table, first = _tallies(votes)
    kept = 2 * table.max(axis=1) > table.sum(axis=1) if len(table) else np.empty(0, dtype=bool)
    return _together(votes, first[kept], table[kept].argmax(axis=1).astype(np.int8))


def pairs_between(source: VoteColumns, target: VoteColumns) -> VotePairs:
    """Pair each vote of *target* with each vote of *source* on the same item, in the order of *target*.

    >>> zero = np.zeros(2, dtype=np.int32)
    >>> source = VoteColumns(np.arange(2), np.array([0, 1]), zero, zero)
    >>> pairs = pairs_between(source, VoteColumns(np.zeros(1, dtype=int), np.array([2]), zero[:1], zero[:1]))
    >>> pairs.source.tolist(), pairs.target.tolist()
    ([0], [2])
    """
    order = np.argsort(source.item, kind="stable")
    begin = np.searchsorted(source.item, target.item, side="left", sorter=order)
    counts = np.searchsorted(source.item, target.item, side="right", sorter=order) - begin
    target_rows = np.repeat(np.arange(target.n), counts)
    within = np.arange(target_rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
    source_rows = order[begin[target_rows] + within]
    return VotePairs(
        source=source.outcome[source_rows],
        target=target.outcome[target_rows],
        item=target.item[target_rows],
        cluster=target.cluster[target_rows],
    )


def pairs_within(votes: VoteColumns, same_annotator: bool = True) -> VotePairs:
    """All unordered pairs of votes on the same item, in the order of items.

    Without *same_annotator*, two votes of one annotator on one item are not a pair.

    >>> zero = np.zeros(3, dtype=np.int32)
    >>> pairs_within(VoteColumns(zero, np.array([0, 0, 1]), zero, np.arange(3))).n
    3
    """
    order = np.argsort(votes.item, kind="stable").astype(np.int32)
    _, begin, counts = np.unique(votes.item[order], return_index=True, return_counts=True)
    rows: list[Ints] = [np.empty((2, 0), dtype=np.int32)]
    sizes = np.unique(counts[counts > 1]).tolist()
    for k in sizes:
        ends = np.array(np.triu_indices(k, 1))
        groups = begin[counts == k]
        rows.extend(
            order[block[None, :, None] + ends[:, None, :]].reshape(2, -1)
            for block in np.array_split(groups, 1 + groups.size * ends.shape[1] // _BLOCK)
        )
    first, second = np.concatenate(rows, axis=1)
    if not same_annotator:
        differ = votes.annotator[first] != votes.annotator[second]
        first, second = first[differ], second[differ]
    item = votes.item[first]
    if len(sizes) > 1:
        by_item = np.argsort(item, kind="stable")
        first, second, item = first[by_item], second[by_item], item[by_item]
    outcomes = votes.outcome[first], votes.outcome[second]
    return VotePairs(
        source=np.minimum(*outcomes),
        target=np.maximum(*outcomes),
        item=item,
        cluster=votes.cluster[first],
        exchangeable=True,
    )


def _tallies(votes: VoteColumns) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The number of votes for each outcome on each item, intp[items, 3], and the first row of each item."""
    items, first, inverse = np.unique(votes.item, return_index=True, return_inverse=True)
    return np.bincount(inverse * 3 + votes.outcome, minlength=3 * items.size).reshape(items.size, 3), first


def _together(votes: VoteColumns, rows: npt.NDArray[np.intp], outcome: Codes) -> VoteColumns:
    return VoteColumns(
        item=votes.item[rows],
        outcome=outcome,
        cluster=votes.cluster[rows],
        annotator=np.full(rows.size, NOBODY, dtype=np.int32),
    )
