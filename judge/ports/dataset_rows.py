"""Rows of a dataset as they were uploaded, and their texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from judge.domain.dataset import ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.ports.dataset_index import DatasetIndex, PromptIndex, Rows
from judge.ports.records import (
    OutputText,
    PromptText,
)


class RowReader(Protocol):
    """Reads rows, their index and their texts."""

    async def read_prompts(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, Prompt]]:
        """Return a page of rows in upload order, each with its row id. *after* is the last row id read (0 to begin).

        It has fewer than *limit* if their texts are large, and is empty only if there are no more.
        """
        ...

    async def read_outputs(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, Output]]:
        """Return a page of rows in upload order."""
        ...

    async def read_labels(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, str, Label]]:
        """Return a page of rows in upload order, each with its row id and source."""
        ...

    async def read_verdicts(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, ImportedVerdict]]:
        """Return a page of rows in upload order."""
        ...

    async def read_comparisons(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, ListedComparison]]:
        """Return a page of rows in upload order."""
        ...

    async def dataset_index(
        self, tenant: str, name: str, revision: int, *, prompt_ids: Collection[str] | None = None
    ) -> DatasetIndex:
        """Return the index of the dataset at *revision*, with all prompts or only those in *prompt_ids*."""
        ...

    async def prompt_index(self, tenant: str, name: str, revision: int) -> PromptIndex:
        """Return the prompts of the dataset at *revision*, without outputs."""
        ...

    async def rows_with_images(self, tenant: str, name: str, revision: int) -> tuple[Rows, Rows]:
        """Return the rows of the prompts, and of the outputs, that have images at *revision*: int64[n], int64[m]."""
        ...

    async def prompt_texts(self, rows: Collection[int]) -> dict[int, PromptText]:
        """Return the texts of prompts, by row."""
        ...

    async def output_texts(self, rows: Collection[int]) -> dict[int, OutputText]:
        """Return the texts of outputs, by row."""
        ...

    async def text_sizes(
        self, prompts: Collection[int], outputs: Collection[int]
    ) -> tuple[dict[int, int], dict[int, int]]:
        """Return about how many characters the texts of prompts and of outputs have, by row."""
        ...

    async def intern(self, tenant: str, digests: Sequence[bytes]) -> list[int]:
        """Return the id of each digest. The same digest always has the same id in a tenant."""
        ...
