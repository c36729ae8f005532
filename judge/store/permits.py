"""Permits: the one gate for calls. What exists, what is being called, and an attempt for what may be called now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from judge.domain.run import RunState, StopReason
from judge.domain.verdict import CallKey
from judge.ports.clock import Clock
from judge.ports.records import Fence, Permit, PermitRequest, StoredAnswer
from judge.store import schema as s
from judge.store.attempts import book, end
from judge.store.clock import JUMP, StoreClock
from judge.store.connections import Connections
from judge.store.dialects import alone
from judge.store.interning import tenant_id
from judge.store.provider_batches import add_batch
from judge.store.rate_limits import seconds_until_free, taken
from judge.store.rows import by_id, ids_of, insert_keyed_rows, key_of, parsed_verdicts_of, reply_of
from judge.store.shards import fenced

CHUNK = 250
ATTEMPT = (*s.KEY, "run_id", "judge", "worst_micros", "until", "shard", "state")
WORKING = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
STOPPED = (RunState.CANCELLING, RunState.CANCELLED)
_RUN = s.run.c.id == bindparam("run")
_STATE = select(s.run.c.state).where(_RUN)
_BUDGET = select(s.run.c.budget_calls, s.run.c.budget_micros).where(_RUN)


class Permits:
    """The part of RunStore about calls."""

    _db: Connections
    _clock: Clock
    _time: StoreClock

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        """What exists, what is being called, and an attempt for what may be called now."""
        now, wall = await self._time.now(), self._clock.now()
        return await self._db.write(lambda c: _permit(c, tenant_id(c, tenant), request, now, wall))

    async def refusal(self, run: int, fence: Fence | None) -> StopReason | None:
        """Return why *run* would get no permit now, or None if it would."""
        return await self._db.read(lambda c: _refusal(c, run, fence, held=False))

    async def answers(self, tenant: str, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
        """Those of *keys* that have an answer."""
        owner = select(s.tenant.c.id).where(s.tenant.c.name == tenant)
        return await self._db.read(lambda c: stored_answers(c, c.scalar(owner) or 0, keys))

    async def orphan_attempts(self) -> int:
        """Book every live attempt as spent."""

        def work(c: Connection) -> int:
            batch = s.call_attempt.c.batch_id
            outside = batch.is_(None) | batch.not_in(select(s.provider_batch.c.id))
            live = c.execute(select(s.call_attempt).where(s.LIVE, outside)).all()
            ended = end(c, live)
            book(c, ended)
            return len(ended)

        return await self._db.write(work)


def stored_answers(c: Connection, owner: int, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
    """Those of *keys* that have an answer, with all its readings."""
    rows = by_id(c, (s.answer,), ids_of(c, s.answer, owner, keys))
    parsed_verdicts = parsed_verdicts_of(c, list(rows))
    return {key_of(row): StoredAnswer(row.id, reply_of(row), parsed_verdicts.get(row.id, ())) for row in rows.values()}


def _refusal(c: Connection, run: int, fence: Fence | None, *, held: bool) -> StopReason | None:
    """Why a run gets no permit, if it gets none."""
    state = c.scalar(_STATE, {"run": run})
    if state is None or RunState(state) in STOPPED:
        return StopReason.CANCELLED
    if RunState(state) not in WORKING:
        return StopReason.NOT_RUNNING
    return None if fence is None or fenced(c, run, fence, held=held) else StopReason.SUPERSEDED


def _permit(c: Connection, owner: int, request: PermitRequest, now: float, wall: float) -> Permit:
    """Attempts come first, and are taken back where they must not be: rows that many write are held last."""
    if request.run is not None and (refusal := _refusal(c, request.run, request.fence, held=True)):
        return Permit(refused=refusal)
    keys = list(dict.fromkeys(request.keys))
    answered = stored_answers(c, owner, keys)
    missing = [key for key in keys if key not in answered]
    wait = seconds_until_free(c, request.rate_limit, now) if request.rate_limit and missing else 0.0
    granted = {} if wait else _attempted(c, owner, request, missing, now)
    live = _live(c, owner, [key for key in missing if key not in granted])
    stale = end(c, [row for row in live.values() if row.until < now])
    if stale and not wait:
        granted |= _attempted(c, owner, request, [key_of(row) for row in stale], now)
        granted = {key: granted[key] for key in missing if key in granted}
    if not alone(c) and granted:
        late = stored_answers(c, owner, list(granted))
        _take_back(c, [granted.pop(key) for key in late])
        answered = {**answered, **late}
    others = live.keys() - map(key_of, stale) if wait else missing
    busy = frozenset(key for key in others if key not in granted and key not in answered)
    if len(busy) == len(missing):
        # There is nothing that the account would have to have room for.
        wait = 0.0
    book(c, stale)
    refused = None
    if request.run is not None and granted:
        dear = list(granted)[_affordable(c, request.run, request, len(granted)) :]
        _take_back(c, [granted.pop(key) for key in dear])
        refused = StopReason.BUDGET_STOPPED if dear else None
    if request.rate_limit and granted:
        many, wait = taken(c, request.rate_limit, now, len(granted))
        _take_back(c, [granted.pop(key) for key in list(granted)[many:]])
    batch = None
    if granted and request.batch is not None and request.run is not None:
        batch = add_batch(c, owner, request, set(granted), wall)
        mine = s.call_attempt.c.id.in_(granted.values())
        c.execute(update(s.call_attempt).where(mine).values(batch_id=batch))
    return Permit(granted, answered, busy, refused, wait, batch)


def _attempted(
    c: Connection, owner: int, request: PermitRequest, keys: Sequence[CallKey], now: float
) -> dict[CallKey, int]:
    """A live attempt for each of *keys* that nobody else calls, in their order."""
    shard = request.fence.shard if request.fence else None
    told = (request.run, request.judge, request.worst_micros, now + request.seconds + JUMP, shard, "live")
    # In one order for everybody, so that no two wait for each other.
    made = insert_keyed_rows(c, s.call_attempt, ATTEMPT, [(owner, *key, *told) for key in sorted(keys)])
    return {key: made[key] for key in keys if key in made}


def _take_back(c: Connection, attempts: Sequence[int]) -> None:
    for begin in range(0, len(attempts), CHUNK):
        c.execute(delete(s.call_attempt).where(s.call_attempt.c.id.in_(attempts[begin : begin + CHUNK])))


def _live(c: Connection, owner: int, keys: Sequence[CallKey]) -> dict[CallKey, Any]:
    rows = by_id(c, (s.call_attempt,), ids_of(c, s.call_attempt, owner, keys, where=s.LIVE.text))
    return {key_of(row): row for row in rows.values()}


def _affordable(c: Connection, run: int, request: PermitRequest, more: int) -> int:
    """How many of the *more* attempts that were just made the run's budget has room for."""
    r, a = s.run.c, s.call_attempt.c
    row = c.execute(_BUDGET, {"run": run}).one()
    if not row.budget_calls and not row.budget_micros:
        return more
    row = c.execute(select(s.run).where(r.id == run).with_for_update()).one()
    live, worst = c.execute(
        select(func.count(), func.coalesce(func.sum(a.worst_micros), 0)).where(a.run_id == run, s.LIVE)
    ).one()
    many = more
    if row.budget_calls:
        many = min(many, row.budget_calls - row.calls - (live - more))
    if row.budget_micros and request.worst_micros:
        before = int(worst) - more * request.worst_micros
        many = min(many, (row.budget_micros - row.cost_micros - before) // request.worst_micros)
    return max(many, 0)
