"""Names of credentials: a key that stands where its name belongs is refused, and never shown."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection
from pathlib import Path

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_KEY = re.compile(r"(?=.*[0-9])[A-Za-z0-9_+=.-]{16,}|sk-.*|.{120,}", re.ASCII | re.DOTALL)
"""How keys look: long, of Latin characters and digits. Few names of files and variables look like that."""
_WORLD = stat.S_IROTH | stat.S_IWOTH


def wrong_variable(setting: str, name: str, environment: Collection[str]) -> str:
    """Return what is wrong with the *name* of a variable in a *setting*, or nothing. The name is not shown.

    >>> wrong_variable("key_env", "OPENAI_API_KEY", {})
    ''
    >>> wrong_variable("key_env", "sk-abc", {})[:52]
    'key_env must be the name of an environment variable,'
    """
    plain = _VARIABLE.fullmatch(name) and not (_KEY.fullmatch(name) and (not name.isupper() or "_" not in name))
    if name in environment or plain:
        return ""
    return (
        f"{setting} must be the name of an environment variable, such as OPENAI_API_KEY. What it has looks like a key "
        "itself, so it is not shown: set a variable to the key, and write the variable's name"
    )


def wrong_key_file(path: Path) -> str:
    """Return what is wrong with the *path* of a file for a key, or nothing. The path is not shown."""
    text = str(path)
    if not _KEY.fullmatch(text.strip()) or Path(text).suffix in {".txt", ".key", ".pem"} or is_file(path):
        return ""
    return (
        "key_file must be the path of a file. What it has looks like a key itself, so it is not shown: write the key "
        "to a file that only you can read, and its path here"
    )


def is_file(path: Path) -> bool:
    """Whether there is a file at *path*; also if *path* is too long to be one."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def exposed(path: Path | None) -> str:
    """Return a warning if everybody on this machine can read or change the file at *path*, or nothing."""
    if path is None or not is_file(path) or not (mode := stat.S_IMODE(path.stat().st_mode)) & _WORLD:
        return ""
    return f"everybody on this machine can read the key in {path} (mode {mode:04o}): chmod 600 {path}"
