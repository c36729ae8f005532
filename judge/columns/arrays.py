"""Typed columns: the array types of this floor, and the one door through which columns from outside come in."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

Column = npt.NDArray[np.generic]


def codes(name: str, values: npt.ArrayLike, below: int) -> Ints:
    """The column *values* as int32[n], each from 0 to *below* - 1.

    Raises ValueError, naming the column by *name*, where it is not flat, not of integers or out of range.

    >>> codes("left", [2, 0, 1], 3)
    array([2, 0, 1], dtype=int32)
    """
    column = _flat(name, values)
    if column.size and (column.min() < 0 or column.max() >= below):
        raise ValueError(f"The column {name} holds a code outside 0 to {below - 1}.")
    return column.astype(np.int32, copy=False)


def outcomes(name: str, values: npt.ArrayLike) -> Codes:
    """The column *values* as int8[n] of outcome codes (0 left, 1 right, 2 tie).

    Raises ValueError, naming the column by *name*, where there is any other code.

    >>> outcomes("outcome", [0, 1, 2])
    array([0, 1, 2], dtype=int8)
    """
    column = _flat(name, values)
    if column.size and (column.min() < 0 or column.max() > 2):  # noqa: PLR2004 - the three outcome codes
        raise ValueError(f"The column {name} holds an unknown outcome: 0 is left, 1 is right and 2 is a tie.")
    return column.astype(np.int8, copy=False)


def weights(name: str, values: npt.ArrayLike) -> Floats:
    """The column *values* as float64[n] of weights.

    Raises ValueError, naming the column by *name*, where a weight is NaN, infinite or negative, or all are zero.

    >>> weights("weight", [1, 0.5])
    array([1. , 0.5])
    """
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise ValueError(f"The column {name} must be flat, not of {column.ndim} dimensions.")
    if not np.isfinite(column).all() or (column < 0).any():
        raise ValueError(f"The column {name} holds a weight that is NaN, infinite or negative.")
    if column.size and not column.any():
        raise ValueError(f"The column {name} holds nothing but zeros.")
    return column


def same_length(**columns: Column | None) -> int:
    """The common length of the *columns* (None is left out). Raises ValueError, naming them, where they differ.

    >>> same_length(left=np.arange(3), weight=None)
    3
    """
    lengths = {name: column.size for name, column in columns.items() if column is not None}
    if len(set(lengths.values())) != 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"The columns differ in length: {said}.")
    return next(iter(lengths.values()))


def sums(codes: npt.NDArray[np.integer], weight: Floats | None = None, size: int = 0) -> Floats:
    """How much *weight* (1 each, where None) falls on each code: float64[*size* or more].

    >>> sums(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 0.0, 5.0]
    """
    return np.bincount(codes, weight, size).astype(np.float64, copy=False)


def present(codes: npt.NDArray[np.integer]) -> Ints:
    """The codes that occur, sorted: `np.unique` for codes that are dense.

    >>> present(np.array([2, 0, 2])).tolist()
    [0, 2]
    """
    return np.flatnonzero(np.bincount(codes)).astype(np.int32)


def places(codes: npt.NDArray[np.integer], among: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Where each of *codes* stands in *among*, which are sorted and hold them all: `np.searchsorted` for dense codes.

    >>> places(np.array([7, 3, 7]), np.array([3, 5, 7])).tolist()
    [2, 0, 2]
    """
    place = np.zeros(int(among[-1]) + 1 if among.size else 0, dtype=np.intp)
    place[among] = np.arange(among.size)
    found: npt.NDArray[np.intp] = place[codes]
    return found


def rounded(values: Floats, places: int) -> Floats:
    """The *values* rounded to so many decimal *places*, with no negative zero.

    >>> rounded(np.array([-0.0001, 1.26]), 1).tolist()
    [0.0, 1.3]
    """
    return np.round(values, places) + 0.0


def _flat(name: str, values: npt.ArrayLike) -> npt.NDArray[np.integer]:
    column = np.asarray(values)
    if column.ndim != 1:
        raise ValueError(f"The column {name} must be flat, not of {column.ndim} dimensions.")
    if column.size == 0:
        return np.empty(0, dtype=np.int32)
    if column.dtype.kind not in "iu":
        raise ValueError(f"The column {name} must hold integers, not {column.dtype}.")
    return column
