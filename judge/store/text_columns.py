"""Many rows as one: each column's whole numbers as a text, so that no row becomes an object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, String, cast, func


def as_texts(columns: Iterable[ColumnElement[Any]]) -> list[ColumnElement[str]]:
    """What is selected for *columns* of whole numbers: one text each, of all rows in the same order."""
    return [func.aggregate_strings(cast(column, String), ",") for column in columns]


def as_numbers(texts: Iterable[str | None]) -> Sequence[NDArray[np.int64]]:
    """The numbers in each of *texts*, int64[n]; a column of no row is None."""
    return [np.fromstring(text or "", dtype=np.int64, sep=",") for text in texts]
