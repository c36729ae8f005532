"""Where SQLite and PostgreSQL differ: rows that may be there already, many keys at once, and who else may write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Connection, Table, cast, func, literal_column, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite


def alone(c: Connection) -> bool:
    """Whether nobody else can write until this transaction ends."""
    return c.dialect.name == "sqlite"


def adding(c: Connection, table: Table) -> Any:  # noqa: ANN401  # either dialect's insert
    """An insert into *table* that leaves alone what is there."""
    insert = sqlite.insert if c.dialect.name == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing()


def among(c: Connection, columns: Sequence[Any], wanted: Sequence[Sequence[Any]]) -> Any:  # noqa: ANN401  # an SQL expression
    """That the tuple of *columns* is one of *wanted*.

    To SQLite the tuples go as one JSON value, to PostgreSQL as arrays: for a tuple among VALUES SQLite uses no index
    and reads the whole table, and PostgreSQL plans for longer than it looks.
    """
    if c.dialect.name == "sqlite":
        each = func.json_each(json.dumps(wanted)).table_valued("value")
        parts = [func.json_extract(each.c.value, literal_column(f"'$[{n}]'")) for n in range(len(columns))]
        return tuple_(*columns).in_(select(*parts))
    arrays = [cast([row[n] for row in wanted], ARRAY(column.type)) for n, column in enumerate(columns)]
    names = [f"part{n}" for n in range(len(columns))]
    each = func.unnest(*arrays).table_valued(*names, name="wanted").render_derived()
    return tuple_(*columns).in_(select(*(each.c[name] for name in names)))
