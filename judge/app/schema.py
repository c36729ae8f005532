"""`judge migrate`: the schema of a store on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from judge.config.settings import ConfigError, load
from judge.store.postgresql import is_postgresql, migrate_postgresql


def migrated(config_path: Path | None) -> tuple[str | None, str]:
    """Bring the schema of the configured store up to date; what it was and what it is."""
    url = load(config_path).store_url
    if not is_postgresql(url):
        message = "judge migrate is for a store_url on PostgreSQL; a file is brought up to date when it is opened"
        raise ConfigError(message)
    return migrate_postgresql(url)
