"""Datasets as a whole: created, listed, counted and deleted."""

from __future__ import annotations

from typing import Protocol

from judge.domain.dataset import DatasetSummary


class DatasetRows(Protocol):
    """Datasets. Every method raises NotFound for a dataset that does not exist."""

    async def create_dataset(self, tenant: str, name: str) -> DatasetSummary:
        """An empty dataset; AlreadyExists if the name is taken."""
        ...

    async def dataset(self, tenant: str, name: str) -> DatasetSummary:
        """The dataset with its contestants, categories and annotators."""
        ...

    async def datasets(self, tenant: str, after: str, limit: int) -> list[DatasetSummary]:
        """At most *limit* datasets by name, after the name *after*, without contestants, categories, annotators."""
        ...

    async def delete_dataset(self, tenant: str, name: str) -> None:
        """Make it unreadable, remove its runs, and delete what no other dataset of the tenant holds."""
        ...

    async def finish_deletions(self) -> int:
        """Go on with deletions that a dead process left undone; how many there were."""
        ...

    async def revision(self, tenant: str, name: str) -> int:
        """The present revision of the dataset, without counting what it holds."""
        ...
