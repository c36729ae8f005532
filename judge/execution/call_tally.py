"""What was called for one presentation and may have to be paid, whatever ends the presentation."""

from __future__ import annotations

from dataclasses import dataclass

from judge.domain.spending import Overrun
from judge.execution.cost import CallCost
from judge.ports.records import Settled


@dataclass(slots=True)
class CallTally:
    """Counts the calls for one presentation.

    *made* counts all calls but those that were not sent, *unanswered* those that gave no answer and may have to be
    paid, and *uncounted* those whose tokens are not known. *lost_micros* is what the unanswered ones cost, in
    micro-USD: what the provider said that they used, or else the most that they can have used. *overrun* is the worst
    bill that was more than its call can cost.
    """

    made: int = 0
    lost_micros: int = 0
    unanswered: int = 0
    uncounted: int = 0
    overrun: Overrun | None = None

    def note(self, cost: CallCost) -> None:
        """Note whether the tokens of a call are known, and whether it cost more than it can."""
        self.uncounted += cost.uncounted
        if cost.overrun is not None and cost.overrun.exceeds(self.overrun):
            self.overrun = cost.overrun

    def lose(self, cost: CallCost) -> None:
        """Count the *cost* of a call that gave no answer.

        >>> tally = CallTally(made=2)
        >>> tally.lose(CallCost(700, uncounted=True))
        >>> tally
        CallTally(made=2, lost_micros=700, unanswered=1, uncounted=1, overrun=None)
        """
        self.note(cost)
        self.unanswered += 1
        self.lost_micros += cost.micros

    def added_to(self, settled: Settled) -> Settled:
        """Return *settled* with these calls and what they cost, apart from the cost of its reply."""
        return settled._replace(
            calls=self.made,
            lost_micros=self.lost_micros,
            unanswered=self.unanswered,
            uncounted=self.uncounted,
            overrun=self.overrun,
        )
