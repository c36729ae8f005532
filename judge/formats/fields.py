"""Read the fields of a row. A wrong value raises ValueError, a missing field or null KeyError."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
LARGEST = 2**31 - 1
"""The largest integer of a row; the API has 32 bits for it."""


def first(row: Row, *names: str) -> Any:  # noqa: ANN401  # JSON
    """Return the value of the first of *names* that is present, or None."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def needed(row: Row, *names: str) -> Any:  # noqa: ANN401  # JSON
    """Return the value of the first of *names* that is present. Raises KeyError if none is."""
    value = first(row, *names)
    if value is None:
        raise KeyError(names[0])
    return value


def name(row: Row, *names: str) -> str:
    """Read a name. It may be written as an integer."""
    value = needed(row, *names)
    if type(value) not in (str, int):
        raise ValueError(f"has an invalid {names[0]}: {value!r:.60} is not a name")
    return str(value)


def text(row: Row, *names: str) -> str | None:
    """Read a text; None if it is missing."""
    value = first(row, *names)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"has an invalid {names[0]}: {value!r:.60} is not a text")
    return value


def texts(row: Row, field: str) -> tuple[str, ...]:
    """Read a list of texts; empty if it is missing."""
    value = first(row, field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError(f"has an invalid {field}: {value!r:.60} is not a list of texts")
    return tuple(value)


def rows(row: Row, field: str) -> list[Row]:
    """Read a list of objects, which must not be empty."""
    value = needed(row, field)
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise ValueError(f"has an invalid {field}: {value!r:.60} is not a list of objects")
    return value


def whole(row: Row, field: str, missing: int = 0, least: int = 0) -> int:
    """Read an integer of at least *least*; *missing* if it is missing."""
    value = first(row, field)
    if value is None:
        return missing
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
        raise ValueError(f"has an invalid {field}: {value!r:.60} is not an integer from {least} to {LARGEST:,}")
    return value


def turn(row: Row) -> int:
    """Read the turn; 1 if it is missing."""
    return whole(row, "turn", missing=1, least=1)


def number(row: Row, field: str) -> float | None:
    """Read a finite number; None if it is missing."""
    value = first(row, field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"has an invalid {field}: {value!r:.60} is not a finite number")
    return float(value)


def flag(row: Row, field: str) -> bool:
    """Read true or false; false if it is missing."""
    value = first(row, field)
    if value is not None and type(value) is not bool:
        raise ValueError(f"has an invalid {field}: {value!r:.60} is neither true nor false")
    return value is True
