"""Attempts at shards: the newest is the one that counts, and what an earlier one was calling may be called again.

An attempt that nobody ended was lost with its process. If nothing was settled in it, that may be the shard's doing, so
such attempts are counted; any progress begins the count anew.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, func, insert, select, update

from judge.ports.store import Fence, Losses
from judge.store import schema as s
from judge.store.attempts import book, end
from judge.store.connections import Connections

OPEN, DONE, AT_WORK = 1, 2, 3


class Shards:
    """The part of RunStore about shards."""

    _db: Connections

    async def shard_losses(self, row: int, shard: int, last: int, *, alive: int = 0, waited: bool = False) -> Losses:
        """How many attempts at [shard, last) were lost in a row, the newest too unless it is *alive*, or *waited*."""
        losses, at_work = await self._db.read(lambda c: _losses(c, row, shard, last))
        return replace(losses, lost=losses.lost + (at_work not in (0, alive) and not waited))

    async def begin_shard(self, row: int, shard: int, losses: Losses = Losses()) -> int | None:  # noqa: B008  # frozen
        """The number of a new attempt at a shard of a run; None if it is done."""
        return await self._db.write(lambda c: _begun(c, row, shard, losses))

    async def leave_shard(self, row: int, fence: Fence) -> None:
        """The attempt ended in order, if it is still the newest."""
        h = s.run_shard.c
        mine = (h.run_id == row) & (h.shard == fence.shard) & (h.attempt == fence.attempt) & (h.state == AT_WORK)
        await self._db.write(lambda c: c.execute(update(s.run_shard).where(mine).values(state=OPEN)))

    async def end_shard(self, row: int, fence: Fence) -> None:
        """The shard is done, if the attempt is still its newest."""
        h = s.run_shard.c
        mine = (h.run_id == row) & (h.shard == fence.shard) & (h.attempt == fence.attempt)
        await self._db.write(lambda c: c.execute(update(s.run_shard).where(mine).values(state=DONE)))


def _losses(c: Connection, run: int, shard: int, last: int) -> tuple[Losses, int]:
    """What is known of attempts before the newest; and the number of that one if nobody ended it, else 0."""
    h, i, a = s.run_shard.c, s.run_item.c, s.call_attempt.c
    row = c.execute(select(s.run_shard).where(h.run_id == run, h.shard == shard)).first()
    inside = (i.run_id == run) & (i.position >= shard) & (i.position < last)
    settled = c.scalar(select(func.count()).select_from(s.run_item).where(inside)) or 0
    if row is None or settled > row.settled:
        return Losses(0, settled), 0
    # What a provider has is neither settled nor lost.
    batch = select(a.id).where(a.run_id == run, a.shard == shard, a.batch_id.is_not(None), s.LIVE).limit(1)
    lost = row.state == AT_WORK and c.scalar(batch) is None
    return Losses(row.lost, settled), row.attempt if lost else 0


def _begun(c: Connection, run: int, shard: int, losses: Losses) -> int | None:
    h = s.run_shard.c
    this = (h.run_id == run) & (h.shard == shard)
    row = c.execute(select(h.attempt, h.state).where(this).with_for_update()).first()
    if row is None:
        owner = select(s.run.c.tenant_id).where(s.run.c.id == run).scalar_subquery()
        first = {"run_id": run, "shard": shard, "tenant_id": owner, "attempt": 1}
        c.execute(insert(s.run_shard).values(**first, state=AT_WORK, settled=losses.settled))
        return 1
    if row.state == DONE:
        return None
    counted = {"lost": losses.lost, "settled": losses.settled}
    c.execute(update(s.run_shard).where(this).values(attempt=row.attempt + 1, state=AT_WORK, **counted))
    a = s.call_attempt.c
    left = c.execute(
        select(s.call_attempt).where(a.run_id == run, a.shard == shard, a.batch_id.is_(None), s.LIVE)
    ).all()
    book(c, end(c, left))
    return int(row.attempt) + 1


def fenced(c: Connection, run: int, fence: Fence, *, held: bool) -> bool:
    """Whether *fence* is of its shard's newest attempt; if *held*, none begins until this transaction ends."""
    h = s.run_shard.c
    newest = select(h.attempt).where(h.run_id == run, h.shard == fence.shard)
    return c.scalar(newest.with_for_update(read=True) if held else newest) == fence.attempt


def reopened(c: Connection, run: int) -> None:
    """Every shard of a run is to be looked at again."""
    c.execute(update(s.run_shard).where(s.run_shard.c.run_id == run).values(state=OPEN, lost=0, settled=0))
