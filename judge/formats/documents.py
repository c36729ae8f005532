"""Rows that hang inside a JSON document, such as the results of an export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from judge.domain.errors import InvalidInput
from judge.formats.containers import FileRow, rows_of
from judge.formats.fields import Row


def inside(row: Row, *names: str) -> list[Row]:
    """Return the objects of a list inside an object; empty if there is no such list, or an entry is no object.

    >>> inside({"results": {"results": [{"score": 1}]}}, "results", "results")
    [{'score': 1}]
    """
    value = _at(row, names)
    return value if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else []


def _at(row: Row, names: Sequence[str]) -> Any:  # noqa: ANN401  # JSON
    """Return what is at the end of a path of *names*; None if there is nothing."""
    value: Any = row
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def rows_inside(path: Path, names: Sequence[str]) -> Iterator[FileRow]:
    """Yield the entries of a list inside each document of a file, with their number in it.

    Raises InvalidInput as `rows_of` does.
    """
    for place, number, row in rows_of(path):
        if isinstance(row, InvalidInput):
            yield FileRow(place, number, row)
            continue
        value = _at(row, names)
        if not isinstance(value, list):
            yield FileRow(place, number, _wrong(path, f"{place} has no list {'.'.join(names)}"))
            continue
        for position, entry in enumerate(value, 1):
            here = f"{names[-1]} {position}"
            is_row = isinstance(entry, dict)
            yield FileRow(here, position, entry if is_row else _wrong(path, f"{here} is not a JSON object"))


def _wrong(path: Path, why: str) -> InvalidInput:
    return InvalidInput(path.name, f"{path} {why}", reason="INVALID_ROW")
