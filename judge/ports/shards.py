"""Attempts at shards of a run."""

from __future__ import annotations

from typing import Protocol

from judge.ports.records import (
    Fence,
    Losses,
)


class ShardStore(Protocol):
    """Attempts at shards: the newest one counts."""

    async def shard_losses(self, row: int, shard: int, last: int, *, alive: int = 0, waited: bool = False) -> Losses:
        """What a new attempt at the positions [shard, last) has to know of those before; reads only.

        The attempt with the number *alive* is known not to have ended with its process. If the run *waited* for
        something outside when the newest one ended, that was not the shard's doing.
        """
        ...

    async def begin_shard(self, row: int, shard: int, losses: Losses = Losses()) -> int | None:  # noqa: B008  # it is frozen
        """The number of a new attempt at a shard of a run, which had these *losses* before; None if it is done.

        Calls in flight of an earlier attempt are booked as spent at their worst, and may be made again.
        """
        ...

    async def leave_shard(self, row: int, fence: Fence) -> None:
        """The attempt ended in order, without the shard being done; it is not lost."""
        ...

    async def end_shard(self, row: int, fence: Fence) -> None:
        """The shard is done, if the attempt is still its newest."""
        ...
