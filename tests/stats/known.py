"""A check for figures that may be missing."""

from typing import TypeVar

T = TypeVar("T")


def known(figure: T | None) -> T:
    """Return a figure, which must not be None."""
    assert figure is not None
    return figure
