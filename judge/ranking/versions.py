"""The versions of what computes: a number that differs may differ because of them."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

DISTRIBUTIONS = {"judge": "judge-service", "numpy": "numpy", "scipy": "scipy"}


@lru_cache(maxsize=1)
def versions() -> MappingProxyType[str, str]:
    """Python's version and that of each of our distributions; "unknown" where it runs from bare files."""
    return MappingProxyType(
        {name: _version(distribution) for name, distribution in DISTRIBUTIONS.items()}
        | {"python": platform.python_version()}
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
