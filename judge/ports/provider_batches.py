"""The store's port for batches at a provider."""

from __future__ import annotations

from typing import Protocol

from judge.ports.records import (
    BatchState,
    ProviderBatch,
)


class BatchStore(Protocol):
    """Batches at a provider: the intent is stored before anything is sent."""

    async def open_batches(self, run: int, judge: int) -> list[ProviderBatch]:
        """Return the batches of a run's *judge* that are neither collected nor abandoned, oldest first."""
        ...

    async def move_batch(self, row: int, state: BatchState, *, provider_id: str = "") -> None:
        """Set the state of a batch.

        Calls of a collected or abandoned batch that have no answer end as failed and cost nothing.
        """
        ...

    async def provider_batches(self, tenant: str) -> set[str]:
        """Return the provider's ids of all batches that are known."""
        ...
