"""The JSON files in a zip archive. They are read one at a time, at most LARGEST_DOCUMENT bytes of each.

Nothing is ever written, so a member's path leads nowhere.
"""

from __future__ import annotations

import contextlib
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judge.domain.errors import InvalidInput
from judge.formats.fields import Row
from judge.formats.json_rows import HALF_CHARACTER, LARGEST_DOCUMENT, has_half_character
from judge.formats.packed import zstd_module

MAGIC = b"PK\x03\x04"
MOST_MEMBERS = 200_000
"""The most files of an archive."""
_ZSTD = 93
"""The number of zstd in zip archives, which Python reads itself from 3.14 on."""
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Rows = Iterator[tuple[int, str, Row | InvalidInput]]


class JsonArchive:
    """An open archive: the *names* of its JSON files, in order, each once."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, damage: tuple[type[Exception], ...]) -> None:
        self._path, self._archive, self._reads_zstd = path, archive, bool(damage)
        self._damage: tuple[type[Exception], ...] = (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            RuntimeError,
            *damage,
        )
        self.names = list(dict.fromkeys(name for name in archive.namelist() if name.endswith(".json")))

    def read(self, name: str) -> Row | InvalidInput:
        """Return the object in a file of the archive, or what is wrong with it."""
        method = self._archive.getinfo(name).compress_type
        if method not in _READABLE and not (method == _ZSTD and self._reads_zstd):
            why, reason = f"is packed with method {method}, which cannot be read", "UNREADABLE_FILE"
            if method == _ZSTD:
                why, reason = "needs backports.zstd to be read: install judge with the extra [data]", "EXTRA_NEEDED"
            return self._wrong(name, why, reason)
        try:
            with self._archive.open(name) as file:
                text = file.read(LARGEST_DOCUMENT + 1)
        except self._damage as error:
            return self._wrong(name, f"is damaged: {error}", "DAMAGED_FILE")
        if len(text) > LARGEST_DOCUMENT:
            return self._wrong(name, f"is larger than {LARGEST_DOCUMENT:,} bytes", "ROW_TOO_LARGE")
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            return self._wrong(name, f"is not valid JSON: {error}", "NOT_JSON")
        if b"\\u" in text and has_half_character(row):
            return self._wrong(name, HALF_CHARACTER, "LONE_SURROGATE")
        return row if isinstance(row, dict) else self._wrong(name, "is not a JSON object", "NOT_JSON")

    def _wrong(self, name: str, why: str, reason: str) -> InvalidInput:
        return InvalidInput(self._path.name, f"{self._path} {name!r} {why}", reason=reason)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[JsonArchive]:
    """Open an archive. Raises InvalidInput if it cannot be read or has too many files."""
    module, damage = _reader()
    try:
        archive = module.ZipFile(path)
    except (module.BadZipFile, OSError, ValueError) as error:
        raise InvalidInput(path.name, f"{path} is cut off or damaged: {error}", reason="DAMAGED_FILE") from None
    with archive:
        if len(archive.namelist()) > MOST_MEMBERS:
            message = f"{path} holds more than {MOST_MEMBERS:,} files"
            raise InvalidInput(path.name, message, reason="TOO_MANY_FILES")
        yield JsonArchive(path, archive, damage)


def _reader() -> tuple[Any, tuple[type[Exception], ...]]:
    """Return the module that opens archives, and the error of a damaged member that it knows; none without zstd."""
    try:
        damage = zstd_module().ZstdError
        if sys.version_info >= (3, 14):
            return zipfile, (damage,)
        from backports.zstd import zipfile as with_zstd  # noqa: PLC0415  # of an extra
    except ImportError:
        return zipfile, ()
    return with_zstd, (damage, with_zstd.BadZipFile)


def rows(path: Path) -> Rows:
    """Yield the number, the name and the object of each JSON file of an archive, or what is wrong with it.

    Raises InvalidInput if the archive cannot be read, or holds no JSON file.
    """
    with opened(path) as archive:
        if not archive.names:
            raise InvalidInput(path.name, f"{path} is an archive without JSON files", reason="UNKNOWN_FORMAT")
        for number, name in enumerate(archive.names, 1):
            yield number, repr(name), archive.read(name)
