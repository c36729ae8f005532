"""Comparisons by their names, as single keys and as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from judge.columns.arrays import Flags, Ints
from judge.columns.names import encode_names, first_occurrences


@dataclass(frozen=True, slots=True)
class ComparisonKey:
    """A comparison by its names; the smaller name is on the left."""

    prompt_id: str
    turn: int
    left: str
    right: str
    left_sample: int = 0
    right_sample: int = 0


@dataclass(frozen=True, eq=False)
class ComparisonIndex(Sequence[ComparisonKey]):
    """n comparisons, int32[n] each: codes of *prompt_ids* and *contestants*, both sorted and distinct, and numbers."""

    prompt_ids: Sequence[str]
    contestants: Sequence[str]
    prompt: Ints
    turn: Ints
    left: Ints
    right: Ints
    left_sample: Ints
    right_sample: Ints

    @staticmethod
    def of(keys: Iterable[ComparisonKey]) -> ComparisonIndex:
        """The index of *keys*; *keys* itself if it is an index."""
        if isinstance(keys, ComparisonIndex):
            return keys
        rows = tuple(keys)
        prompt_ids, (prompt,) = encode_names([key.prompt_id for key in rows])
        contestants, (left, right) = encode_names([key.left for key in rows], [key.right for key in rows])
        turn, left_sample, right_sample = (
            np.array(column, dtype=np.int32)
            for column in (
                [key.turn for key in rows],
                [key.left_sample for key in rows],
                [key.right_sample for key in rows],
            )
        )
        return ComparisonIndex(
            prompt_ids=prompt_ids,
            contestants=contestants,
            prompt=prompt,
            turn=turn,
            left=left,
            right=right,
            left_sample=left_sample,
            right_sample=right_sample,
        )

    def __len__(self) -> int:
        return self.prompt.size

    @overload
    def __getitem__(self, at: int) -> ComparisonKey: ...
    @overload
    def __getitem__(self, at: slice) -> ComparisonIndex: ...
    def __getitem__(self, at: int | slice) -> ComparisonKey | ComparisonIndex:
        """The comparison at a position, or those of a slice."""
        if isinstance(at, slice):
            return self.among(at)
        return ComparisonKey(
            prompt_id=self.prompt_ids[self.prompt[at]],
            turn=int(self.turn[at]),
            left=self.contestants[self.left[at]],
            right=self.contestants[self.right[at]],
            left_sample=int(self.left_sample[at]),
            right_sample=int(self.right_sample[at]),
        )

    def __iter__(self) -> Iterator[ComparisonKey]:
        return map(
            ComparisonKey,
            map(self.prompt_ids.__getitem__, self.prompt.tolist()),
            self.turn.tolist(),
            map(self.contestants.__getitem__, self.left.tolist()),
            map(self.contestants.__getitem__, self.right.tolist()),
            self.left_sample.tolist(),
            self.right_sample.tolist(),
        )

    def among(self, rows: slice | Flags | Ints) -> ComparisonIndex:
        """The comparisons in these *rows*."""
        return ComparisonIndex(self.prompt_ids, self.contestants, *(column[rows] for column in self.columns))

    @property
    def columns(self) -> tuple[Ints, ...]:
        """The columns that identify a comparison."""
        return (self.prompt, self.turn, self.left, self.right, self.left_sample, self.right_sample)

    def distinct(self) -> tuple[ComparisonIndex, Ints]:
        """Each comparison once, in the order of first occurrence, and the position of every row among them, int32[n].

        >>> key, other = ComparisonKey("p", 1, "a", "b"), ComparisonKey("p", 2, "a", "b")
        >>> keys, item = ComparisonIndex.of([other, key, other]).distinct()
        >>> len(keys), item.tolist()
        (2, [0, 1, 0])
        """
        first, item = first_occurrences(self.columns)
        return self.among(first), item
