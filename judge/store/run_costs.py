"""What a run cost according to its provider, instead of what was counted call by call."""

from __future__ import annotations

from dataclasses import astuple, replace

from sqlalchemy import Connection, select, update

from judge.domain.run import Spent
from judge.store import schema as s
from judge.store.connections import Connections


class RunCosts:
    """The part of RunStore about the costs of runs."""

    _db: Connections

    async def set_cost(self, run: int, judge: int, cost_micros: int) -> bool:
        """Replace what a judge cost in a run. Returns False and changes nothing while calls of the run are live."""
        return await self._db.write(lambda c: _set_cost(c, run, judge, cost_micros))


def _set_cost(c: Connection, run: int, judge: int, cost_micros: int) -> bool:
    row = c.execute(select(s.run).where(s.run.c.id == run).with_for_update()).one()
    live = select(s.call_attempt.c.id).where(s.call_attempt.c.run_id == run, s.LIVE).limit(1)
    if c.scalar(live) is not None:
        return False
    before = Spent(*row.spent.get(str(judge), ()))
    after = replace(before, cost_micros=cost_micros, uncounted=0)
    values = {
        "cost_micros": row.cost_micros + cost_micros - before.cost_micros,
        "spent": {**row.spent, str(judge): astuple(after)},
        "revision": row.revision + 1,
    }
    c.execute(update(s.run).where(s.run.c.id == run).values(values))
    return True
