"""Resource names. Bare names and full names are both accepted."""

from __future__ import annotations


def _full(collection: str, name: str) -> str:
    return name if not name or name.startswith(f"{collection}/") else f"{collection}/{name}"


def dataset_name(name: str) -> str:
    """Return `datasets/NAME`. An empty name stays empty."""
    return _full("datasets", name)


def judge_name(name: str) -> str:
    """Return `judges/NAME`. An empty name stays empty."""
    return _full("judges", name)


def run_name(name: str) -> str:
    """Return `runs/ID`. An empty name stays empty."""
    return _full("runs", name)


def resource_id(name: str) -> str:
    """Return the last part of a resource name."""
    return name.rpartition("/")[2]
