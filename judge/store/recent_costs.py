"""What the recent calls of each judge of a run cost, and what a call reserves of the run's budget because of that.

Without a limit in micro-USD, under a hard one, and until FEWEST calls of the judge have been answered, a call reserves
its worst cost. From then on it reserves MARGIN times the dearest of the judge's recent answered calls, but never more
than its worst. "Recent" means the last WINDOW to 2 * WINDOW - 1 calls: a run keeps the dearest call of the current
window and of the window before it, so that a permit reads no old attempts.

A provider may bill more than a call can cost. From then on, the worst cost of each call of the judge is raised by the
largest factor that occurred in the run, and so is what calls in flight reserve.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from judge.domain.spending import Overrun

FEWEST = 10
"""Answered calls before recent costs are used."""
WINDOW = 200
"""Answered calls in a window."""
MARGIN = 1.25
"""How many times the dearest recent call a call reserves."""


@dataclass(frozen=True, slots=True)
class RecentCosts:
    """The *answered* calls of a judge in a run, and the dearest of the current and of the previous window.

    Costs are in micro-USD. *overrun* has the fields of the judge's largest overrun in the run; it is empty without one.
    """

    answered: int = 0
    dearest: int = 0
    dearest_before: int = 0
    overrun: Sequence[int] = ()

    def plus(self, costs: Iterable[int]) -> RecentCosts:
        """Return these costs after calls with *costs* were answered.

        >>> RecentCosts().plus([7, 9, 8])
        RecentCosts(answered=3, dearest=9, dearest_before=0, overrun=())
        """
        answered, dearest, before = self.answered, self.dearest, self.dearest_before
        for cost in costs:
            if answered and not answered % WINDOW:
                dearest, before = 0, dearest
            answered, dearest = answered + 1, max(dearest, cost)
        return replace(self, answered=answered, dearest=dearest, dearest_before=before)

    def after(self, overrun: Overrun) -> RecentCosts:
        """Return these costs after an *overrun*."""
        return replace(self, overrun=overrun) if overrun.exceeds(self.largest_overrun) else self

    @property
    def largest_overrun(self) -> Overrun | None:
        """The judge's largest overrun in the run, or None if there is none."""
        return Overrun(*self.overrun) if self.overrun else None

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


def recent_with(
    before: Mapping[str, Sequence[Any]], costs: Mapping[int, Iterable[int]], overruns: Mapping[int, Overrun]
) -> dict[str, Sequence[Any]]:
    """Return a run's recent costs by judge as its row stores them, after more *costs* and *overruns* of some judges."""
    by_judge = dict(before)
    for judge in costs.keys() | overruns.keys():
        recent = RecentCosts(*by_judge.get(str(judge), ())).plus(costs.get(judge, ()))
        by_judge[str(judge)] = astuple(recent.after(overruns[judge]) if judge in overruns else recent)
    return by_judge


def recent_costs(run: Any, judge: int) -> RecentCosts:  # noqa: ANN401  # a row
    """Return the recent costs of a *judge*, by its place in the run, from the row of its *run*."""
    return RecentCosts(*run.recent.get(str(judge), ()))


def raised(run: Any, judge: int, worst_micros: int) -> int:  # noqa: ANN401  # a row
    """Return the most that a try of a *judge* can cost, given that its own maximum is *worst_micros*."""
    overrun = recent_costs(run, judge).largest_overrun
    return overrun.raised(worst_micros) if overrun else worst_micros


def reserved(run: Any, judge: int, worst_micros: int) -> int:  # noqa: ANN401  # a row
    """Return what a try of a *judge* reserves that costs at most *worst_micros*, given the row of its *run*."""
    worst = raised(run, judge, worst_micros)
    if not run.budget_micros or run.spec["budget"].get("hard"):
        return worst
    return int(min(worst, recent_costs(run, judge).bound))
