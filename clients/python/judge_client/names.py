"""Resource names. A bare name and a full one both do."""

from __future__ import annotations


def _full(collection: str, name: str) -> str:
    return name if not name or name.startswith(f"{collection}/") else f"{collection}/{name}"


def dataset_name(name: str) -> str:
    """`datasets/NAME`; empty stays empty."""
    return _full("datasets", name)


def judge_name(name: str) -> str:
    """`judges/NAME`; empty stays empty."""
    return _full("judges", name)


def run_name(name: str) -> str:
    """`runs/ID`; empty stays empty."""
    return _full("runs", name)


def resource_id(name: str) -> str:
    """The last part of a resource name."""
    return name.rpartition("/")[2]
