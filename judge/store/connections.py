"""Connections, which run functions of a connection as transactions, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Connections(Protocol):
    """Runs functions of a connection as transactions. Reads run at the same time as writes."""

    full: bool
    """Whether the last write failed because the disk is full."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one write transaction and return its result.

        If another transaction gets in its way, *work* may be run again.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one read transaction, which sees one moment, and return its result."""
        ...

    async def check(self) -> None:
        """Return if the database answers and this release works with its schema. Raises StoreAway otherwise."""
        ...

    async def close(self) -> None:
        """Finish writes in progress and close all connections."""
        ...
