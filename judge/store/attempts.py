"""Attempts that nobody will settle: they are closed, and what they may have cost is booked in their runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from judge.domain.run import Spent
from judge.store import schema as s
from judge.store.many_rows import update_rows
from judge.store.rows import spent_with


def end(c: Connection, rows: Sequence[Any]) -> list[Any]:
    """Close attempts that nobody will settle as orphaned, at their worst cost; return those that were still live."""
    ended = settle(c, [(row.id, "orphaned", row.worst_micros) for row in rows])
    mine = {attempt for attempt, _ in ended}
    return [row for row in rows if row.id in mine]


def settle(c: Connection, rows: Sequence[tuple[int, str, int]]) -> Sequence[tuple[int, int]]:
    """Close attempts, given as id, state and cost; return the id and judge of those that were still live."""
    a = s.call_attempt.c
    return update_rows(
        c, s.call_attempt, ("state", "cost_micros"), sorted(rows), [a.id, a.judge], condition=s.LIVE.text
    )


def book(c: Connection, rows: Sequence[Any]) -> None:
    """Add what orphaned attempts may have cost to their runs."""
    for run in sorted({row.run_id for row in rows if row.run_id is not None}):
        mine = [row for row in rows if row.run_id == run]
        spent: dict[int, Spent] = {}
        for row in mine:
            spent[row.judge] = spent.get(row.judge, Spent()) + Spent(1, row.worst_micros)
        r = s.run.c
        before = c.scalar(select(r.spent).where(r.id == run).with_for_update())
        booked = {
            "repeated": r.repeated + len(mine),
            "calls": r.calls + len(mine),
            "cost_micros": r.cost_micros + sum(row.worst_micros for row in mine),
            "spent": spent_with(before or {}, spent),
            "revision": r.revision + 1,
        }
        c.execute(update(s.run).where(r.id == run).values(booked))
