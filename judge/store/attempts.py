"""Attempts that nobody will settle: they are closed, and what they may have cost is booked in their runs.

Such a lost attempt counts as the calls it made, of which the last cost what it reserved, and the earlier ones what they
may have cost. Without
a budget in micro-USD that is the most that a call can cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from judge.domain.spending import Spent
from judge.store import schema as s
from judge.store.many_rows import update_rows
from judge.store.recent_costs import reserved
from judge.store.rows import spent_with

_r = s.run.c


class LostCall(NamedTuple):
    """The row of an orphaned attempt, and its cost in micro-USD."""

    attempt: Any
    cost_micros: int

    @property
    def calls(self) -> int:
        """The calls of the attempt."""
        return 1 + int(self.attempt.further_calls)


class ClosedAttempt(NamedTuple):
    """An attempt that was closed: its id, its judge's place in the run, and whether a provider's batch held it."""

    id: int
    judge: int
    batch: int | None


def end(c: Connection, rows: Sequence[Any]) -> list[LostCall]:
    """Close attempts that nobody will settle as orphaned, and return those that were still live."""
    runs = {row.run_id for row in rows} - {None}
    by_run = {run: c.execute(select(_r.budget_micros, _r.recent, _r.spec).where(_r.id == run)).first() for run in runs}
    lost = [LostCall(row, _cost(row, by_run)) for row in rows]
    ended = {closed.id for closed in settle(c, [(call.attempt.id, "orphaned", call.cost_micros) for call in lost])}
    return [call for call in lost if call.attempt.id in ended]


def _cost(row: Any, by_run: Mapping[int, Any]) -> int:  # noqa: ANN401  # rows
    run = by_run.get(row.run_id)
    last = row.worst_micros if run is None else reserved(run, row.judge, row.worst_micros)
    return int(row.cost_micros) + int(last)


def settle(c: Connection, rows: Sequence[tuple[int, str, int]]) -> list[ClosedAttempt]:
    """Close attempts, given as id, state and cost; return those that were still live."""
    a = s.call_attempt.c
    closed = update_rows(
        c, s.call_attempt, ("state", "cost_micros"), sorted(rows), [a.id, a.judge, a.batch_id], condition=s.LIVE.text
    )
    return [ClosedAttempt(*row) for row in closed]


def book(c: Connection, lost: Sequence[LostCall]) -> None:
    """Add what lost calls may have cost to their runs."""
    for run in sorted({call.attempt.run_id for call in lost} - {None}):
        mine = [call for call in lost if call.attempt.run_id == run]
        spent: dict[int, Spent] = {}
        for call in mine:
            booked = Spent(calls=call.calls, cost_micros=call.cost_micros, uncounted=1)
            judge = call.attempt.judge
            spent[judge] = spent.get(judge, Spent()) + booked
        before = c.scalar(select(_r.spent).where(_r.id == run).with_for_update())
        values = {
            "repeated": _r.repeated + len(mine),
            "calls": _r.calls + sum(call.calls for call in mine),
            "cost_micros": _r.cost_micros + sum(call.cost_micros for call in mine),
            "spent": spent_with(before or {}, spent),
            "revision": _r.revision + 1,
        }
        c.execute(update(s.run).where(_r.id == run).values(values))
