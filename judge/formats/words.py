"""The words of files and what they stand for: the one table, for reading and for writing."""

from __future__ import annotations

from enum import IntEnum
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
"""An outcome, and how a tie came about where the word says it."""
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
"""Who was shown first; the word that is written stands before its aliases."""
BOTH = "both"
"""Instead of an order: the verdicts of both orders, merged already."""
ERROR = "error"
"""Instead of an outcome: a reply that its source could not read."""


def outcome(word: object) -> tuple[Outcome, TieKind | None]:
    """What *word* stands for; ValueError for any other word, which is never a tie."""
    try:
        return OUTCOMES[str(word)]
    except KeyError:
        raise ValueError(f"has the unknown outcome {word!r:.60}") from None


def order(word: object) -> Order:
    """Who was shown first; ValueError for an unknown word."""
    try:
        return ORDERS[str(word)]
    except KeyError:
        raise ValueError(f"has the unknown order {word!r:.60}") from None


def member(kind: type[E_], field: str, word: object) -> E_:
    """The member of *kind* called *word*, in small letters; ValueError naming the *field* if there is none."""
    for candidate in kind:
        if word == candidate.name.lower():
            return candidate
    raise ValueError(f"has the unknown {field} {word!r:.60}")


def word(noun: IntEnum) -> str:
    """The word that is read back as *noun*."""
    if isinstance(noun, Order):
        return next(told for told, meant in ORDERS.items() if meant is noun)
    return noun.name.lower()
