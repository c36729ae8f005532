"""Calls that nobody will settle: their attempts end, and what they may have cost is booked in their runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from judge.domain.run import Spent
from judge.store import schema as s
from judge.store.rows import spent_with


def end(c: Connection, rows: Sequence[Any]) -> None:
    """Attempts that nobody will settle are orphaned, and spent at their worst cost."""
    change = update(s.call_attempt).where(s.call_attempt.c.id == bindparam("row"))
    values = [{"row": row.id, "cost": row.worst_micros} for row in sorted(rows, key=lambda row: row.id)]
    if values:
        c.execute(change.values(state="orphaned", cost_micros=bindparam("cost")), values)


def book(c: Connection, rows: Sequence[Any]) -> None:
    """What orphaned attempts may have cost, in their runs."""
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
