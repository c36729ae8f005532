"""Packed files: the endings of their names, and zstd from wherever this Python has it."""

from __future__ import annotations

import sys
from typing import Any

PACKED = (".gz", ".zst")
"""What the names of packed files end with."""


def without_packing(name: str) -> str:
    """Return a file's name as it would be if the file were not packed.

    >>> without_packing("labels.csv.gz"), without_packing("labels.csv")
    ('labels.csv', 'labels.csv')
    """
    for ending in PACKED:
        name = name.removesuffix(ending)
    return name


def zstd_module() -> Any:  # noqa: ANN401  # one of two modules, of which only one can be checked
    """Return the module that reads and writes zstd. Raises ImportError if neither Python nor an extra has it."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415  # not in every build of Python
    else:
        from backports import zstd  # noqa: PLC0415  # of an extra
    return zstd
