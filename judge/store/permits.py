"""Permits: the one gate for calls. What exists, what is being called, and an attempt for what may be called now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from judge.domain.run import RunState, Spent
from judge.domain.verdict import CallKey
from judge.ports.store import Permit, PermitRequest, StoredAnswer
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.interning import tenant_id
from judge.store.provider_batches import add_batch
from judge.store.rows import key_of, key_values, matching, readings_of, reply_of, spent_with

CHUNK = 250
WORKING = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
STOPPED = (RunState.CANCELLING, RunState.CANCELLED)


class Permits:
    """The part of RunStore about calls."""

    _db: Connections

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        """What exists, what is being called, and an attempt for what may be called now."""
        return await self._db.write(lambda c: _permit(c, tenant_id(c, tenant), request))

    async def answers(self, tenant: str, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
        """Those of *keys* that have an answer."""
        owner = select(s.tenant.c.id).where(s.tenant.c.name == tenant)
        return await self._db.read(lambda c: stored_answers(c, c.scalar(owner) or 0, keys))

    async def orphan_attempts(self) -> int:
        """Book every live attempt as spent."""

        def work(c: Connection) -> int:
            batch = s.call_attempt.c.batch_id
            alone = batch.is_(None) | batch.not_in(select(s.provider_batch.c.id))
            live = c.execute(select(s.call_attempt).where(s.LIVE, alone)).all()
            _orphan(c, live)
            return len(live)

        return await self._db.write(work)


def stored_answers(c: Connection, owner: int, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
    """Those of *keys* that have an answer, with all its readings."""
    found: dict[CallKey, StoredAnswer] = {}
    for begin in range(0, len(keys), CHUNK):
        rows = c.execute(select(s.answer).where(matching(s.answer, owner, keys[begin : begin + CHUNK]))).all()
        readings = readings_of(c, [row.id for row in rows])
        found.update({key_of(row): StoredAnswer(row.id, reply_of(row), readings.get(row.id, ())) for row in rows})
    return found


def _permit(c: Connection, owner: int, request: PermitRequest) -> Permit:
    run = None
    if request.run is not None:
        run = c.execute(select(s.run).where(s.run.c.id == request.run)).first()
        if run is None or RunState(run.state) in STOPPED:
            return Permit(refused="CANCELLED")
        if RunState(run.state) not in WORKING:
            return Permit(refused="NOT_RUNNING")
    keys = list(dict.fromkeys(request.keys))
    answered = stored_answers(c, owner, keys)
    missing = [key for key in keys if key not in answered]
    live = _live(c, owner, missing)
    stale = [row for row in live.values() if row.until < request.now]
    _orphan(c, stale)
    busy = frozenset(key for key, row in live.items() if row.until >= request.now)
    free = [key for key in missing if key not in busy]
    allowed = free if run is None else free[: _affordable(c, run, request)]
    rows = [
        {
            **key_values(owner, key),
            "run_id": request.run,
            "judge": request.judge,
            "worst_micros": request.worst_micros,
            "until": request.until,
        }
        for key in allowed
    ]
    batch = None
    if rows and request.batch is not None and request.run is not None:
        batch = add_batch(c, owner, request, set(allowed))
        rows = [{**row, "batch_id": batch} for row in rows]
    granted: dict[CallKey, int] = {}
    if rows:
        a = s.call_attempt.c
        back = insert(s.call_attempt).returning(a.id, *(a[name] for name in s.KEY))
        made = c.execute(back, [{**row, "state": "live"} for row in rows])
        granted = {key_of(row): row.id for row in made}
    return Permit(granted, answered, busy, "" if len(allowed) == len(free) else "BUDGET_STOPPED", batch)


def _live(c: Connection, owner: int, keys: Sequence[CallKey]) -> dict[CallKey, Any]:
    found = {}
    for begin in range(0, len(keys), CHUNK):
        wanted = matching(s.call_attempt, owner, keys[begin : begin + CHUNK])
        for row in c.execute(select(s.call_attempt).where(s.LIVE, wanted)):
            found[key_of(row)] = row
    return found


def _affordable(c: Connection, run: Any, request: PermitRequest) -> int:  # noqa: ANN401
    if not run.budget_calls and not run.budget_micros:
        return len(request.keys)
    a = s.call_attempt.c
    live, worst = c.execute(
        select(func.count(), func.coalesce(func.sum(a.worst_micros), 0)).where(a.run_id == run.id, s.LIVE)
    ).one()
    now = c.execute(select(s.run.c.calls, s.run.c.cost_micros).where(s.run.c.id == run.id)).one()
    many = len(request.keys)
    if run.budget_calls:
        many = min(many, run.budget_calls - now.calls - live)
    if run.budget_micros and request.worst_micros:
        many = min(many, (run.budget_micros - now.cost_micros - worst) // request.worst_micros)
    return max(many, 0)


def _orphan(c: Connection, rows: Sequence[Any]) -> None:
    """Book attempts that nobody will settle as spent at their worst cost."""
    if not rows:
        return
    change = update(s.call_attempt).where(s.call_attempt.c.id == bindparam("row"))
    values = [{"row": row.id, "cost": row.worst_micros} for row in rows]
    c.execute(change.values(state="orphaned", cost_micros=bindparam("cost")), values)
    for run in sorted({row.run_id for row in rows if row.run_id is not None}):
        mine = [row for row in rows if row.run_id == run]
        spent: dict[int, Spent] = {}
        for row in mine:
            spent[row.judge] = spent.get(row.judge, Spent()) + Spent(1, row.worst_micros)
        r = s.run.c
        before = c.scalar(select(r.spent).where(r.id == run))
        booked = {
            "repeated": r.repeated + len(mine),
            "calls": r.calls + len(mine),
            "cost_micros": r.cost_micros + sum(row.worst_micros for row in mine),
            "spent": spent_with(before or {}, spent),
            "revision": r.revision + 1,
        }
        c.execute(update(s.run).where(r.id == run).values(booked))
