"""Which configuration file is read, and what it holds. Nothing here needs more than the base installation."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path


class ConfigError(ValueError):
    """The configuration is wrong. The message names the file, the section and the setting, and says what to do.

    It never repeats a value that may be a credential in the wrong place.
    """


def judge_home() -> Path:
    """Return `$JUDGE_HOME`, or `~/.judge` if that is not set."""
    return Path(os.environ.get("JUDGE_HOME", "") or Path.home() / ".judge")


def config_file(given: Path | None = None) -> Path | None:
    """Return the file to read: the one *given*, the one that the environment names, or the first that exists."""
    if given is not None:
        return given
    if named := os.environ.get("JUDGE_CONFIG"):
        return Path(named)
    return next((p for p in (Path("judge.toml"), judge_home() / "judge.toml") if p.is_file()), None)


def read_toml(path: Path) -> dict[str, object]:
    """Return what the file holds. Raises ConfigError if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        message = f"{path}: the configuration cannot be read: {error.strerror}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: the configuration is not valid TOML: {error}"
    raise ConfigError(message) from None
