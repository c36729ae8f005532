"""Attempts at shards. Only the newest attempt counts, and calls of an earlier one may be made again.

An attempt that nobody ended was lost with its process. If it settled nothing, the shard itself may be the cause, so
such attempts are counted. Any progress resets the count.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, bindparam, func, insert, select, update

from judge.ports.records import Fence, Losses
from judge.store import schema as s
from judge.store.attempts import book, end
from judge.store.connections import Connections

OPEN, DONE, AT_WORK = 1, 2, 3
# These statements are built once, because every shard and every permit uses them.
_h, _i, _a = s.run_shard.c, s.run_item.c, s.call_attempt.c
_THIS = (_h.run_id == bindparam("run")) & (_h.shard == bindparam("at"))
_NEWEST = _THIS & (_h.attempt == bindparam("of"))
_LEAVE = update(s.run_shard).where(_NEWEST, _h.state == AT_WORK).values(state=OPEN)
_MARK_DONE = update(s.run_shard).where(_NEWEST).values(state=DONE)
_STATE = select(_h.attempt, _h.state, _h.lost, _h.settled).where(_THIS)
_STATE_LOCKED = _STATE.with_for_update()
_ATTEMPT = select(_h.attempt).where(_THIS)
_ATTEMPT_LOCKED = _ATTEMPT.with_for_update(read=True)
_SETTLED = (
    select(func.count())
    .select_from(s.run_item)
    .where(_i.run_id == bindparam("run"), _i.position >= bindparam("at"), _i.position < bindparam("last"))
)
_ANSWERED = (
    select(_i.position)
    .where(_i.run_id == bindparam("run"), _i.judge == bindparam("judge"), _i.answer_id.is_not(None), ~_i.reused)
    .limit(1)
)
_FIRST = insert(s.run_shard).values(
    tenant_id=select(s.run.c.tenant_id).where(s.run.c.id == bindparam("of_run")).scalar_subquery()
)


class Shards:
    """The part of RunStore about shards."""

    _db: Connections

    async def shard_losses(
        self, row: int, shard: int, last: int, *, judge: int = 0, alive: int = 0, waited: bool = False
    ) -> Losses:
        """Return how many attempts at [shard, last) of a *judge* were lost in a row.

        The newest attempt counts too, unless it is *alive* or the run *waited*.
        """

        def work(c: Connection) -> Losses:
            losses, at_work = _losses(c, row, shard, last)
            lost = losses.lost + (at_work not in (0, alive) and not waited)
            answered = bool(lost) and c.scalar(_ANSWERED, {"run": row, "judge": judge}) is not None
            return replace(losses, lost=lost, answered=answered)

        return await self._db.read(work)

    async def begin_shard(self, row: int, shard: int, losses: Losses = Losses()) -> int | None:  # noqa: B008  # frozen
        """Begin an attempt at a shard of a run, and return its number, or None if the shard is done."""
        return await self._db.write(lambda c: _begin(c, row, shard, losses))

    async def leave_shard(self, row: int, fence: Fence) -> None:
        """Record that the attempt ended in order, if it is still the newest."""
        await self._db.write(lambda c: c.execute(_LEAVE, _parameters(row, fence)))

    async def end_shard(self, row: int, fence: Fence) -> None:
        """Mark the shard as done, if the attempt is still its newest."""
        await self._db.write(lambda c: c.execute(_MARK_DONE, _parameters(row, fence)))


def _parameters(run: int, fence: Fence) -> dict[str, int]:
    return {"run": run, "at": fence.shard, "of": fence.attempt}


def _losses(c: Connection, run: int, shard: int, last: int) -> tuple[Losses, int]:
    """Return the losses before the newest attempt, and the number of that attempt if nobody ended it, else 0."""
    row = c.execute(_STATE, {"run": run, "at": shard}).first()
    settled = c.scalar(_SETTLED, {"run": run, "at": shard, "last": last}) or 0
    if row is None or settled > row.settled:
        return Losses(0, settled), 0
    # Calls in a batch at a provider are neither settled nor lost.
    batch = select(_a.id).where(_a.run_id == run, _a.shard == shard, _a.batch_id.is_not(None), s.LIVE).limit(1)
    lost = row.state == AT_WORK and c.scalar(batch) is None
    return Losses(row.lost, settled), row.attempt if lost else 0


def _begin(c: Connection, run: int, shard: int, losses: Losses) -> int | None:
    row = c.execute(_STATE_LOCKED, {"run": run, "at": shard}).first()
    if row is None:
        first = {
            "run_id": run,
            "of_run": run,
            "shard": shard,
            "attempt": 1,
            "state": AT_WORK,
            "settled": losses.settled,
        }
        c.execute(_FIRST, first)
        return 1
    if row.state == DONE:
        return None
    counted = {"lost": losses.lost, "settled": losses.settled}
    again = update(s.run_shard).where(_THIS).values(attempt=row.attempt + 1, state=AT_WORK, **counted)
    c.execute(again, {"run": run, "at": shard})
    left = c.execute(
        select(s.call_attempt).where(_a.run_id == run, _a.shard == shard, _a.batch_id.is_(None), s.LIVE)
    ).all()
    book(c, end(c, left))
    return int(row.attempt) + 1


def is_newest_attempt(c: Connection, run: int, fence: Fence, *, lock: bool) -> bool:
    """Whether *fence* is the newest attempt at its shard. With *lock*, none begins until this transaction ends."""
    parameters = {"run": run, "at": fence.shard}
    return bool(c.scalar(_ATTEMPT_LOCKED if lock else _ATTEMPT, parameters) == fence.attempt)


def reopen_shards(c: Connection, run: int) -> None:
    """Open every shard of a run again."""
    c.execute(update(s.run_shard).where(s.run_shard.c.run_id == run).values(state=OPEN, lost=0, settled=0))
