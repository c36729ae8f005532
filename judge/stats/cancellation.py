"""Cancellation: long computations check before each batch of resamples whether anybody still waits for the result.

`while_wanted` sets the check for the current context, usually a thread. Without it, a computation always finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_wanted: ContextVar[Callable[[], bool] | None] = ContextVar("wanted", default=None)


class Abandoned(Exception):
    """A computation ended because nobody waits for its result any more."""


@contextmanager
def while_wanted(wanted: Callable[[], bool]) -> Iterator[None]:
    """Let computations inside the block continue only while *wanted* returns true.

    >>> with while_wanted(lambda: True):
    ...     go_on()
    """
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def go_on() -> None:
    """Return if the computation should continue; otherwise raise Abandoned.

    >>> go_on()
    """
    wanted = _wanted.get()
    if wanted is not None and not wanted():
        raise Abandoned
