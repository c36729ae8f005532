"""Votes of annotators (people or judges) on the same comparisons, and the pairs of votes on one comparison.

All outcomes have the same orientation: LEFT is the contestant whose name sorts first, whichever was shown first.

An annotator counts once on each comparison: r votes of one annotator on one comparison count 1 / r each, and do not
form pairs among themselves. Votes without a known annotator (NOBODY) are votes of different people.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from judge.columns import arrays
from judge.columns.arrays import Codes, Flags, Floats, Ints
from judge.stats.battles import TIE
from judge.stats.errors import StatisticsError, column_errors

NOBODY = -1
"""The annotator code of a vote that combines the votes of several annotators, or whose annotator is not known."""

_PLACES = 9
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

    def anonymous(self) -> "VoteColumns":
        """The same votes as votes of different people, so that each of them counts, whoever gave it."""
        return replace(self, annotator=np.full(self.n, NOBODY, dtype=np.int32))

    def once(self) -> "VoteColumns":
        """One vote of each annotator on each item: the most frequent of their votes, or a TIE of several.

        >>> zero = np.zeros(3, dtype=np.int32)
        >>> VoteColumns(zero, np.array([0, 1, 1]), zero, np.array([5, 5, 6])).once().outcome.tolist()
        [2, 1]
        """
        if self.ballot is None:
            return self
        first = np.unique(self.ballot, return_index=True)[1]
        order = np.argsort(first)
        merged = plurality(replace(self.anonymous(), item=self.ballot))
        return replace(self.select(first[order]), outcome=merged.outcome[order])

    def others(self, source: "VoteColumns") -> "VoteColumns":
        """The votes whose annotator has no vote in *source* on the same item.

        >>> zero = np.zeros(2, dtype=np.int32)
        >>> votes = VoteColumns(zero, zero, zero, np.array([5, 6]))
        >>> votes.others(votes.select(np.array([0]))).annotator.tolist()
        [6]
        """
        ours, theirs = _keys(self), _keys(source)
        rows = ~np.isin(ours, theirs[source.annotator != NOBODY])
        return self if rows.all() else self.select(rows)

    @cached_property
    def ballot(self) -> Ints | None:
        """A code for the annotator and the item of each vote, int32[n]; None if no annotator voted twice on an item.

        >>> zero = np.zeros(3, dtype=np.int32)
        >>> VoteColumns(zero, zero, zero, np.array([7, 7, 8])).ballot.tolist()
        [0, 0, 1]
        """
        named = self.annotator != NOBODY
        key = _keys(self)
        # Sorting finds out fastest whether any key occurs twice, which is rare.
        in_order = np.sort(key[named])
        if not (in_order[1:] == in_order[:-1]).any():
            return None
        key[~named] = -1 - np.arange(self.n - in_order.size)
        codes: Ints = np.unique(key, return_inverse=True)[1].astype(np.int32)
        return codes

    @property
    def weight(self) -> Floats | None:
        """How much each vote counts, float64[n]: 1 / r for r votes of one annotator on one item; None for 1 each."""
        return None if self.ballot is None else 1 / arrays.sums(self.ballot)[self.ballot]


@dataclass(frozen=True, eq=False)
class VotePairs:
    """Pairs of votes on the same comparison, one a row.

    *source* and *target* are int8[rows], the two outcomes; *item* and *cluster* are int32[rows]. If the two votes are
    *exchangeable* (both from one group), *source* holds the smaller outcome code. *ballots* is int32[rows], a code for
    the two annotators and the item: rows with the same code count once together, each in the same part. It is None if
    each row counts once. With *by_comparison*, each item counts once, and its pairs of annotators in the same part.
    *annotators* are the codes of the two annotators, int32[rows] each, or None if they are not known.
    """

    source: Codes
    target: Codes
    item: Ints
    cluster: Ints
    exchangeable: bool = False
    ballots: Ints | None = None
    by_comparison: bool = False
    annotators: tuple[Ints, Ints] | None = None

    @cached_property
    def n(self) -> int:
        """The number of pairs of annotators, each once on an item; or with *by_comparison*, the number of items."""
        counted = self.item if self.by_comparison else self.ballots
        return self.source.size if counted is None else arrays.present(counted).size

    @cached_property
    def weight(self) -> Floats | None:
        """How much each row counts, float64[rows], which sums to n; None if each row counts once.

        >>> zero = np.zeros(3, dtype=np.int32)
        >>> VotePairs(zero, zero, zero, zero, ballots=np.array([0, 0, 1])).weight.tolist()
        [0.5, 0.5, 1.0]
        """
        weight = None if self.ballots is None else 1 / arrays.sums(self.ballots)[self.ballots]
        if not self.by_comparison:
            return weight
        share = np.ones(self.item.size) if weight is None else weight
        return share / arrays.sums(self.item, share)[self.item]

    def select(self, rows: Flags | npt.NDArray[np.integer]) -> "VotePairs":
        """The pairs in these *rows*."""
        return replace(
            self,
            source=self.source[rows],
            target=self.target[rows],
            item=self.item[rows],
            cluster=self.cluster[rows],
            ballots=None if self.ballots is None else self.ballots[rows],
            annotators=None if self.annotators is None else (self.annotators[0][rows], self.annotators[1][rows]),
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
    table, first = tallies(votes)
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
    table, first = tallies(votes)
    leads = table == table.max(axis=1, initial=0, keepdims=True)
    at, outcome = np.nonzero(leads)
    return _together(votes, first[at], outcome.astype(np.int8)), 1 / np.count_nonzero(leads, axis=1)[at]


def majority(votes: VoteColumns) -> VoteColumns:
    """Combine the votes on each item into one if more than half of them agree, in the order of items.

    >>> zero = np.zeros(3, dtype=np.int32)
    >>> majority(VoteColumns(zero, np.array([0, 2, 1]), zero, np.arange(3))).n
    0
    """
    table, first = tallies(votes)
    kept = 2 * table.max(axis=1) > table.sum(axis=1) if len(table) else np.empty(0, dtype=bool)
    return _together(votes, first[kept], table[kept].argmax(axis=1).astype(np.int8))


def pairs_between(source: VoteColumns, target: VoteColumns, *, same_annotator: bool = True) -> VotePairs:
    """Pair each vote of *target* with each vote of *source* on the same item, in the order of *target*.

    Without *same_annotator*, a vote is not paired with a vote of the same annotator.

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
    if not same_annotator:
        whose = source.annotator[source_rows]
        kept = (whose != target.annotator[target_rows]) | (whose == NOBODY)
        source_rows, target_rows = source_rows[kept], target_rows[kept]
    return VotePairs(
        source=source.outcome[source_rows],
        target=target.outcome[target_rows],
        item=target.item[target_rows],
        cluster=target.cluster[target_rows],
        ballots=_ballots_of_pairs(source, source_rows, target, target_rows),
        annotators=(source.annotator[source_rows], target.annotator[target_rows]),
    )


def pairs_within(votes: VoteColumns) -> VotePairs:
    """All unordered pairs of votes of different annotators on the same item, in the order of items.

    >>> zero = np.zeros(4, dtype=np.int32)
    >>> pairs = pairs_within(VoteColumns(zero, np.array([0, 0, 1, 2]), zero, np.array([5, 6, 7, 7])))
    >>> pairs.n, pairs.weight.tolist()
    (3, [1.0, 0.5, 0.5, 0.5, 0.5])
    """
    first, second = _rows_of_pairs(votes.item)
    if votes.ballot is not None:
        differ = votes.ballot[first] != votes.ballot[second]
        first, second = first[differ], second[differ]
    return replace(
        _unordered(votes, first, second),
        ballots=_ballots_of_pairs(votes, first, votes, second),
        annotators=(votes.annotator[first], votes.annotator[second]),
    )


def pairs_of_repeats(votes: VoteColumns) -> VotePairs:
    """All unordered pairs of votes of the same annotator on the same item. Each annotator counts once on an item.

    >>> zero = np.zeros(4, dtype=np.int32)
    >>> pairs = pairs_of_repeats(VoteColumns(zero, np.array([0, 1, 1, 0]), zero, np.array([5, 5, 5, 6])))
    >>> pairs.n, pairs.source.tolist(), pairs.target.tolist()
    (1, [0, 0, 1], [1, 1, 1])
    """
    ballot = np.arange(votes.n, dtype=np.int32) if votes.ballot is None else votes.ballot
    first, second = _rows_of_pairs(ballot)
    return replace(_unordered(votes, first, second), ballots=ballot[first])


def _unordered(votes: VoteColumns, first: npt.NDArray[np.integer], second: npt.NDArray[np.integer]) -> VotePairs:
    """The pairs of two rows of *votes* each, the smaller outcome first."""
    outcomes = votes.outcome[first], votes.outcome[second]
    return VotePairs(
        source=np.minimum(*outcomes),
        target=np.maximum(*outcomes),
        item=votes.item[first],
        cluster=votes.cluster[first],
        exchangeable=True,
    )


def _keys(votes: VoteColumns) -> npt.NDArray[np.int64]:
    """The item and the annotator of each vote as one number."""
    return votes.item.astype(np.int64) << 32 | votes.annotator.astype(np.int64)


def _ballots_of_pairs(
    source: VoteColumns, source_rows: npt.NDArray[np.integer], target: VoteColumns, target_rows: npt.NDArray[np.integer]
) -> Ints | None:
    """A code for the two ballots of each pair, int32[rows]; None if no annotator voted twice on an item."""
    if source.ballot is None and target.ballot is None:
        return None
    ends = [
        (np.arange(side.n, dtype=np.int32) if side.ballot is None else side.ballot)[rows].astype(np.int64)
        for side, rows in ((source, source_rows), (target, target_rows))
    ]
    if source is target:
        ends = [np.minimum(*ends), np.maximum(*ends)]
    return np.unique(ends[0] << 32 | ends[1], return_inverse=True)[1].astype(np.int32)


def _rows_of_pairs(code: Ints) -> tuple[Ints, Ints]:
    """The two rows of each unordered pair of rows with the same *code*, in the order of codes."""
    order = np.argsort(code, kind="stable").astype(np.int32)
    _, begin, counts = np.unique(code[order], return_index=True, return_counts=True)
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
    if len(sizes) > 1:
        by_code = np.argsort(code[first], kind="stable")
        first, second = first[by_code], second[by_code]
    return first, second


def tallies(votes: VoteColumns) -> tuple[Floats, npt.NDArray[np.intp]]:
    """How many annotators gave each outcome on each item, float64[items, 3], and the first row of each item.

    An annotator with several votes on an item counts in part for each of their outcomes.

    >>> zero = np.zeros(3, dtype=np.int32)
    >>> tallies(VoteColumns(zero, np.array([0, 1, 1]), zero, np.array([5, 5, 6])))[0].tolist()
    [[0.5, 1.5, 0.0]]
    """
    items, first, inverse = np.unique(votes.item, return_index=True, return_inverse=True)
    counts = arrays.sums(inverse * 3 + votes.outcome, votes.weight, 3 * items.size).reshape(items.size, 3)
    # Three times a third is not always exactly 1, and equal counts must be equal.
    return np.round(counts, _PLACES), first


def _together(votes: VoteColumns, rows: npt.NDArray[np.intp], outcome: Codes) -> VoteColumns:
    return VoteColumns(
        item=votes.item[rows],
        outcome=outcome,
        cluster=votes.cluster[rows],
        annotator=np.full(rows.size, NOBODY, dtype=np.int32),
    )
