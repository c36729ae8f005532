"""What a run cost according to its provider, instead of what was counted call by call."""

from __future__ import annotations

from dataclasses import astuple, replace

from sqlalchemy import Connection, select, update

from judge.domain.spending import EnteredCost
from judge.ports.clock import Clock
from judge.store import schema as s
from judge.store.attempts import book, end
from judge.store.clock import StoreClock
from judge.store.connections import Connections
from judge.store.rows import spent_from


class RunCosts:
    """The part of RunStore about the costs of runs."""

    _db: Connections
    _clock: Clock
    _time: StoreClock

    async def set_cost(self, run: int, judge: int, cost_micros: int) -> bool:
        """Replace what a judge cost in a run, and note when, and what had been counted.

        Returns False and leaves the cost while calls of the run are live.
        Calls that nobody settled in time are booked as lost before.
        """
        now, wall = await self._time.now(), self._clock.now()
        return await self._db.write(lambda c: _set_cost(c, run, judge, cost_micros, now=now, wall=wall))


def _set_cost(c: Connection, run: int, judge: int, cost_micros: int, *, now: float, wall: float) -> bool:
    a = s.call_attempt.c
    expired = select(s.call_attempt).where(a.run_id == run, s.LIVE, a.until < now)
    # Attempts are locked before their run, in the order of commits.
    book(c, end(c, c.execute(expired).all()))
    row = c.execute(select(s.run).where(s.run.c.id == run).with_for_update()).one()
    live = select(a.id).where(a.run_id == run, s.LIVE).limit(1)
    if c.scalar(live) is not None:
        return False
    before = spent_from(row.spent.get(str(judge), ()))
    entered = EnteredCost(cost_micros=cost_micros, counted_micros=before.counted_micros, time=wall)
    after = replace(before, cost_micros=cost_micros, uncounted=0, entered=entered)
    values = {
        "cost_micros": row.cost_micros + cost_micros - before.cost_micros,
        "spent": {**row.spent, str(judge): astuple(after)},
        "revision": row.revision + 1,
    }
    c.execute(update(s.run).where(s.run.c.id == run).values(values))
    return True
