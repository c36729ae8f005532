"""Differences between SQLite and PostgreSQL: inserting rows that may exist, and who else may write."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def alone(c: Connection) -> bool:
    """Whether nobody else can write until this transaction ends."""
    return c.dialect.name == "sqlite"


def insert_or_skip(c: Connection, table: Table) -> Any:  # noqa: ANN401  # either dialect's insert
    """Return an insert into *table* that skips rows that already exist."""
    insert = sqlite.insert if c.dialect.name == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing()
