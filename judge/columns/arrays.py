"""The array types of columns, and functions that check columns from callers and convert them to these types."""

import numpy as np
import numpy.typing as npt

from judge.columns.errors import ColumnError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

Column = npt.NDArray[np.generic]


_EXTREME = 128
"""Weights whose largest is above 2^128 or below 2^-128 are scaled."""


def codes(name: str, values: npt.ArrayLike, below: int) -> Ints:
    """The column *values* as int32[n], each from 0 to *below* - 1.

    Raises ColumnError, which names the column by *name*, if it is not flat, holds no integers, or is out of range.

    >>> codes("left", [2, 0, 1], 3)
    array([2, 0, 1], dtype=int32)
    """
    column = _flat(name, values)
    if column.size and (column.min() < 0 or column.max() >= below):
        raise ColumnError(f"The column {name} holds a code outside 0 to {below - 1}.")
    return column.astype(np.int32, copy=False)


def outcomes(name: str, values: npt.ArrayLike) -> Codes:
    """The column *values* as int8[n] of outcome codes (0 left, 1 right, 2 tie).

    Raises ColumnError, which names the column by *name*, if there is any other code.

    >>> outcomes("outcome", [0, 1, 2])
    array([0, 1, 2], dtype=int8)
    """
    column = _flat(name, values)
    if column.size and (column.min() < 0 or column.max() > 2):  # noqa: PLR2004 - the three outcome codes
        raise ColumnError(f"The column {name} holds an unknown outcome: 0 is left, 1 is right and 2 is a tie.")
    return column.astype(np.int8, copy=False)


def weights(name: str, values: npt.ArrayLike) -> Floats:
    """The column *values* as float64[n] of weights.

    Raises ColumnError, which names the column by *name*, if a weight is NaN, infinite or negative, or all are zero.

    >>> weights("weight", [1, 0.5])
    array([1. , 0.5])
    """
    try:
        column = np.asarray(values, dtype=np.float64)
    except ValueError as error:
        raise ColumnError(f"The column {name} must hold numbers: {error}.") from None
    if column.ndim != 1:
        raise ColumnError(f"The column {name} must be flat, not of {column.ndim} dimensions.")
    if not np.isfinite(column).all() or (column < 0).any():
        raise ColumnError(f"The column {name} holds a weight that is NaN, infinite or negative.")
    if column.size and not column.any():
        raise ColumnError(f"The column {name} holds nothing but zeros.")
    # Their scale changes no result, but sums and squares of extreme ones would leave the range of floats.
    exponent = int(np.frexp(column.max(initial=0.0))[1])
    return np.ldexp(column, -exponent) if abs(exponent) > _EXTREME else column


def same_length(**columns: Column | None) -> int:
    """The common length of the *columns*, ignoring those that are None.

    Raises ColumnError, which names each column with its length, if they differ.

    >>> same_length(left=np.arange(3), weight=None)
    3
    """
    lengths = {name: column.size for name, column in columns.items() if column is not None}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ColumnError(f"The columns differ in length: {listed}.")
    return next(iter(lengths.values()))


def sums(codes: npt.NDArray[np.integer], weight: Floats | None = None, size: int = 0) -> Floats:
    """The sum of *weight* (1 each if None) for each code, float64[*size* or more].

    >>> sums(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 0.0, 5.0]
    """
    return np.bincount(codes, weight, size).astype(np.float64, copy=False)


def present(*columns: npt.NDArray[np.integer]) -> Ints:
    """The distinct codes of all *columns*, each from 0 on, sorted, int32[k].

    For dense codes that are all different, `np.unique` needs fifty times as long.

    >>> present(np.array([2, 0, 2]), np.array([4])).tolist()
    [0, 2, 4]
    """
    used = np.zeros(1 + max(int(column.max(initial=-1)) for column in columns), dtype=np.bool_)
    for column in columns:
        used[column] = True
    return np.flatnonzero(used).astype(np.int32)


def places(codes: npt.NDArray[np.integer], among: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """The position of each of *codes* in *among*, which is sorted and contains them all.

    Faster than `np.searchsorted` for dense codes.

    >>> places(np.array([7, 3, 7]), np.array([3, 5, 7])).tolist()
    [2, 0, 2]
    """
    place = np.zeros(int(among[-1]) + 1 if among.size else 0, dtype=np.intp)
    place[among] = np.arange(among.size)
    positions: npt.NDArray[np.intp] = place[codes]
    return positions


def round_to(values: Floats, places: int) -> Floats:
    """The *values* rounded to that number of decimal *places*, without negative zeros.

    >>> round_to(np.array([-0.0001, 1.26]), 1).tolist()
    [0.0, 1.3]
    """
    return np.round(values, places) + 0.0


def _flat(name: str, values: npt.ArrayLike) -> npt.NDArray[np.integer]:
    try:
        column = np.asarray(values)
    except ValueError as error:
        raise ColumnError(f"The column {name} must be flat: {error}.") from None
    if column.ndim != 1:
        raise ColumnError(f"The column {name} must be flat, not of {column.ndim} dimensions.")
    if column.size == 0:
        return np.empty(0, dtype=np.int32)
    if column.dtype.kind not in "iu":
        raise ColumnError(f"The column {name} must hold integers, not {column.dtype}.")
    return column
