"""From names to codes, quickly: most of the time of ranking battles given by name goes here.

A dictionary of codes written as bytes, asked for some thousands of names at a time and joined, is twice as fast as one
that gives numbers: no Python integer is made or unpacked for a row, and the rows in hand stay in the processor's cache.
"""

import sys
from collections.abc import Hashable, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar

import numpy as np

from judge.stats.arrays import Codes, Ints

Name = TypeVar("Name", bound=Hashable)

_ROWS = 1 << 11
_SAMPLE = 1 << 14


def coded(*columns: Sequence[Name]) -> tuple[tuple[Name, ...], tuple[Ints, ...]]:
    """The distinct names of all *columns*, sorted, and each column as int32[n], the places of its names among them.

    Names that can't be compared with each other are sorted by what `repr` makes of them.

    >>> names, (column,) = coded(["q2", "q1", "q2"])
    >>> names, column.tolist()
    (('q1', 'q2'), [1, 0, 1])
    """
    # Most often every name is among the first rows; to collect them from all rows costs as much as to code a column.
    first = set[Name]().union(*(column[:_SAMPLE] for column in columns))
    try:
        return _coded(first, columns)
    except KeyError:
        return _coded(set[Name]().union(*columns), columns)


def _coded(distinct: set[Name], columns: Sequence[Sequence[Name]]) -> tuple[tuple[Name, ...], tuple[Ints, ...]]:
    try:
        ordered = sorted(distinct)  # type: ignore[type-var]  # names that can't be compared are caught
    except TypeError:
        ordered = sorted(distinct, key=repr)
    table = {name: code.to_bytes(4, sys.byteorder) for code, name in enumerate(ordered)}
    return tuple(ordered), tuple(np.frombuffer(_joined(column, table), dtype=np.int32) for column in columns)


def looked_up(column: Sequence[str], codes: Mapping[str, int]) -> Codes:
    """The small code of each word of *column*, int8[n]. Raises KeyError with the first word that has none."""
    table = {word: bytes((code,)) for word, code in codes.items()}
    return np.frombuffer(_joined(column, table), dtype=np.int8)


def _joined(column: Sequence[Name], table: Mapping[Name, bytes]) -> bytes:
    """What *table* has for each of *column*, one after the other."""
    return b"".join([_taken(column[start : start + _ROWS], table) for start in range(0, len(column), _ROWS)])


def _taken(names: Sequence[Name], table: Mapping[Name, bytes]) -> bytes:
    # itemgetter gives no tuple for a single name.
    return b"".join(itemgetter(*names)(table)) if len(names) > 1 else table[names[0]]
