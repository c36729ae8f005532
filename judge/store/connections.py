"""Connections: functions of a connection are run as transactions, on SQLite or on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Connections(Protocol):
    """Runs functions of a connection: writes whole or not at all, reads beside them."""

    full: bool
    """Whether the last write failed for want of room."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The result of *work* in one write transaction; *work* may be run again where others were in the way."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """The result of *work* in one read transaction, which sees one moment."""
        ...

    async def check(self) -> None:
        """Return if the database answers and has a schema that this release works with; StoreAway otherwise."""
        ...

    async def close(self) -> None:
        """Finish what is being written, and let go."""
        ...
