"""What nobody waits for any more ends: long computations ask at each batch of resamples whether to go on.

Whoever computes in a thread says how to tell, for that thread; where nobody says, everything is computed to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_wanted: ContextVar[Callable[[], bool] | None] = ContextVar("wanted", default=None)


class Abandoned(Exception):
    """Nobody waits for what was being computed."""


@contextmanager
def while_wanted(wanted: Callable[[], bool]) -> Iterator[None]:
    """What is computed inside goes on as long as *wanted* says so.

    >>> with while_wanted(lambda: True):
    ...     go_on()
    """
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def go_on() -> None:
    """Return if somebody waits for what is being computed, or else raise Abandoned.

    >>> go_on()
    """
    wanted = _wanted.get()
    if wanted is not None and not wanted():
        raise Abandoned
