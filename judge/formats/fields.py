"""Read the fields of a row. A wrong value raises ValueError, which has the field as the file calls it, or KeyError."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
LARGEST = 2**31 - 1
"""The largest integer of a row; the API has 32 bits for it."""


class TextRow(dict[str, Any]):
    """A row of a table whose cells are all texts, from which numbers and lists are read."""


def first(row: Row, *names: str) -> Any:  # noqa: ANN401  # JSON
    """Return the value of the first of *names* that is present, or None."""
    for name in names:
        value = row.get(name)
        if value is not None:
            return value
    return None


def needed(row: Row, *names: str) -> Any:  # noqa: ANN401  # JSON
    """Return the value of the first of *names* that is present. Raises KeyError with all of them if none is."""
    value = first(row, *names)
    if value is None:
        raise KeyError(" or ".join(names))
    return value


def _called(row: Row, *names: str) -> str:
    """Return the name of *names* that the file uses."""
    return next((name for name in names if row.get(name) is not None), names[0])


def _wrong(row: Row, names: tuple[str, ...], value: object, what: str) -> ValueError:
    return ValueError(f"has an invalid {_called(row, *names)}: {value!r:.60} is not {what}")


def name(row: Row, *names: str) -> str:
    """Read a name. It may be written as an integer, also as one with a zero after the point: 81.0 is 81."""
    value = needed(row, *names)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) not in (str, int):
        raise _wrong(row, names, value, "a name")
    return str(value)


def identifier(row: Row, *names: str) -> str:
    """Read a name that may be a number. In a table of texts, too, 81.0 is 81."""
    value = name(row, *names)
    whole, point, zeros = value.partition(".")
    return whole if point and isinstance(row, TextRow) and not zeros.strip("0") and whole.isdecimal() else value


def text(row: Row, *names: str) -> str | None:
    """Read a text; None if it is missing."""
    value = first(row, *names)
    if value is not None and not isinstance(value, str):
        raise _wrong(row, names, value, "a text")
    return value


def needed_text(row: Row, *names: str) -> str:
    """Read a text, which may be empty. Raises KeyError if it is missing."""
    needed(row, *names)
    return text(row, *names) or ""


def texts(row: Row, field: str) -> tuple[str, ...]:
    """Read a list of texts; empty if it is missing. In a table of texts, it is written as a JSON list."""
    value = _parsed(row, field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _wrong(row, (field,), value, "a list of texts")
    return tuple(value)


def rows(row: Row, field: str) -> list[Row]:
    """Read a list of objects, which must not be empty."""
    value = needed(row, field)
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise _wrong(row, (field,), value, "a list of objects")
    return value


def whole(row: Row, field: str, missing: int = 0, least: int = 0) -> int:
    """Read an integer of at least *least*; *missing* if it is missing."""
    value = _parsed(row, field)
    if value is None:
        return missing
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
        raise _wrong(row, (field,), value, f"an integer from {least} to {LARGEST:,}")
    return value


def turn(row: Row) -> int:
    """Read the turn; 1 if it is missing."""
    return whole(row, "turn", missing=1, least=1)


def number(row: Row, field: str) -> float | None:
    """Read a finite number; None if it is missing."""
    value = _parsed(row, field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _wrong(row, (field,), value, "a finite number")
    return float(value)


def flag(row: Row, field: str) -> bool:
    """Read true or false; false if it is missing."""
    value = _parsed(row, field)
    if value is not None and type(value) is not bool:
        raise _wrong(row, (field,), value, "true or false")
    return value is True


def _parsed(row: Row, field: str) -> Any:  # noqa: ANN401  # JSON
    """Return the value of a field; in a table of texts, what the text says as JSON, or else the text."""
    value = first(row, field)
    if not isinstance(row, TextRow) or not isinstance(value, str):
        return value
    try:
        return json.loads(value.lower() if value in ("True", "False") else value)
    except (ValueError, RecursionError):
        return value
