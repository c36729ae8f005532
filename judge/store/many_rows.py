"""Rows by the hundred, going in, looked up and changed: statements that are made once.

SQLAlchemy's own statements over many rows spend several times what the database does on each row's parameters. To
SQLite the rows go as VALUES in groups of a few sizes, so that statements repeat and stay prepared; to PostgreSQL as one
array a column, so that it plans one short statement.
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
"""Rows in a statement; the largest keeps below SQLite's 32,766 parameters at 65 columns."""
Rows = Sequence[Sequence[Any]]


def insert_rows(
    c: Connection, table: Table, names: tuple[str, ...], rows: Rows, back: Sequence[Column[Any]] = ()
) -> Sequence[Any]:
    """Insert *rows* of the columns *names*, leaving alone what is there; *back* of those that went in."""
    if not rows:
        return []
    told = _told(table, names, rows)
    returning = tuple(column.name for column in back)
    if c.dialect.name == "sqlite":
        return _by_values(c, told, lambda many: _insert(table, names, many, returning), answers=bool(back))
    result = c.execute(_insert_arrays(table, names, returning), _arrays(table, names, told))
    return result.all() if back else []


def ids_among(c: Connection, table: Table, names: tuple[str, ...], rows: Rows, *, where: str = "") -> list[int]:
    """The ids of what *table* has with one of *rows* in its columns *names*, and of which *where* holds."""
    if not rows:
        return []
    if c.dialect.name == "sqlite":
        return [one[0] for one in _by_values(c, rows, lambda many: _lookup(table, names, where, many))]
    return list(c.scalars(_lookup_arrays(table, names, where), _arrays(table, names, rows)))


def changed(
    c: Connection, table: Table, names: tuple[str, ...], rows: Rows, back: Sequence[Column[Any]], *, where: str = ""
) -> Sequence[Any]:
    """Write *rows*, an id each and what goes into the columns *names*, if *where* holds; *back* of what is changed."""
    if not rows:
        return []
    returning = tuple(column.name for column in back)
    if c.dialect.name == "sqlite":
        return _by_values(c, rows, lambda many: _update(table, names, where, many, returning))
    arrays = _arrays(table, ("id", *names), rows)
    return c.execute(_update_arrays(table, names, where, returning), arrays).all()


def _by_values(c: Connection, rows: Rows, sql: Callable[[int], str], *, answers: bool = True) -> list[Any]:
    """What the statement that *sql* gives for so many rows answers, group by group, if it *answers* at all."""
    found: list[Any] = []
    begin = 0
    for size in GROUPS:
        while len(rows) - begin >= size:
            values = tuple(chain.from_iterable(rows[begin : begin + size]))
            cursor = c.exec_driver_sql(sql(size), values).cursor
            if answers and cursor is not None:
                # The driver's own tuples: rows dressed up take longer than to read.
                found.extend(cursor.fetchall())
            begin += size
    return found


@lru_cache(maxsize=64)
def _insert(table: Table, names: tuple[str, ...], many: int, back: tuple[str, ...]) -> str:
    insert = f"INSERT INTO {_quoted((table.name,))} ({_quoted(names)}) {_values(len(names), many)}"
    return f"{insert} ON CONFLICT DO NOTHING{_returning(back)}"


@lru_cache(maxsize=64)
def _lookup(table: Table, names: tuple[str, ...], where: str, many: int) -> str:
    """Joined crosswise, the table is searched for each row; for a tuple IN the same VALUES SQLite reads all of it."""
    parts, own = _parts(names), _quoted((table.name,))
    same = [f"{own}.{name} = {part}" for name, part in zip(_each_quoted(names), parts, strict=True)]
    wanted = f"WITH wanted({','.join(parts)}) AS ({_values(len(names), many)})"
    condition = " AND ".join([*same, where] if where else same)
    return f"{wanted} SELECT {own}.id FROM wanted CROSS JOIN {own} ON {condition}"  # noqa: S608  # names of our own


@lru_cache(maxsize=64)
def _update(table: Table, names: tuple[str, ...], where: str, many: int, back: tuple[str, ...]) -> str:
    parts = _parts(("id", *names))
    set_to = ",".join(f"{name} = {part}" for name, part in zip(_each_quoted(names), parts[1:], strict=True))
    wanted = f"WITH wanted({','.join(parts)}) AS ({_values(len(parts), many)})"
    own = _quoted((table.name,))
    change = f"{wanted} UPDATE {own} SET {set_to} FROM wanted WHERE {own}.id = {parts[0]}"  # noqa: S608  # names of our own
    return change + (f" AND {where}" if where else "") + _returning(back)


def _values(many: int, rows: int) -> str:
    return "VALUES " + ",".join(["(" + ",".join("?" * many) + ")"] * rows)


def _parts(names: Sequence[str]) -> list[str]:
    return [f"c{n}" for n in range(len(names))]


def _returning(back: tuple[str, ...]) -> str:
    return f" RETURNING {_quoted(back)}" if back else ""


def _quoted(names: Sequence[str]) -> str:
    return ",".join(_each_quoted(names))


def _each_quoted(names: Sequence[str]) -> list[str]:
    quote = sqlite.dialect().identifier_preparer.quote_identifier
    return [quote(name) for name in names]


@lru_cache(maxsize=64)
def _insert_arrays(table: Table, names: tuple[str, ...], back: tuple[str, ...]) -> Any:  # noqa: ANN401  # a statement
    documents, parts = _documents(table, names), _unnested(table, names).c
    columns = [
        cast(part, table.c[name].type) if name in documents else part for name, part in zip(names, parts, strict=True)
    ]
    insert = postgresql.insert(table).from_select(names, select(*columns)).on_conflict_do_nothing()
    return insert.returning(*(table.c[name] for name in back)) if back else insert


@lru_cache(maxsize=64)
def _lookup_arrays(table: Table, names: tuple[str, ...], where: str) -> Any:  # noqa: ANN401  # a statement
    wanted = tuple_(*(table.c[name] for name in names)).in_(select(*_unnested(table, names).c))
    return select(table.c.id).where(wanted, text(where or "true"))


@lru_cache(maxsize=64)
def _update_arrays(table: Table, names: tuple[str, ...], where: str, back: tuple[str, ...]) -> Any:  # noqa: ANN401  # a statement
    row, *parts = _unnested(table, ("id", *names)).c
    change = update(table).where(table.c.id == row, text(where or "true")).values(dict(zip(names, parts, strict=True)))
    return change.returning(*(table.c[name] for name in back))


def _unnested(table: Table, names: tuple[str, ...]) -> Any:  # noqa: ANN401  # a table value
    """The arrays of `_arrays` as a table: a column for each of *names*, in their order."""
    kinds = _kinds(table, names)
    arrays = [cast(bindparam(f"all_{n}", type_=Text), ARRAY(kind)) for n, kind in enumerate(kinds)]
    return func.unnest(*arrays).table_valued(*_parts(names), name="rows").render_derived()


def _arrays(table: Table, names: tuple[str, ...], rows: Rows) -> dict[str, str]:
    """What goes into the columns *names*, an array each; what holds JSON goes as texts."""
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
    """*values* as PostgreSQL reads an array. Its driver writes one too, a dozen times as slowly, element by element."""
    if texts:
        told = ["NULL" if value is None else f'"{_escaped(value)}"' for value in values]
    else:
        told = ["NULL" if value is None else str(value) for value in values]
    return "{" + ",".join(told) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@lru_cache(maxsize=64)
def _documents(table: Table, names: tuple[str, ...]) -> frozenset[str]:
    """The columns that hold JSON."""
    return frozenset(name for name in names if isinstance(table.c[name].type, JSON))


def _told(table: Table, names: tuple[str, ...], rows: Rows) -> Rows:
    """*rows* with JSON written out."""
    documents = _documents(table, names)
    if not documents:
        return rows
    at = [names.index(name) for name in documents]
    told = [list(row) for row in rows]
    for row in told:
        for place in at:
            # Most often there is nothing: written out here, it costs a tenth.
            row[place] = "[]" if row[place] == () else json.dumps(row[place])
    return told
