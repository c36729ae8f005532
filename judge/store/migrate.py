"""Migration at boot: a file with an older schema is copied, then brought up to date in one transaction.

Killed at any statement, a migration leaves the old schema: everything happens between one BEGIN IMMEDIATE and its
COMMIT, which SQLite lets tables be made and changed in.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from judge.domain.errors import StoreFailed

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(engine: Engine, scripts: Path = SCRIPTS) -> None:
    """Bring the schema up to date; a file that had an older one is kept beside it as NAME.before-REVISION."""
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        present = MigrationContext.configure(connection).get_current_revision()
        if present == newest:
            return
        if present is not None:
            if present not in {revision.revision for revision in script.walk_revisions()}:
                raise StoreFailed(f"the store has schema {present}, which a newer release made; use that release")
            _copy(connection, f".before-{newest}")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _copy(connection: Connection, suffix: str) -> None:
    """Copy the file as it was before this transaction, by a connection of its own."""
    file = connection.engine.url.database
    if not file or file == ":memory:":
        return
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(file + suffix)) as target:
        source.backup(target)
