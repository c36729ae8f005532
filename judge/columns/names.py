"""From names to codes, quickly: most of the time of ranking battles given by name goes here.

A dictionary of codes written as bytes, asked for some thousands of names at a time and joined, is twice as fast as one
that gives numbers: no Python integer is made or unpacked for a row, and the rows in hand stay in the processor's cache.
"""

import sys
from collections.abc import Hashable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Codes, Ints

if TYPE_CHECKING:
    import polars as pl
    from typing_extensions import TypeIs

Name = TypeVar("Name", bound=Hashable)


class Arrow(Protocol):
    """A column that gives itself away by Arrow's C interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The column, as a capsule."""


_ROWS = 1 << 11
_SAMPLE = 1 << 14
_SEEDS, _SLOTS = 8, 1 << 16
_SHIFT = np.uint64(48)
"""A few hundred names are told apart by 16 bits of a hash, for one seed or another; then all 64 are compared."""


def coded(*columns: Sequence[Name] | Arrow) -> tuple[tuple[Name, ...], tuple[Ints, ...]]:
    """The distinct names of all *columns*, sorted, and each column as int32[n], the places of its names among them.

    Names that can't be compared with each other are sorted by what `repr` makes of them. Columns of Arrow (of pyarrow,
    polars or whatever else has its C interface) are read by polars; they hold texts, and ValueError names what doesn't.

    >>> names, (column,) = coded(["q2", "q1", "q2"])
    >>> names, column.tolist()
    (('q1', 'q2'), [1, 0, 1])
    """
    # Most often every name is among the first rows; to collect them from all rows costs as much as to code a column.
    if all(map(is_arrow, columns)):
        return _coded_by_arrow([arrow(column) for column in columns])
    listed = [arrow(column).to_list() if is_arrow(column) else column for column in columns]
    first = set[Name]().union(*(column[:_SAMPLE] for column in listed))
    try:
        return _coded(first, listed)
    except KeyError:
        return _coded(set[Name]().union(*listed), listed)


def _coded(distinct: set[Name], columns: Sequence[Sequence[Name]]) -> tuple[tuple[Name, ...], tuple[Ints, ...]]:
    try:
        ordered = sorted(distinct)  # type: ignore[type-var]  # names that can't be compared are caught
    except TypeError:
        ordered = sorted(distinct, key=repr)
    table = {name: code.to_bytes(4, sys.byteorder) for code, name in enumerate(ordered)}
    return tuple(ordered), tuple(np.frombuffer(_joined(column, table), dtype=np.int32) for column in columns)


def looked_up(column: Sequence[str] | Arrow, codes: Mapping[str, int]) -> Codes:
    """The small code of each word of *column*, int8[n]. Raises KeyError with the first word that has none.

    >>> looked_up(["tie", "left"], {"left": 0, "tie": 2}).tolist()
    [2, 0]
    """
    if is_arrow(column):
        return _looked_up_by_arrow(arrow(column), codes)
    table = {word: bytes((code,)) for word, code in codes.items()}
    return np.frombuffer(_joined(column, table), dtype=np.int8)


def _joined(column: Sequence[Name], table: Mapping[Name, bytes]) -> bytes:
    """What *table* has for each of *column*, one after the other."""
    return b"".join([_taken(column[start : start + _ROWS], table) for start in range(0, len(column), _ROWS)])


def _taken(names: Sequence[Name], table: Mapping[Name, bytes]) -> bytes:
    # itemgetter gives no tuple for a single name.
    return b"".join(itemgetter(*names)(table)) if len(names) > 1 else table[names[0]]


def is_arrow(column: object) -> "TypeIs[Arrow]":
    """Whether *column* can be read by Arrow's C interface (the PyCapsule protocol).

    >>> is_arrow(["a"])
    False
    """
    return hasattr(column, "__arrow_c_stream__") or hasattr(column, "__arrow_c_array__")


def arrow(column: Any) -> "pl.Series":  # noqa: ANN401 - Arrow's interface has no type of its own
    """A *column* of Arrow as a polars series of texts. Raises ValueError where it holds something else, or nulls.

    >>> import polars as pl
    >>> arrow(pl.Series(["a", "b"])).to_list()
    ['a', 'b']
    """
    import polars as pl  # noqa: PLC0415 - of an extra, and slow to import

    series = pl.Series(column)
    if series.dtype not in {pl.String, pl.Categorical, pl.Enum}:
        raise ValueError(f"A column of names holds texts, and not {series.dtype}.")
    if series.null_count():
        raise ValueError(f"A column of names has {series.null_count()} empty places.")
    return series


def _coded_by_arrow(columns: "Sequence[pl.Series]") -> tuple[tuple[Any, ...], tuple[Ints, ...]]:
    import polars as pl  # noqa: PLC0415 - as above

    def known(parts: "Sequence[pl.Series]") -> list[str]:
        return sorted(set[str]().union(*(part.cast(pl.String).unique().to_list() for part in parts)))

    names = known([column[:_SAMPLE] for column in columns])
    try:
        return tuple(names), tuple(_placed(column, names) for column in columns)
    except (KeyError, pl.exceptions.InvalidOperationError):
        names = known(columns)
        return tuple(names), tuple(_placed(column, names) for column in columns)


def _placed(column: "pl.Series", names: Sequence[str]) -> Ints:
    """The place of each of the texts of *column* among *names*, int32[n]. An error of polars, or KeyError, if none."""
    import polars as pl  # noqa: PLC0415 - as above

    if column.dtype == pl.String:
        for seed in range(_SEEDS):
            own = pl.Series(names, dtype=pl.String).hash(seed).to_numpy()
            if np.unique(own >> _SHIFT).size == own.size:
                return _by_hash(column.hash(seed).to_numpy(), own)
    return column.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)


def _by_hash(hashes: npt.NDArray[np.uint64], own: npt.NDArray[np.uint64]) -> Ints:
    """The place of each of *hashes* among the names' *own*, which differ in what a table is looked up by."""
    table = np.zeros(_SLOTS, dtype=np.int32)
    table[own >> _SHIFT] = np.arange(own.size)
    places: Ints = table.take(hashes >> _SHIFT)
    if (own.take(places) != hashes).any():
        raise KeyError("a name that is none of those known")
    return places


def _looked_up_by_arrow(column: "pl.Series", codes: Mapping[str, int]) -> Codes:
    found = np.full(len(column), -1, dtype=np.int8)
    for word, code in codes.items():
        found += (column == word).to_numpy().view(np.int8) * np.int8(code + 1)
    if (found < 0).any():
        raise KeyError(column[int((found < 0).argmax())])
    return found


def first_comers(columns: Sequence[npt.NDArray[np.integer]]) -> tuple[Ints, Ints]:
    """Of n rows of integer *columns*, where each distinct one comes first, in that order; and int32[n], which it is.

    >>> first, which = first_comers([np.array([5, 7, 5]), np.array([1, 1, 1])])
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
