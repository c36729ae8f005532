"""Statements that insert, look up and update hundreds of rows at once.

SQLAlchemy's own statements over many rows need several times as long as the database, because of each row's parameters.
For SQLite, the rows are sent as VALUES in groups of a few sizes, so that statements repeat and stay prepared. For
PostgreSQL, they are sent as one array for each column, so that it plans one short statement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    Connection,
    String,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

GROUPS = (500, 100, 20, 5, 1)
"""Rows in a statement. With 65 columns, the largest group stays below SQLite's limit of 32,766 parameters."""
Rows = Sequence[Sequence[Any]]


def insert_rows(
    c: Connection, table: Table, names: tuple[str, ...], rows: Rows, back: Sequence[Column[Any]] = ()
) -> Sequence[Any]:
    """Insert *rows* with the columns *names*, skip those that exist, and return the columns *back* of the others."""
    if not rows:
        return []
    encoded = _encode_json(table, names, rows)
    returning = tuple(column.name for column in back)
    if c.dialect.name == "sqlite":
        return _by_values(c, encoded, lambda n_rows: _insert(table, names, n_rows, returning), answers=bool(back))
    result = c.execute(_insert_arrays(table, names, returning), _arrays(table, names, encoded))
    return result.all() if back else []


def ids_among(c: Connection, table: Table, names: tuple[str, ...], rows: Rows, *, condition: str = "") -> list[int]:
    """Return the ids of the rows of *table* whose columns *names* are among *rows* and that meet the *condition*."""
    if not rows:
        return []
    if c.dialect.name == "sqlite":
        return [row[0] for row in _by_values(c, rows, lambda n_rows: _lookup(table, names, condition, n_rows))]
    return list(c.scalars(_lookup_arrays(table, names, condition), _arrays(table, names, rows)))


def update_rows(
    c: Connection, table: Table, names: tuple[str, ...], rows: Rows, back: Sequence[Column[Any]], *, condition: str = ""
) -> Sequence[Any]:
    """Update rows that meet the *condition*, and return their columns *back*.

    Each of *rows* is an id and the new values of the columns *names*.
    """
    if not rows:
        return []
    returning = tuple(column.name for column in back)
    if c.dialect.name == "sqlite":
        return _by_values(c, rows, lambda n_rows: _update(table, names, condition, n_rows, returning))
    arrays = _arrays(table, ("id", *names), rows)
    return c.execute(_update_arrays(table, names, condition, returning), arrays).all()


def _by_values(c: Connection, rows: Rows, sql: Callable[[int], str], *, answers: bool = True) -> list[Any]:
    """Execute the statement that *sql* makes for a number of rows, group by group.

    Return the rows that it gives back, if it *answers*.
    """
    returned: list[Any] = []
    begin = 0
    for size in GROUPS:
        while len(rows) - begin >= size:
            values = tuple(chain.from_iterable(rows[begin : begin + size]))
            cursor = c.exec_driver_sql(sql(size), values).cursor
            if answers and cursor is not None:
                # These are the driver's own tuples. SQLAlchemy's rows take longer to make than to read.
                returned.extend(cursor.fetchall())
            begin += size
    return returned


@lru_cache(maxsize=64)
def _insert(table: Table, names: tuple[str, ...], n_rows: int, back: tuple[str, ...]) -> str:
    insert = f"INSERT INTO {_quote_list((table.name,))} ({_quote_list(names)}) {_values(len(names), n_rows)}"
    return f"{insert} ON CONFLICT DO NOTHING{_returning(back)}"


@lru_cache(maxsize=64)
def _lookup(table: Table, names: tuple[str, ...], condition: str, n_rows: int) -> str:
    """Return a lookup by CROSS JOIN, which uses an index. With a tuple IN (VALUES ...), SQLite would read all rows."""
    parts, own = _parts(names), _quote_list((table.name,))
    same = [f"{own}.{name} = {part}" for name, part in zip(_quote(names), parts, strict=True)]
    wanted = f"WITH wanted({','.join(parts)}) AS ({_values(len(names), n_rows)})"
    matches = " AND ".join([*same, condition] if condition else same)
    return f"{wanted} SELECT {own}.id FROM wanted CROSS JOIN {own} ON {matches}"  # noqa: S608  # names of our own


@lru_cache(maxsize=64)
def _update(table: Table, names: tuple[str, ...], condition: str, n_rows: int, back: tuple[str, ...]) -> str:
    parts = _parts(("id", *names))
    set_to = ",".join(f"{name} = {part}" for name, part in zip(_quote(names), parts[1:], strict=True))
    wanted = f"WITH wanted({','.join(parts)}) AS ({_values(len(parts), n_rows)})"
    own = _quote_list((table.name,))
    change = f"{wanted} UPDATE {own} SET {set_to} FROM wanted WHERE {own}.id = {parts[0]}"  # noqa: S608  # names of our own
    return change + (f" AND {condition}" if condition else "") + _returning(back)


def _values(n_columns: int, n_rows: int) -> str:
    return "VALUES " + ",".join(["(" + ",".join("?" * n_columns) + ")"] * n_rows)


def _parts(names: Sequence[str]) -> list[str]:
    return [f"c{n}" for n in range(len(names))]


def _returning(back: tuple[str, ...]) -> str:
    return f" RETURNING {_quote_list(back)}" if back else ""


def _quote_list(names: Sequence[str]) -> str:
    return ",".join(_quote(names))


def _quote(names: Sequence[str]) -> list[str]:
    quote = sqlite.dialect().identifier_preparer.quote_identifier
    return [quote(name) for name in names]


@lru_cache(maxsize=64)
def _insert_arrays(table: Table, names: tuple[str, ...], back: tuple[str, ...]) -> Any:  # noqa: ANN401  # a statement
    documents, parts = _documents(table, names), _unnest(table, names).c
    columns = [
        cast(part, table.c[name].type) if name in documents else part for name, part in zip(names, parts, strict=True)
    ]
    insert = postgresql.insert(table).from_select(names, select(*columns)).on_conflict_do_nothing()
    return insert.returning(*(table.c[name] for name in back)) if back else insert


@lru_cache(maxsize=64)
def _lookup_arrays(table: Table, names: tuple[str, ...], condition: str) -> Any:  # noqa: ANN401  # a statement
    wanted = tuple_(*(table.c[name] for name in names)).in_(select(*_unnest(table, names).c))
    return select(table.c.id).where(wanted, text(condition or "true"))


@lru_cache(maxsize=64)
def _update_arrays(table: Table, names: tuple[str, ...], condition: str, back: tuple[str, ...]) -> Any:  # noqa: ANN401  # a statement
    row, *parts = _unnest(table, ("id", *names)).c
    change = update(table).where(table.c.id == row, text(condition or "true"))
    change = change.values(dict(zip(names, parts, strict=True)))
    return change.returning(*(table.c[name] for name in back))


def _unnest(table: Table, names: tuple[str, ...]) -> Any:  # noqa: ANN401  # a table value
    """Return the arrays of `_arrays` as a table with a column for each of *names*, in the same order."""
    kinds = _kinds(table, names)
    arrays = [cast(bindparam(f"all_{n}", type_=Text), ARRAY(kind)) for n, kind in enumerate(kinds)]
    return func.unnest(*arrays).table_valued(*_parts(names), name="rows").render_derived()


def _arrays(table: Table, names: tuple[str, ...], rows: Rows) -> dict[str, str]:
    """Return an array of values for each of the columns *names*. Values of JSON columns are texts."""
    kinds, columns = _kinds(table, names), zip(*rows, strict=True)
    return {
        f"all_{n}": _array(values, texts=isinstance(kind, String))
        for n, (kind, values) in enumerate(zip(kinds, columns, strict=True))
    }


@lru_cache(maxsize=64)
def _kinds(table: Table, names: tuple[str, ...]) -> tuple[TypeEngine[Any], ...]:
    documents = _documents(table, names)
    return tuple(Text() if name in documents else table.c[name].type for name in names)


def _array(values: Sequence[Any], *, texts: bool) -> str:
    """Return *values* in PostgreSQL's notation of arrays. Its driver writes arrays too, but is a dozen times slower."""
    if texts:
        elements = ["NULL" if value is None else f'"{_escape(value)}"' for value in values]
    else:
        elements = ["NULL" if value is None else str(value) for value in values]
    return "{" + ",".join(elements) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@lru_cache(maxsize=64)
def _documents(table: Table, names: tuple[str, ...]) -> frozenset[str]:
    """Return the columns that hold JSON."""
    return frozenset(name for name in names if isinstance(table.c[name].type, JSON))


def _encode_json(table: Table, names: tuple[str, ...], rows: Rows) -> Rows:
    """Return *rows* with the values of JSON columns encoded."""
    documents = _documents(table, names)
    if not documents:
        return rows
    places = [names.index(name) for name in documents]
    encoded = [list(row) for row in rows]
    for row in encoded:
        for place in places:
            # Most values are empty. Handling them here takes a tenth of the time.
            row[place] = "[]" if row[place] == () else json.dumps(row[place])
    return encoded
