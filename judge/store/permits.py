"""Permits. No call is made without one: it says what has an answer, what is being called, and what may be called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from judge.domain.run import RunState, StopReason
from judge.domain.verdict import CallKey
from judge.ports.clock import Clock
from judge.ports.records import Fence, Permit, PermitRequest, StoredAnswer
from judge.store import schema as s
from judge.store.attempts import book, end
from judge.store.budgets import affordable, expired_attempts, reserve_again
from judge.store.clock import JUMP, StoreClock
from judge.store.connections import Connections
from judge.store.dialects import alone
from judge.store.interning import tenant_id
from judge.store.provider_batches import add_batch
from judge.store.rate_limits import seconds_until_free, take
from judge.store.rows import by_id, ids_of, insert_keyed_rows, key_of, parsed_verdicts_of, reply_of
from judge.store.shards import is_newest_attempt

CHUNK = 250
ATTEMPT = (*s.KEY, "run_id", "judge", "worst_micros", "until", "shard", "state")
WORKING = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
STOPPED = (RunState.CANCELLING, RunState.CANCELLED)
_RUN = s.run.c.id == bindparam("run")
_STATE = select(s.run.c.state).where(_RUN)


class Permits:
    """The part of RunStore about permits."""

    _db: Connections
    _clock: Clock
    _time: StoreClock

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        """Return which keys have an answer, which are being called, and an attempt for each that may be called now."""
        now, wall = await self._time.now(), self._clock.now()
        return await self._db.write(lambda c: _permit(c, tenant_id(c, tenant), request, now, wall))

    async def reserve_again(self, attempt: int, micros: int, calls: int = 1) -> bool:
        """Reserve *micros* and *calls* more for a live attempt, and return whether its run's budget allows that."""
        return await self._db.write(lambda c: reserve_again(c, attempt, micros, calls))

    async def refusal(self, run: int, fence: Fence | None) -> StopReason | None:
        """Return why *run* would get no permit now, or None if it would."""
        return await self._db.read(lambda c: _refusal(c, run, fence, lock=False))

    async def answers(self, tenant: str, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
        """Return the answers of those *keys* that have one."""
        owner = select(s.tenant.c.id).where(s.tenant.c.name == tenant)
        return await self._db.read(lambda c: stored_answers(c, c.scalar(owner) or 0, keys))

    async def orphan_attempts(self) -> int:
        """Book every live attempt outside a batch as spent, and return how many there were."""

        def work(c: Connection) -> int:
            batch = s.call_attempt.c.batch_id
            outside = batch.is_(None) | batch.not_in(select(s.provider_batch.c.id))
            live = c.execute(select(s.call_attempt).where(s.LIVE, outside)).all()
            ended = end(c, live)
            book(c, ended)
            return len(ended)

        return await self._db.write(work)


def stored_answers(c: Connection, owner: int, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
    """Return the answers of those *keys* that have one, with all their parsed verdicts."""
    rows = by_id(c, (s.answer,), ids_of(c, s.answer, owner, keys))
    parsed_verdicts = parsed_verdicts_of(c, list(rows))
    return {key_of(row): StoredAnswer(row.id, reply_of(row), parsed_verdicts.get(row.id, ())) for row in rows.values()}


def _refusal(c: Connection, run: int, fence: Fence | None, *, lock: bool) -> StopReason | None:
    """Return why a run gets no permit, or None if it gets one."""
    state = c.scalar(_STATE, {"run": run})
    if state is None or RunState(state) in STOPPED:
        return StopReason.CANCELLED
    if RunState(state) not in WORKING:
        return StopReason.NOT_RUNNING
    return None if fence is None or is_newest_attempt(c, run, fence, lock=lock) else StopReason.SUPERSEDED


def _permit(c: Connection, owner: int, request: PermitRequest, now: float, wall: float) -> Permit:
    """Insert the attempts first, and take back those that are not allowed.

    So rows that many processes write, such as the run and the account, are locked last.
    """
    if request.run is not None and (refusal := _refusal(c, request.run, request.fence, lock=True)):
        return Permit(refused=refusal)
    keys = list(dict.fromkeys(request.keys))
    answered = stored_answers(c, owner, keys)
    missing = [key for key in keys if key not in answered]
    wait = seconds_until_free(c, request.rate_limit, now) if request.rate_limit and missing else 0.0
    granted = {} if wait else _insert_attempts(c, owner, request, missing, now)
    live = _live_attempts(c, owner, [key for key in missing if key not in granted])
    stale = end(c, [row for row in live.values() if row.until < now])
    if stale and not wait:
        granted |= _insert_attempts(c, owner, request, [key_of(call.attempt) for call in stale], now)
        granted = {key: granted[key] for key in missing if key in granted}
    if not alone(c) and granted:
        late = stored_answers(c, owner, list(granted))
        _take_back(c, [granted.pop(key) for key in late])
        answered = {**answered, **late}
    others = live.keys() - {key_of(call.attempt) for call in stale} if wait else missing
    busy = frozenset(key for key in others if key not in granted and key not in answered)
    if len(busy) == len(missing):
        # Nothing is left to call, so the account's rate limit does not matter.
        wait = 0.0
    lost = end(c, expired_attempts(c, request.run, now)) if request.run is not None and granted else []
    book(c, [*stale, *lost])
    refused, over_budget = None, False
    if request.run is not None and granted:
        allowed = affordable(c, request.run, request.judge, request.worst_micros, granted.values())
        dear = list(granted)[allowed.calls :]
        _take_back(c, [granted.pop(key) for key in dear])
        over_budget = bool(dear) and bool(granted or allowed.others)
        refused = StopReason.BUDGET_STOPPED if dear and not over_budget else None
    if request.rate_limit and granted:
        n_allowed, wait = take(c, request.rate_limit, now, len(granted))
        _take_back(c, [granted.pop(key) for key in list(granted)[n_allowed:]])
    batch = None
    if granted and request.batch is not None and request.run is not None:
        batch = add_batch(c, owner, request, set(granted), wall)
        mine = s.call_attempt.c.id.in_(granted.values())
        c.execute(update(s.call_attempt).where(mine).values(batch_id=batch))
    return Permit(
        granted=granted,
        answered=answered,
        busy=busy,
        refused=refused,
        wait=wait,
        over_budget=over_budget,
        batch=batch,
    )


def _insert_attempts(
    c: Connection, owner: int, request: PermitRequest, keys: Sequence[CallKey], now: float
) -> dict[CallKey, int]:
    """Insert a live attempt for each of *keys* that nobody else calls, and return their ids in the order of *keys*."""
    shard = request.fence.shard if request.fence else None
    columns = (request.run, request.judge, request.worst_micros, now + request.seconds + JUMP, shard, "live")
    # All processes insert in the same order, so that no two wait for each other.
    made = insert_keyed_rows(c, s.call_attempt, ATTEMPT, [(owner, *key, *columns) for key in sorted(keys)])
    return {key: made[key] for key in keys if key in made}


def _take_back(c: Connection, attempts: Sequence[int]) -> None:
    for begin in range(0, len(attempts), CHUNK):
        c.execute(delete(s.call_attempt).where(s.call_attempt.c.id.in_(attempts[begin : begin + CHUNK])))


def _live_attempts(c: Connection, owner: int, keys: Sequence[CallKey]) -> dict[CallKey, Any]:
    rows = by_id(c, (s.call_attempt,), ids_of(c, s.call_attempt, owner, keys, condition=s.LIVE.text))
    return {key_of(row): row for row in rows.values()}
