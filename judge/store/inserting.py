"""Rows going in by the hundred: statements that are made once, and what comes back of the rows that went in.

SQLAlchemy's own multi-row insert spends several times what the database does on each row's parameters. To SQLite the
rows go as VALUES in groups of a few sizes, so that statements repeat and stay prepared; to PostgreSQL as one array a
column, so that it plans one short statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, JSON, Column, Connection, Table, Text, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite

GROUPS = (256, 64, 16, 4, 1)
"""Rows in a statement; the largest keeps below SQLite's 32,766 parameters at a hundred columns."""


def added(
    c: Connection, table: Table, rows: Sequence[Mapping[str, Any]], back: Sequence[Column[Any]] = ()
) -> Sequence[Any]:
    """Insert *rows*, all with the same columns, leaving alone what is there; *back* of those that went in."""
    if not rows:
        return []
    names = tuple(rows[0])
    if c.dialect.name == "sqlite":
        return _as_values(c, table, names, rows, back)
    return _as_arrays(c, table, names, rows, back)


def _as_values(
    c: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Mapping[str, Any]], back: Sequence[Column[Any]]
) -> Sequence[Any]:
    documents = _documents(table, names)
    found: list[Any] = []
    for group in _groups(rows):
        values = [json.dumps(row[name]) if name in documents else row[name] for row in group for name in names]
        sql = _values_sql(table, names, len(group), tuple(column.name for column in back))
        result = c.exec_driver_sql(sql, tuple(values))
        if back:
            found.extend(result.all())
    return found


def _groups(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    begin = 0
    for size in GROUPS:
        while len(rows) - begin >= size:
            yield rows[begin : begin + size]
            begin += size


@lru_cache(maxsize=64)
def _values_sql(table: Table, names: tuple[str, ...], many: int, back: tuple[str, ...]) -> str:
    one = "(" + ",".join("?" * len(names)) + ")"
    insert = f"INSERT INTO {_quoted([table.name])} ({_quoted(names)}) VALUES {','.join([one] * many)}"  # noqa: S608  # names of our own
    returning = f" RETURNING {_quoted(back)}" if back else ""
    return f"{insert} ON CONFLICT DO NOTHING{returning}"


def _quoted(names: Sequence[str]) -> str:
    return ",".join(sqlite.dialect().identifier_preparer.quote_identifier(name) for name in names)


def _as_arrays(
    c: Connection, table: Table, names: tuple[str, ...], rows: Sequence[Mapping[str, Any]], back: Sequence[Column[Any]]
) -> Sequence[Any]:
    documents = _documents(table, names)
    arrays = []
    for name in names:
        values = [row[name] for row in rows]
        if name in documents:
            arrays.append(cast([json.dumps(value) for value in values], ARRAY(Text)))
        else:
            arrays.append(cast(values, ARRAY(table.c[name].type)))
    each = func.unnest(*arrays).table_valued(*(f"c{n}" for n in range(len(names))), name="rows").render_derived()
    columns = [
        cast(each.c[f"c{n}"], table.c[name].type) if name in documents else each.c[f"c{n}"]
        for n, name in enumerate(names)
    ]
    insert = postgresql.insert(table).from_select(names, select(*columns)).on_conflict_do_nothing()
    if not back:
        c.execute(insert)
        return []
    return c.execute(insert.returning(*back)).all()


def _documents(table: Table, names: Sequence[str]) -> frozenset[str]:
    """The columns that hold JSON."""
    return frozenset(name for name in names if isinstance(table.c[name].type, JSON))
