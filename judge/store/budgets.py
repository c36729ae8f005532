"""A run's budget: what is spent, plus what calls in flight have reserved, never exceeds it.

A call reserves the most that one try can cost. A retry after a try that may have to be paid reserves again. When a call
is settled, its real cost replaces its reservation, so calls that did not fit may fit then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from judge.store import schema as s

_a = s.call_attempt.c
_RUN = s.run.c.id == bindparam("run")
_BUDGET = select(s.run.c.budget_calls, s.run.c.budget_micros).where(_RUN)
_LOCKED = select(s.run).where(_RUN).with_for_update()
_LIVE = select(func.count(), func.coalesce(func.sum(_a.worst_micros), 0)).where(_a.run_id == bindparam("run"), s.LIVE)
_EXPIRED = select(s.call_attempt).where(_a.run_id == bindparam("run"), s.LIVE, _a.until < bindparam("now"))


@dataclass(frozen=True, slots=True)
class Affordable:
    """How many of the requested calls a budget allows, and how many *others* of the run are in flight."""

    calls: int
    others: int = 0


def affordable(c: Connection, run: int, worst_micros: int, requested: Collection[int]) -> Affordable:
    """Return how many of the *requested* attempts, which were just inserted, the run's budget allows."""
    more = len(requested)
    limits = c.execute(_BUDGET, {"run": run}).one()
    if not limits.budget_calls and not limits.budget_micros:
        return Affordable(more)
    row = c.execute(_LOCKED, {"run": run}).one()
    live, reserved = c.execute(_LIVE, {"run": run}).one()
    calls = more
    if row.budget_calls:
        calls = min(calls, row.budget_calls - row.calls - (live - more))
    if row.budget_micros and worst_micros:
        before = int(reserved) - more * worst_micros
        calls = min(calls, (row.budget_micros - row.cost_micros - before) // worst_micros)
    return Affordable(max(calls, 0), others=live - more)


def expired_attempts(c: Connection, run: int, now: float) -> Sequence[Any]:
    """Return the live attempts of *run* that nobody settled in time, if it has a budget that they take from."""
    limits = c.execute(_BUDGET, {"run": run}).one()
    if not limits.budget_calls and not limits.budget_micros:
        return []
    return c.execute(_EXPIRED, {"run": run, "now": now}).all()


def reserve_again(c: Connection, attempt: int, micros: int) -> bool:
    """Reserve *micros* more for a live *attempt*. Returns False if its run's budget does not allow that.

    The attempt is locked before the run, in the order of commits.
    """
    this = _a.id == attempt
    row = c.execute(select(_a.run_id).where(this, s.LIVE).with_for_update()).first()
    if row is None:
        return False
    if row.run_id is not None:
        run = c.execute(_LOCKED, {"run": row.run_id}).one()
        reserved = c.execute(_LIVE, {"run": row.run_id}).one()[1]
        if run.budget_micros and run.cost_micros + int(reserved) + micros > run.budget_micros:
            return False
    c.execute(update(s.call_attempt).where(this).values(worst_micros=_a.worst_micros + micros))
    return True
