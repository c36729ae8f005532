"""What the recent calls of each judge of a run cost, and what a call reserves of the run's budget because of that.

Without a limit in micro-USD, under a hard one, and until FEWEST calls of the judge have been answered, a call reserves
its worst cost. From then on it reserves MARGIN times the dearest of the judge's recent answered calls, but never more
than its worst. "Recent" means the last WINDOW to 2 * WINDOW - 1 calls: a run keeps the dearest call of the current
window and of the window before it, so that a permit reads no old attempts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

FEWEST = 10
"""Answered calls before recent costs are used."""
WINDOW = 200
"""Answered calls in a window."""
MARGIN = 1.25
"""How many times the dearest recent call a call reserves."""


@dataclass(frozen=True, slots=True)
class RecentCosts:
    """The *answered* calls of a judge in a run, and the dearest of the current and of the previous window.

    Costs are in micro-USD.
    """

    answered: int = 0
    dearest: int = 0
    dearest_before: int = 0

    def plus(self, costs: Iterable[int]) -> RecentCosts:
        """Return these costs after calls with *costs* were answered.

        >>> RecentCosts().plus([7, 9, 8])
        RecentCosts(answered=3, dearest=9, dearest_before=0)
        """
        answered, dearest, before = self.answered, self.dearest, self.dearest_before
        for cost in costs:
            if answered and not answered % WINDOW:
                dearest, before = 0, dearest
            answered, dearest = answered + 1, max(dearest, cost)
        return RecentCosts(answered, dearest, before)

    @property
    def bound(self) -> float:
        """The most that a call reserves; infinite before enough calls were answered.

        >>> RecentCosts(answered=9, dearest=100).bound
        inf
        >>> RecentCosts(answered=10, dearest=100).bound
        125
        """
        if self.answered < FEWEST:
            return math.inf
        return max(1, math.ceil(MARGIN * max(self.dearest, self.dearest_before)))


def recent_with(before: Mapping[str, Sequence[int]], costs: Mapping[int, Iterable[int]]) -> dict[str, Sequence[int]]:
    """Return a run's recent costs by judge as its row stores them, after more calls of some judges were answered."""
    by_judge = dict(before)
    for judge, more in costs.items():
        by_judge[str(judge)] = astuple(RecentCosts(*by_judge.get(str(judge), ())).plus(more))
    return by_judge


def reserved(run: Any, judge: int, worst_micros: int) -> int:  # noqa: ANN401  # a row
    """Return what a try of a *judge* reserves that costs at most *worst_micros*, given the row of its *run*."""
    if not run.budget_micros or run.spec["budget"].get("hard"):
        return worst_micros
    return int(min(worst_micros, RecentCosts(*run.recent.get(str(judge), ())).bound))
