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
    """A judge's verdict in the order in which it was shown the outputs."""

    FIRST = 1
    """The output shown first is better."""
    SECOND = 2
    """The output shown second is better."""
    TIE = 3
    """Neither is better."""

    def outcome(self, order: Order) -> Outcome:
        """Return the outcome in the comparison's own orientation, if it was shown in *order*."""
        outcome = Outcome(self.value)
        return outcome if order is Order.LEFT_FIRST else outcome.flipped

    @staticmethod
    def of(outcome: Outcome, order: Order) -> Preference:
        """Return the preference that means *outcome* when the comparison is shown in *order*."""
        return Preference((outcome if order is Order.LEFT_FIRST else outcome.flipped).value)


class VerdictStatus(IntEnum):
    """The status of a judge's reply. All are final and reused."""

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
    """The state of a presentation without a verdict. Resuming the run tries it again."""

    PENDING = 1
    """Not judged yet."""
    TOO_LONG = 2
    """The prompt does not fit the judge's context."""
    REJECTED = 3
    """The provider refused the request itself (4xx)."""
    TRANSPORT_ERROR = 4
    """The provider failed at every attempt."""
    NOT_RECORDED = 5
    """A recorded judge has no verdict on this presentation."""
    BUDGET_STOPPED = 6
    """The run's budget was used up first."""
    CANCELLED = 7
    """The run was cancelled first."""
    FAILED = 8
    """Failed repeatedly for another reason."""
    REPLY_TOO_LARGE = 9
    """The reply was larger than any verdict, and was not read to its end."""


FAILED = frozenset(
    {
        ItemState.TRANSPORT_ERROR,
        ItemState.REJECTED,
        ItemState.TOO_LONG,
        ItemState.REPLY_TOO_LARGE,
        ItemState.FAILED,
    }
)
"""The states that count towards a judge's `max_failed_share`."""


class AnnotatorKind(IntEnum):
    """Who or what gave a label."""

    HUMAN = 1
    """A person."""
    MODEL = 2
    """A model whose verdicts were made elsewhere."""
    GOLD = 3
    """Correct by construction."""


class TieKind(IntEnum):
    """The kind of a tie."""

    PLAIN = 1
    """Both outputs are equally good."""
    INCONSISTENT = 2
    """Two verdicts in two orders contradicted each other."""
    BOTH_BAD = 3
    """Both outputs are bad."""


class Selection(IntEnum):
    """How a labeled comparison was chosen for labeling."""

    RANDOM = 1
    """Drawn at random, with the stated probability."""
    QUEUE = 2
    """Taken from a queue that prefers some comparisons to others."""
    IMPORTED = 3
    """Brought from elsewhere."""


class Reconcile(IntEnum):
    """How the verdicts on a comparison's two orders become one outcome. Reports choose it; it is never stored."""

    TIE = 1
    """Orders that disagree make a tie (inconsistent)."""
    DROP = 2
    """Orders that disagree leave the comparison out."""
    EACH = 3
    """Each order counts on its own."""
    SOFT = 4
    """The share of the orders that prefer left is a fractional win; probabilities count where the judge gave them."""
    BOTH = 5
    """Each order counts on its own, if both have an outcome."""


PER_ORDER = (Reconcile.EACH, Reconcile.BOTH)
"""The rules by which an order is a vote of its own."""
LEFT_SCORE = {Outcome.LEFT: 1.0, Outcome.RIGHT: 0.0, Outcome.TIE: 0.5}
"""The left score of each outcome."""


def whole(share: float) -> Outcome:
    """Return the outcome that a left score (*share*) is closest to: above 0.5 left, below 0.5 right, else a tie."""
    return Outcome.LEFT if share > 0.5 else Outcome.RIGHT if share < 0.5 else Outcome.TIE  # noqa: PLR2004  # half


def mean_share(shares: Sequence[float | None]) -> float | None:
    """Return the mean of the left scores that are not None, or None if there are none."""
    scores = [share for share in shares if share is not None]
    return sum(scores) / len(scores) if scores else None


def both_orders(by_order: Mapping[Order, Sequence[float | None]]) -> Outcome | None:
    """Return the outcome of the orders shown together: a tie if they disagree, None if one of them has no outcome."""
    shares = [mean_share(by_order[order]) for order in sorted(by_order)]
    outcomes = {whole(share) for share in shares if share is not None}
    if None in shares or not outcomes:
        return None
    return outcomes.pop() if len(outcomes) == 1 else Outcome.TIE
