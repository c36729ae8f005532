"""Turn names into integer codes. Ranking battles given by name spends most of its time here, so it has to be fast.

The code of each name is kept as bytes. Some thousands of names are looked up at a time and their bytes are joined. That
is twice as fast as looking up integers: no Python integer is made for a row, and a block fits the processor's cache.
"""

import sys
from collections.abc import Hashable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Codes, Ints
from judge.columns.errors import ColumnError

if TYPE_CHECKING:
    import polars as pl
    from typing_extensions import TypeIs

Name = TypeVar("Name", bound=Hashable)


class Arrow(Protocol):
    """A column that exports its data through Arrow's C interface (the PyCapsule protocol)."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the column as a capsule."""


_ROWS = 1 << 11
_SAMPLE = 1 << 14
_SEEDS, _SLOTS = 8, 1 << 16
_SHIFT = np.uint64(48)
"""The first 16 bits of a hash differ for a few hundred names with one seed or another; then all 64 are compared."""


def encode_names(*columns: Sequence[Name] | Arrow) -> tuple[tuple[Name, ...], tuple[Ints, ...]]:
    """The distinct names of all *columns*, sorted, and each column as int32[n], the positions of its names among them.

    Names that can't be compared with each other are sorted by their `repr`. Arrow columns (of pyarrow, polars, or
    anything else with Arrow's C interface) are read by polars. Raises ColumnError if one doesn't hold texts.

    >>> names, (column,) = encode_names(["q2", "q1", "q2"])
    >>> names, column.tolist()
    (('q1', 'q2'), [1, 0, 1])
    """
    # Usually the first rows have every name. Collecting the names of all rows takes as long as encoding a column.
    if all(map(is_arrow, columns)):
        return _encode_arrow([arrow(column) for column in columns])
    listed = [arrow(column).to_list() if is_arrow(column) else column for column in columns]
    first = set[Name]().union(*(column[:_SAMPLE] for column in listed))
    try:
        return _encode(first, listed)
    except KeyError:
        return _encode(set[Name]().union(*listed), listed)


def _encode(distinct: set[Name], columns: Sequence[Sequence[Name]]) -> tuple[tuple[Name, ...], tuple[Ints, ...]]:
    try:
        ordered = sorted(distinct)  # type: ignore[type-var]  # names that can't be compared are caught
    except TypeError:
        ordered = sorted(distinct, key=repr)
    table = {name: code.to_bytes(4, sys.byteorder) for code, name in enumerate(ordered)}
    return tuple(ordered), tuple(np.frombuffer(_join_codes(column, table), dtype=np.int32) for column in columns)


def look_up_codes(column: Sequence[str] | Arrow, codes: Mapping[str, int]) -> Codes:
    """The code of each word of *column* in *codes*, int8[n]. Raises KeyError with the first word that has no code.

    >>> look_up_codes(["tie", "left"], {"left": 0, "tie": 2}).tolist()
    [2, 0]
    """
    if is_arrow(column):
        return _look_up_arrow(arrow(column), codes)
    table = {word: bytes((code,)) for word, code in codes.items()}
    return np.frombuffer(_join_codes(column, table), dtype=np.int8)


def _join_codes(column: Sequence[Name], table: Mapping[Name, bytes]) -> bytes:
    """The bytes that *table* has for each name of *column*, joined."""
    return b"".join([_join_block(column[start : start + _ROWS], table) for start in range(0, len(column), _ROWS)])


def _join_block(names: Sequence[Name], table: Mapping[Name, bytes]) -> bytes:
    # itemgetter returns no tuple for a single name.
    return b"".join(itemgetter(*names)(table)) if len(names) > 1 else table[names[0]]


def is_arrow(column: object) -> "TypeIs[Arrow]":
    """Whether *column* can be read through Arrow's C interface (the PyCapsule protocol).

    >>> is_arrow(["a"])
    False
    """
    return hasattr(column, "__arrow_c_stream__") or hasattr(column, "__arrow_c_array__")


def arrow(column: Any) -> "pl.Series":  # noqa: ANN401 - Arrow's interface has no type of its own
    """The Arrow *column* as a polars series of texts. Raises ColumnError if it holds something else, or nulls.

    >>> import polars as pl
    >>> arrow(pl.Series(["a", "b"])).to_list()
    ['a', 'b']
    """
    import polars as pl  # noqa: PLC0415 - of an extra, and slow to import

    series = pl.Series(column)
    if series.dtype not in {pl.String, pl.Categorical, pl.Enum}:
        raise ColumnError(f"A column of names must hold texts, not {series.dtype}.")
    if series.null_count():
        raise ColumnError(f"A column of names must have no nulls, but has {series.null_count():,}.")
    return series


def _encode_arrow(columns: "Sequence[pl.Series]") -> tuple[tuple[Any, ...], tuple[Ints, ...]]:
    import polars as pl  # noqa: PLC0415 - as above

    def distinct(parts: "Sequence[pl.Series]") -> list[str]:
        return sorted(set[str]().union(*(part.cast(pl.String).unique().to_list() for part in parts)))

    names = distinct([column[:_SAMPLE] for column in columns])
    try:
        return tuple(names), tuple(_positions(column, names) for column in columns)
    except (KeyError, pl.exceptions.InvalidOperationError):
        names = distinct(columns)
        return tuple(names), tuple(_positions(column, names) for column in columns)


def _positions(column: "pl.Series", names: Sequence[str]) -> Ints:
    """The position of each text of *column* in *names*, int32[n].

    Raises KeyError, or polars' InvalidOperationError, if *names* lacks one.
    """
    import polars as pl  # noqa: PLC0415 - as above

    if column.dtype == pl.String:
        for seed in range(_SEEDS):
            own = pl.Series(names, dtype=pl.String).hash(seed).to_numpy()
            if np.unique(own >> _SHIFT).size == own.size:
                return _positions_by_hash(column.hash(seed).to_numpy(), own)
    return column.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)


def _positions_by_hash(hashes: npt.NDArray[np.uint64], own: npt.NDArray[np.uint64]) -> Ints:
    """The position of each of *hashes* in *own*, the hashes of the names, which differ in their first 16 bits."""
    table = np.zeros(_SLOTS, dtype=np.int32)
    table[own >> _SHIFT] = np.arange(own.size)
    places: Ints = table.take(hashes >> _SHIFT)
    if (own.take(places) != hashes).any():
        raise KeyError("a name is missing from the known names")
    return places


def _look_up_arrow(column: "pl.Series", codes: Mapping[str, int]) -> Codes:
    row_codes = np.full(len(column), -1, dtype=np.int8)
    for word, code in codes.items():
        row_codes += (column == word).to_numpy().view(np.int8) * np.int8(code + 1)
    if (row_codes < 0).any():
        raise KeyError(column[int((row_codes < 0).argmax())])
    return row_codes


def first_occurrences(columns: Sequence[npt.NDArray[np.integer]]) -> tuple[Ints, Ints]:
    """The first row of each distinct combination of values, int32[k], and the combination of each row, int32[n].

    Combinations are numbered in the order of first occurrence.

    >>> first, which = first_occurrences([np.array([5, 7, 5]), np.array([1, 1, 1])])
    >>> first.tolist(), which.tolist()
    ([0, 1], [0, 1, 0])
    """
    key = np.zeros(columns[0].size, dtype=np.int64)
    size = 1
    for column in columns if key.size else ():
        least, wide = int(column.min()), int(np.ptp(column)) + 1
        if size * wide >= np.iinfo(np.int64).max // 2:
            distinct, key = np.unique(key, return_inverse=True)
            size = distinct.size
        key = key * wide + (column - least)
        size *= wide
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(order.size, dtype=np.int32)
    place[order] = np.arange(order.size, dtype=np.int32)
    return first[order].astype(np.int32), place[which]
