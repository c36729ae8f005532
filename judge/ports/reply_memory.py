"""Memory for large replies: how a backend waits before it reads one, without knowing who else reads.

Few replies are large. One that turns out to be waits until its caller has memory for it, which the caller holds until
the reply is stored. A caller that limits nothing lets every reply pass.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final

LARGE_BYTES: Final = 64 * 1024
"""A reply of more bytes than this is large."""
Reserve = Callable[[int], Awaitable[None]]
"""Waits until so many bytes of memory are free, and holds them. A second time in one call, it does nothing."""
_reserve: ContextVar[Reserve | None] = ContextVar("reserve", default=None)


def limit_replies(reserve: Reserve) -> None:
    """Let the replies to calls of the present task wait for memory in *reserve*."""
    _reserve.set(reserve)


async def reserve_memory(n_bytes: int) -> None:
    """Wait for the memory of a large reply that has at most *n_bytes* bytes."""
    reserve = _reserve.get()
    if reserve is not None:
        await reserve(n_bytes)
