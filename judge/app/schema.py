"""`judge migrate`: update the schema of a store on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from judge.config.files import ConfigError
from judge.config.settings import load
from judge.store.postgresql import is_postgresql, migrate_postgresql


def migrated(config_path: Path | None) -> tuple[str | None, str]:
    """Update the schema of the configured store. Return its version before and after.

    Raises ConfigError if the store is not on PostgreSQL.
    """
    settings = load(config_path)
    if not is_postgresql(settings.store_url):
        message = "judge migrate needs a store_url on PostgreSQL. A store in a file is updated when it is opened"
        raise ConfigError(f"{settings.origin}: {message}")
    return migrate_postgresql(settings.store_url)
