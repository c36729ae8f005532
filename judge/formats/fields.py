"""The fields of a row. ValueError says what is wrong with one, KeyError which is missing; null is missing too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
LARGEST = 2**31 - 1
"""The largest whole number of a row; the wire has 32 bits for it."""


def first(row: Row, *names: str) -> Any:  # noqa: ANN401  # JSON
    """The value under the first of *names* that is there, or None."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def needed(row: Row, *names: str) -> Any:  # noqa: ANN401  # JSON
    """The value under the first of *names* that is there."""
    found = first(row, *names)
    if found is None:
        raise KeyError(names[0])
    return found


def name(row: Row, *names: str) -> str:
    """A name, which may be written as a whole number."""
    found = needed(row, *names)
    if type(found) not in (str, int):
        raise ValueError(f"has a {names[0]} that is no name: {found!r:.60}")
    return str(found)


def text(row: Row, *names: str) -> str | None:
    """A text, or None."""
    found = first(row, *names)
    if found is not None and not isinstance(found, str):
        raise ValueError(f"has a {names[0]} that is no text: {found!r:.60}")
    return found


def texts(row: Row, field: str) -> tuple[str, ...]:
    """A list of texts; empty if it is missing."""
    found = first(row, field)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise ValueError(f"has {field} that are no list of texts")
    return tuple(found)


def rows(row: Row, field: str) -> list[Row]:
    """A list of objects, not empty."""
    found = needed(row, field)
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"has {field} that are no list of objects")
    return found


def whole(row: Row, field: str, missing: int = 0, least: int = 0) -> int:
    """A whole number from *least* on; *missing* if it is not there."""
    found = first(row, field)
    if found is None:
        return missing
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= LARGEST:
        raise ValueError(f"has a {field} that is no whole number from {least} on: {found!r:.60}")
    return found


def turn(row: Row) -> int:
    """The turn judged, the first one unless said."""
    return whole(row, "turn", missing=1, least=1)


def number(row: Row, field: str) -> float | None:
    """A finite number, or None."""
    found = first(row, field)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise ValueError(f"has a {field} that is no finite number: {found!r:.60}")
    return float(found)


def flag(row: Row, field: str) -> bool:
    """True or false; false if it is missing."""
    found = first(row, field)
    if found is not None and type(found) is not bool:
        raise ValueError(f"has a {field} that is neither true nor false: {found!r:.60}")
    return found is True
