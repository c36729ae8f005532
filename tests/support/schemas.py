"""Schemas of other releases: their migrations, rows for all of their tables, and descriptions to compare."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    create_engine,
    event,
    inspect,
    select,
)
from sqlalchemy.pool import NullPool

from judge.store.migrate import SCRIPTS, migrate, migrate_shared
from judge.store.postgresql import is_postgresql

REVISIONS = sorted(path.name[:4] for path in (SCRIPTS / "versions").glob("0*.py"))
EXPANDED = '''
"""A later schema that the previous release can still use."""
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{last}"
works_with = "{last}"


def upgrade() -> None:
    op.add_column("dataset", sa.Column("note", sa.String()))
    op.create_table("extra", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO extra VALUES (1)")
'''
CONTRACTED = '''
"""A still later schema that only the release of 9001 can use."""
from alembic import op

revision = "9002"
down_revision = "9001"
works_with = "9001"


def upgrade() -> None:
    op.drop_column("dataset", "create_time")
'''


class ProcessKilled(BaseException):
    """Simulates the death of a process."""


def scripts_until(folder: Path, revision: str, *later: str) -> Path:
    """Write the migrations up to *revision*, followed by the sources *later*, to a new *folder* and return it."""
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (folder / "versions").glob("0*.py"):
        if script.name[:4] > revision:
            script.unlink()
    for number, source in enumerate(later, 1):
        (folder / "versions" / f"900{number}_later.py").write_text(source.replace("{last}", REVISIONS[-1]))
    return folder


def engine_of(url: str) -> Engine:
    """Return an engine for either database that keeps no connection open."""
    if is_postgresql(url):
        return create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)


def migrate_url(url: str, scripts: Path = SCRIPTS) -> None:
    """Migrate the schema at *url* to the newest revision of *scripts*."""
    migrate_engine(engine_of(url), scripts)


def migrate_engine(engine: Engine, scripts: Path = SCRIPTS) -> None:
    """Migrate the schema of *engine* to the newest revision of *scripts*."""
    if engine.dialect.name == "sqlite":
        migrate(engine, scripts)
    else:
        migrate_shared(engine, scripts)


def kill_migration(url: str, scripts: Path, statement: int) -> bool:
    """Migrate, but die after *statement* statements. Return whether the migration got that far."""
    engine = engine_of(url)
    remaining = [statement]

    @event.listens_for(engine, "before_cursor_execute")
    def _(*_: object) -> None:
        remaining[0] -= 1
        if remaining[0] < 0:
            raise ProcessKilled

    try:
        migrate_engine(engine, scripts)
    except ProcessKilled:
        return True
    return False


def tables_of(c: Connection, names: Iterable[str] = ()) -> list[Table]:
    """Return the database's tables, or those with *names*, without Alembic's."""
    metadata = MetaData()
    metadata.reflect(c, only=list(names) or None)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def fill(c: Connection, n_rows: int = 2) -> None:
    """Insert *n_rows* rows into every table, with different values in each row and column."""
    for table in tables_of(c):
        for number in range(1, n_rows + 1):
            row = {column.name: _value(column.type, number, place) for place, column in enumerate(table.columns)}
            c.execute(table.insert().values(row))


def _value(kind: Any, number: int, place: int) -> Any:  # noqa: ANN401  # whatever fits the column
    if isinstance(kind, JSON):
        return {"n": [number, None, "é"]}
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Integer):
        return number * 1000 + place
    if isinstance(kind, Float):
        return number + place / 7
    if isinstance(kind, LargeBinary):
        return bytes([number, place]) * 16
    return f"text {number} {place} ü"


def rows_of(c: Connection, tables: Iterable[Table]) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of *tables*, in the order of their primary keys."""
    return {t.name: [tuple(row) for row in c.execute(select(t).order_by(*t.primary_key.columns))] for t in tables}


def rename_columns(table: Table, names: Mapping[str, str]) -> Table:
    """Return *table* with the table and columns in *names* renamed."""
    columns = [
        Column(names.get(column.name, column.name), column.type, primary_key=column.primary_key) for column in table.c
    ]
    return Table(names.get(table.name, table.name), MetaData(), *columns)


def describe_schema(c: Connection) -> dict[str, Any]:
    """Return the columns, keys, indexes and constraints of all tables, as the database reports them."""
    look = inspect(c)
    description: dict[str, Any] = {}
    for name in sorted(look.get_table_names()):
        columns = [{**column, "type": str(column["type"])} for column in look.get_columns(name)]
        indexes = [
            (
                index["name"],
                index["column_names"],
                index["unique"],
                {k: str(v) for k, v in index["dialect_options"].items()},
            )
            for index in sorted(look.get_indexes(name), key=lambda index: str(index["name"]))
        ]
        uniques = sorted(str(constraint["column_names"]) for constraint in look.get_unique_constraints(name))
        description[name] = (columns, look.get_pk_constraint(name)["constrained_columns"], indexes, uniques)
    if c.dialect.name == "sqlite":
        counted = c.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        description["counted"] = sorted(name for (name,) in counted)
    return description
