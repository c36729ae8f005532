"""Schemas of other releases: their migrations, rows in whatever tables they have, and what a schema is made of."""

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
"""A later schema, with which the release of before goes on."""
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
"""The schema after that, with which only the release of 9001 goes on."""
from alembic import op

revision = "9002"
down_revision = "9001"
works_with = "9001"


def upgrade() -> None:
    op.drop_column("dataset", "create_time")
'''


class Killed(BaseException):
    """Stands for the end of a process."""


def scripts_until(folder: Path, revision: str, *later: str) -> Path:
    """The migrations of the release whose newest was *revision*, and those *later* ones, in the new *folder*."""
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (folder / "versions").glob("0*.py"):
        if script.name[:4] > revision:
            script.unlink()
    for number, source in enumerate(later, 1):
        (folder / "versions" / f"900{number}_later.py").write_text(source.replace("{last}", REVISIONS[-1]))
    return folder


def engine_of(url: str) -> Engine:
    """An engine on either database that keeps no connection."""
    if is_postgresql(url):
        return create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)


def migrated(url: str, scripts: Path = SCRIPTS) -> None:
    """Bring the schema at *url* up to what *scripts* know."""
    migrated_with(engine_of(url), scripts)


def migrated_with(engine: Engine, scripts: Path = SCRIPTS) -> None:
    """Bring the schema up to what *scripts* know, by this *engine*."""
    if engine.dialect.name == "sqlite":
        migrate(engine, scripts)
    else:
        migrate_shared(engine, scripts)


def killed_at(url: str, scripts: Path, statement: int) -> bool:
    """Migrate and die before so many statements; whether it got that far."""
    engine = engine_of(url)
    left = [statement]

    @event.listens_for(engine, "before_cursor_execute")
    def _(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    try:
        migrated_with(engine, scripts)
    except Killed:
        return True
    return False


def tables_of(c: Connection, names: Iterable[str] = ()) -> list[Table]:
    """The tables that are there but for Alembic's, or those of these *names*, as the database knows them."""
    found = MetaData()
    found.reflect(c, only=list(names) or None)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def fill(c: Connection, many: int = 2) -> None:
    """Put rows into every table: each column has another value in each row."""
    for table in tables_of(c):
        for number in range(1, many + 1):
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
    """All rows of *tables*, by key, of the columns that those tables have."""
    return {t.name: [tuple(row) for row in c.execute(select(t).order_by(*t.primary_key.columns))] for t in tables}


def renamed(table: Table, names: Mapping[str, str]) -> Table:
    """*table* and its columns under those of their *names* that changed."""
    columns = [
        Column(names.get(column.name, column.name), column.type, primary_key=column.primary_key) for column in table.c
    ]
    return Table(names.get(table.name, table.name), MetaData(), *columns)


def described(c: Connection) -> dict[str, Any]:
    """Everything about the tables that are there, as the database tells it."""
    look = inspect(c)
    found: dict[str, Any] = {}
    for name in sorted(look.get_table_names()):
        columns = [{**column, "type": str(column["type"])} for column in look.get_columns(name)]
        indexes = [
            (one["name"], one["column_names"], one["unique"], {k: str(v) for k, v in one["dialect_options"].items()})
            for one in sorted(look.get_indexes(name), key=lambda one: str(one["name"]))
        ]
        uniques = sorted(str(one["column_names"]) for one in look.get_unique_constraints(name))
        found[name] = (columns, look.get_pk_constraint(name)["constrained_columns"], indexes, uniques)
    if c.dialect.name == "sqlite":
        counted = c.exec_driver_sql("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        found["counted"] = sorted(name for (name,) in counted)
    return found
