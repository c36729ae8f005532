"""Attempts at shards of a run."""

from __future__ import annotations

from typing import Protocol

from judge.ports.records import (
    Fence,
    Losses,
)


class ShardStore(Protocol):
    """Attempts at shards. Only the newest attempt counts."""

    async def shard_losses(
        self, row: int, shard: int, last: int, *, judge: int = 0, alive: int = 0, waited: bool = False
    ) -> Losses:
        """Return how many attempts at a *judge*'s positions [shard, last) were lost before a new one; reads only.

        *alive* is the number of an attempt that did not end with its process. If the run *waited* for something
        outside when the newest attempt ended, the shard did not cause the loss.
        """
        ...

    async def begin_shard(self, row: int, shard: int, losses: Losses = Losses()) -> int | None:  # noqa: B008  # it is frozen
        """Begin an attempt at a shard with these *losses*, and return its number, or None if the shard is done.

        Calls in flight of an earlier attempt are booked as spent at what they reserved and may be made again.
        """
        ...

    async def leave_shard(self, row: int, fence: Fence) -> None:
        """Record that the attempt ended in order before the shard was done, so that it does not count as lost."""
        ...

    async def end_shard(self, row: int, fence: Fence) -> None:
        """Mark the shard as done, if the attempt is still its newest."""
        ...
