"""Outcomes, statuses and states. The numbers are those of the wire and of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum


class Outcome(IntEnum):
    """Who of two contestants did better, in the comparison's own orientation."""

    LEFT = 1
    """The left output is better."""
    RIGHT = 2
    """The right output is better."""
    TIE = 3
    """Neither is better."""

    @property
    def flipped(self) -> Outcome:
        """The same outcome with left and right exchanged."""
        return _FLIPPED[self]


_FLIPPED = {Outcome.LEFT: Outcome.RIGHT, Outcome.RIGHT: Outcome.LEFT, Outcome.TIE: Outcome.TIE}


class Order(IntEnum):
    """Which of a comparison's two outputs is shown first."""

    LEFT_FIRST = 1
    """The left output is shown first."""
    RIGHT_FIRST = 2
    """The right output is shown first."""


class Preference(IntEnum):
    """What a judge says of what it was shown, before un-shuffling."""

    FIRST = 1
    """The output shown first is better."""
    SECOND = 2
    """The output shown second is better."""
    TIE = 3
    """Neither is better."""

    def outcome(self, order: Order) -> Outcome:
        """The outcome in the comparison's own orientation, when it was shown in *order*."""
        told = Outcome(self.value)
        return told if order is Order.LEFT_FIRST else told.flipped

    @staticmethod
    def of(outcome: Outcome, order: Order) -> Preference:
        """What a judge must have said for *outcome* to come of a showing in *order*."""
        return Preference((outcome if order is Order.LEFT_FIRST else outcome.flipped).value)


class VerdictStatus(IntEnum):
    """What became of a judge's reply. All are final and reused."""

    OK = 1
    """Exactly one verdict was read from the reply."""
    UNREADABLE = 2
    """The reply holds no verdict, or more than one."""
    REFUSED = 3
    """The judge declined to judge."""
    FILTERED = 4
    """The provider's content filter withheld the reply."""
    TRUNCATED = 5
    """The reply was cut off at the output budget."""


class ItemState(IntEnum):
    """What became of a showing without a verdict: a fact of a run, tried again when it is resumed."""

    PENDING = 1
    """Not judged yet."""
    TOO_LONG = 2
    """The prompt does not fit the judge's context."""
    REJECTED = 3
    """The provider refused the request itself (4xx)."""
    TRANSPORT_ERROR = 4
    """The provider failed more often than is tried again."""
    NOT_RECORDED = 5
    """A recorded judge has no verdict on this showing."""
    BUDGET_STOPPED = 6
    """The run's budget was used up before."""
    CANCELLED = 7
    """The run was cancelled before."""
    FAILED = 8
    """Given up after repeated failures of another kind."""


FAILED = frozenset({ItemState.TRANSPORT_ERROR, ItemState.REJECTED, ItemState.TOO_LONG, ItemState.FAILED})
"""What counts against the share of a run's showings that a judge may leave without a verdict."""


class AnnotatorKind(IntEnum):
    """Who or what gave a label."""

    HUMAN = 1
    """A person."""
    MODEL = 2
    """A model whose verdicts were made and merged elsewhere."""
    GOLD = 3
    """Right by construction."""


class TieKind(IntEnum):
    """How a tie came about."""

    PLAIN = 1
    """Both outputs are equally good."""
    INCONSISTENT = 2
    """Two verdicts in two orders contradicted each other."""
    BOTH_BAD = 3
    """Both outputs are bad."""


class Selection(IntEnum):
    """How a labelled comparison was chosen for labelling."""

    RANDOM = 1
    """Drawn at random, with the stated probability."""
    QUEUE = 2
    """Taken from a queue that prefers some comparisons to others."""
    IMPORTED = 3
    """Brought from elsewhere."""


class Reconcile(IntEnum):
    """How the verdicts on a comparison's two orders become one outcome: a report's choice, never stored."""

    TIE = 1
    """Orders that disagree make a tie (inconsistent)."""
    DROP = 2
    """Orders that disagree leave the comparison out."""
    EACH = 3
    """Each order counts on its own."""
    SOFT = 4
    """The share of the orders that prefer left is a fractional win; probabilities count where the judge gave them."""


LEFT_SCORE = {Outcome.LEFT: 1.0, Outcome.RIGHT: 0.0, Outcome.TIE: 0.5}
"""How much of a vote each outcome gives to the left: all, nothing or half."""


def whole(share: float) -> Outcome:
    """The outcome that a *share* for the left amounts to."""
    return Outcome.LEFT if share > 0.5 else Outcome.RIGHT if share < 0.5 else Outcome.TIE  # noqa: PLR2004  # half


def mean_share(shares: Sequence[float | None]) -> float | None:
    """The mean of those that are told; None where none is."""
    told = [share for share in shares if share is not None]
    return sum(told) / len(told) if told else None


def both_orders(by_order: Mapping[Order, Sequence[float | None]]) -> Outcome | None:
    """The one outcome of the orders shown: a tie where they part, None where one of them has none."""
    shares = [mean_share(by_order[order]) for order in sorted(by_order)]
    outcomes = {whole(share) for share in shares if share is not None}
    if None in shares or not outcomes:
        return None
    return outcomes.pop() if len(outcomes) == 1 else Outcome.TIE
