"""Batches at a provider."""

from __future__ import annotations

from typing import Protocol

from judge.ports.records import (
    BatchState,
    ProviderBatch,
)


class BatchStore(Protocol):
    """Batches at a provider: the intent is stored before anything is sent."""

    async def open_batches(self, run: int, judge: int) -> list[ProviderBatch]:
        """The run's batches of that judge that are neither collected nor abandoned, oldest first."""
        ...

    async def move_batch(self, row: int, state: BatchState, *, provider_id: str = "") -> None:
        """Say where a batch stands. What of an abandoned or a collected one was never answered ends, unpaid."""
        ...

    async def provider_batches(self, tenant: str) -> set[str]:
        """The provider's ids of every batch that is known."""
        ...
