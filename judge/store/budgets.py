"""A run's budget: a call starts only if what is spent, and what calls in flight reserve, leave enough for it.

A call reserves what its recent kind has cost (`recent_costs`), and what earlier tries of it may have cost. Because a
call may still cost its worst, one call in flight counts as that, or as TENTH of the budget if its worst is more. So

- while calls reserve their worst, and always under a hard budget, spending never exceeds the budget;
- with a worst of at most TENTH of the budget, one call may cost its worst at any time. Only if several calls that were
  in flight together cost more than they reserved can spending exceed the budget, and at most by that;
- with a larger worst, calls start only within the first nine tenths of the budget, and only if the calls in flight
  together cost more by a tenth of the budget than they reserved can spending exceed it.

When a call settles, its real cost replaces its reservation, so calls that did not fit may fit then. A dear call raises
what all calls in flight reserve from then on. All this assumes that no call costs more than its worst. If a provider
bills more, the calls that were in flight together until the first such bill was booked can exceed any budget. From then
on, the worst of the judge's calls is raised (`recent_costs`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from judge.store import schema as s
from judge.store.recent_costs import raised, reserved

TENTH = 10
"""One call in flight counts as its worst cost, but at most as the budget divided by this."""
_a = s.call_attempt.c
_RUN = s.run.c.id == bindparam("run")
_BUDGET = select(s.run.c.budget_calls, s.run.c.budget_micros).where(_RUN)
_LOCKED = select(s.run).where(_RUN).with_for_update()
_OF_RUN = _a.run_id == bindparam("run")
_ALIKE = (_a.judge, _a.worst_micros, _a.cost_micros)
_CALLS = func.sum(_a.further_calls + 1).label("calls")
_LIVE = select(*_ALIKE, func.count().label("attempts"), _CALLS).where(_OF_RUN, s.LIVE).group_by(*_ALIKE)
_EXPIRED = select(s.call_attempt).where(_OF_RUN, s.LIVE, _a.until < bindparam("now"))


@dataclass(frozen=True, slots=True)
class Affordable:
    """How many of the requested calls a budget allows, and how many *others* of the run are in flight."""

    calls: int
    others: int = 0


@dataclass(frozen=True, slots=True)
class _InFlight:
    """The calls of a run in flight: their number, what they reserve, and what one of them may cost in addition.

    A call that failed and is made again counts anew. Both costs are in micro-USD.
    """

    calls: int
    reserved: int
    surprise: int


def affordable(c: Connection, run: int, judge: int, worst_micros: int, requested: Collection[int]) -> Affordable:
    """Return how many of the *requested* attempts, which were just inserted, the run's budget allows."""
    more = len(requested)
    limits = c.execute(_BUDGET, {"run": run}).one()
    if not limits.budget_calls and not limits.budget_micros:
        return Affordable(more)
    row = c.execute(_LOCKED, {"run": run}).one()
    live = _in_flight(c, row)
    calls = more
    if row.budget_calls:
        calls = min(calls, row.budget_calls - row.calls - (live.calls - more))
    if row.budget_micros and (each := reserved(row, judge, worst_micros)):
        calls = min(calls, more + _remaining(row, live) // each)
    return Affordable(max(calls, 0), others=live.calls - more)


def _in_flight(c: Connection, run: Any) -> _InFlight:  # noqa: ANN401  # a row
    """Sum up the live attempts of a *run*. An attempt's cost is what its earlier tries may have cost."""
    calls = total = surprise = 0
    for alike in c.execute(_LIVE, {"run": run.id}):
        each = reserved(run, alike.judge, alike.worst_micros)
        calls += int(alike.calls)
        total += alike.attempts * (alike.cost_micros + each)
        worst = raised(run, alike.judge, alike.worst_micros)
        surprise = max(surprise, min(worst, run.budget_micros // TENTH) - each)
    return _InFlight(calls, total, surprise)


def _remaining(run: Any, live: _InFlight) -> int:  # noqa: ANN401  # a row
    """Return what remains of a *run*'s budget in micro-USD; negative if the calls in flight do not fit."""
    return int(run.budget_micros) - int(run.cost_micros) - live.reserved - live.surprise


def expired_attempts(c: Connection, run: int, now: float) -> Sequence[Any]:
    """Return the live attempts of *run* that nobody settled in time, if it has a budget that they take from."""
    limits = c.execute(_BUDGET, {"run": run}).one()
    if not limits.budget_calls and not limits.budget_micros:
        return []
    return c.execute(_EXPIRED, {"run": run, "now": now}).all()


def reserve_again(c: Connection, attempt: int, micros: int, calls: int) -> bool:
    """Reserve further *calls* of a live *attempt*, and *micros* for its calls that failed.

    Without further calls, the next one takes the place of one that was not sent. Returns False if the budget does not
    allow that.

    The attempt is locked before the run, in the order of commits.
    """
    this = _a.id == attempt
    row = c.execute(select(_a.run_id).where(this, s.LIVE).with_for_update()).first()
    if row is None:
        return False
    if row.run_id is not None:
        run = c.execute(_LOCKED, {"run": row.run_id}).one()
        live = _in_flight(c, run)
        if run.budget_micros and micros > _remaining(run, live):
            return False
        if run.budget_calls and run.calls + live.calls + calls > run.budget_calls:
            return False
    further = {"cost_micros": _a.cost_micros + micros, "further_calls": _a.further_calls + calls}
    c.execute(update(s.call_attempt).where(this).values(further))
    return True
