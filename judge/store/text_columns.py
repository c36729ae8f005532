"""Columns of integers as texts: many rows are read as one, so that no row becomes a Python object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, String, cast, func


def as_texts(columns: Iterable[ColumnElement[Any]]) -> list[ColumnElement[str]]:
    """Return what to select for *columns* of integers: one text for each, with all rows in the same order."""
    return [func.aggregate_strings(cast(column, String), ",") for column in columns]


def as_numbers(texts: Iterable[str | None]) -> Sequence[NDArray[np.int64]]:
    """Return the numbers in each of *texts*, int64[n]. A text is None if there are no rows."""
    return [np.fromstring(text or "", dtype=np.int64, sep=",") for text in texts]
