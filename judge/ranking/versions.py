"""The versions of the libraries that compute figures: another version may give another figure."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

DISTRIBUTIONS = {"judge": "judge-service", "numpy": "numpy", "scipy": "scipy"}


@lru_cache(maxsize=1)
def versions() -> MappingProxyType[str, str]:
    """The versions of Python and of each distribution; "unknown" for one that is not installed."""
    return MappingProxyType(
        {name: _version(distribution) for name, distribution in DISTRIBUTIONS.items()}
        | {"python": platform.python_version()}
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
