"""The prompts and outputs of a dataset as columns: half a million outputs are five arrays, without texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""Ids of rows in a store."""
Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class IndexedPrompt:
    """A prompt as a plan needs it: its row, names and number of turns, without its texts."""

    row: int
    prompt_id: str
    category: str
    tags: tuple[str, ...]
    turns: int


@dataclass(frozen=True, slots=True)
class IndexedOutput:
    """An output as a plan needs it. *prompt* is the prompt's row."""

    row: int
    prompt: int
    contestant: str
    sample: int
    turns: int


@dataclass(frozen=True, slots=True, eq=False)
class PromptIndex:
    """Prompts as columns of equal length, in the order of upload, which is the order of *row*."""

    row: Rows
    prompt_id: Sequence[str]
    category: Sequence[str]
    tags: Sequence[tuple[str, ...]]
    turns: Counts

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, place: int) -> IndexedPrompt:
        return IndexedPrompt(
            row=int(self.row[place]),
            prompt_id=self.prompt_id[place],
            category=self.category[place],
            tags=self.tags[place],
            turns=int(self.turns[place]),
        )

    def __iter__(self) -> Iterator[IndexedPrompt]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True, slots=True, eq=False)
class OutputIndex:
    """Outputs as columns of equal length, in the order of upload.

    *prompt* holds the rows of prompts. *contestant* holds places in *contestants*, which are sorted by name.
    """

    row: Rows
    prompt: Rows
    contestant: Counts
    sample: Counts
    turns: Counts
    contestants: Sequence[str]

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, place: int) -> IndexedOutput:
        return IndexedOutput(
            row=int(self.row[place]),
            prompt=int(self.prompt[place]),
            contestant=self.contestants[self.contestant[place]],
            sample=int(self.sample[place]),
            turns=int(self.turns[place]),
        )

    def __iter__(self) -> Iterator[IndexedOutput]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True, slots=True, eq=False)
class DatasetIndex:
    """The prompts and outputs that one revision of a dataset allows to compare."""

    revision: int
    prompts: PromptIndex
    outputs: OutputIndex

    def named(self) -> dict[tuple[str, str, int], IndexedOutput]:
        """Return each output by its prompt's id, its contestant and its sample."""
        ids = dict(zip(self.prompts.row.tolist(), self.prompts.prompt_id, strict=True))
        return {(ids[output.prompt], output.contestant, output.sample): output for output in self.outputs}
