"""Datasets as a whole: created, listed, counted and deleted."""

from __future__ import annotations

from typing import Protocol

from judge.domain.dataset import DatasetSummary, DeletedRuns


class DatasetRows(Protocol):
    """Datasets. Every method raises NotFound for a dataset that does not exist."""

    async def create_dataset(self, tenant: str, name: str) -> DatasetSummary:
        """Create an empty dataset. Raises AlreadyExists if the name is taken."""
        ...

    async def dataset(self, tenant: str, name: str) -> DatasetSummary:
        """Return the dataset with its contestants, categories and annotators."""
        ...

    async def datasets(self, tenant: str, after: str, limit: int) -> list[DatasetSummary]:
        """Return at most *limit* datasets whose names come after *after*, sorted by name.

        They come without contestants, categories and annotators.
        """
        ...

    async def delete_dataset(self, tenant: str, name: str) -> DeletedRuns:
        """Make the dataset unreadable, remove its runs, and delete what no other dataset of the tenant holds.

        Returns what its runs and replies were.
        """
        ...

    async def count_deletion(self, tenant: str, name: str) -> DeletedRuns:
        """Return what delete_dataset would delete."""
        ...

    async def finish_deletions(self) -> int:
        """Finish deletions that a dead process left incomplete, and return how many there were."""
        ...

    async def revision(self, tenant: str, name: str) -> int:
        """Return the present revision of the dataset, without counting its rows."""
        ...
