"""What a dataset lets be compared, as columns: half a million outputs are five arrays, and no text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""A store's ids of rows."""
Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class IndexedPrompt:
    """A prompt as a plan needs it: its row, its names, its number of turns; no text."""

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
    """Prompts as columns of one length, in the order of upload, which is the order of *row*."""

    row: Rows
    prompt_id: Sequence[str]
    category: Sequence[str]
    tags: Sequence[tuple[str, ...]]
    turns: Counts

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, place: int) -> IndexedPrompt:
        return IndexedPrompt(
            int(self.row[place]),
            self.prompt_id[place],
            self.category[place],
            self.tags[place],
            int(self.turns[place]),
        )

    def __iter__(self) -> Iterator[IndexedPrompt]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True, slots=True, eq=False)
class OutputIndex:
    """Outputs as columns of one length, in the order of upload.

    *prompt* holds rows of prompts, *contestant* places in *contestants*, who are in the order of their names.
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
            int(self.row[place]),
            int(self.prompt[place]),
            self.contestants[self.contestant[place]],
            int(self.sample[place]),
            int(self.turns[place]),
        )

    def __iter__(self) -> Iterator[IndexedOutput]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True, slots=True, eq=False)
class DatasetIndex:
    """What one revision of a dataset lets be compared."""

    revision: int
    prompts: PromptIndex
    outputs: OutputIndex

    def named(self) -> dict[tuple[str, str, int], IndexedOutput]:
        """Each output by its prompt's id, its contestant and its sample."""
        ids = dict(zip(self.prompts.row.tolist(), self.prompts.prompt_id, strict=True))
        return {(ids[output.prompt], output.contestant, output.sample): output for output in self.outputs}
