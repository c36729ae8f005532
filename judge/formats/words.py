"""The words of files and their meanings, for reading and for writing."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import TypeVar

from judge.domain.outcome import Order, Outcome, TieKind

E_ = TypeVar("E_", bound=IntEnum)

OUTCOMES: dict[str, tuple[Outcome, TieKind | None]] = {
    "left": (Outcome.LEFT, None),
    "a": (Outcome.LEFT, None),
    "model_a": (Outcome.LEFT, None),
    "model_1": (Outcome.LEFT, None),
    "right": (Outcome.RIGHT, None),
    "b": (Outcome.RIGHT, None),
    "model_b": (Outcome.RIGHT, None),
    "model_2": (Outcome.RIGHT, None),
    "tie": (Outcome.TIE, None),
    "tie (inconsistent)": (Outcome.TIE, TieKind.INCONSISTENT),
    "tie (bothbad)": (Outcome.TIE, TieKind.BOTH_BAD),
    "both_bad": (Outcome.TIE, TieKind.BOTH_BAD),
}
"""An outcome, and the kind of tie if the word says it."""
ORDERS = {
    "left": Order.LEFT_FIRST,
    "a": Order.LEFT_FIRST,
    "model_a": Order.LEFT_FIRST,
    "ab": Order.LEFT_FIRST,
    "right": Order.RIGHT_FIRST,
    "b": Order.RIGHT_FIRST,
    "model_b": Order.RIGHT_FIRST,
    "ba": Order.RIGHT_FIRST,
}
"""Which output was shown first. The first word of each order is the one that is written."""
BOTH = "both"
"""Used instead of an order for verdicts that merge both orders."""
ERROR = "error"
"""Used instead of an outcome for a reply that its source could not parse."""


def outcome(word: object) -> tuple[Outcome, TieKind | None]:
    """Return the outcome, and the kind of tie. Raises ValueError for an unknown word; it is never taken for a tie."""
    try:
        return OUTCOMES[str(word)]
    except KeyError:
        raise ValueError(f"has the unknown outcome {word!r:.60}; known are {', '.join(OUTCOMES)}") from None


def order(word: object) -> Order:
    """Return which output was shown first. Raises ValueError for an unknown word."""
    try:
        return ORDERS[str(word)]
    except KeyError:
        raise ValueError(f"has the unknown order {word!r:.60}; known are {', '.join(ORDERS)}") from None


def member(kind: type[E_], field: str, word: object) -> E_:
    """Return the member of *kind* that *word* names in lower case. Raises ValueError with the *field* if none does."""
    members: dict[str, E_] = _members(kind)
    if isinstance(word, str) and word in members:
        return members[word]
    raise ValueError(f"has the unknown {field} {word!r:.60}; known are {', '.join(members)}")


@lru_cache(maxsize=64)
def _members(kind: type[E_]) -> dict[str, E_]:
    """Return the members of *kind* by the words for them."""
    return {candidate.name.lower(): candidate for candidate in kind}


def word(noun: IntEnum) -> str:
    """Return the word that is read back as *noun*."""
    if isinstance(noun, Order):
        return next(written for written, order in ORDERS.items() if order is noun)
    return noun.name.lower()
