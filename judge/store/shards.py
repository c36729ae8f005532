"""Attempts at shards: the newest is the one that counts, and what an earlier one was calling may be called again."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from judge.ports.store import Fence
from judge.store import schema as s
from judge.store.attempts import book, end
from judge.store.connections import Connections

OPEN, DONE = 1, 2


class Shards:
    """The part of RunStore about shards."""

    _db: Connections

    async def begin_shard(self, row: int, shard: int) -> int | None:
        """The number of a new attempt at a shard of a run; None if it is done."""
        return await self._db.write(lambda c: _begun(c, row, shard))

    async def end_shard(self, row: int, fence: Fence) -> None:
        """The shard is done, if the attempt is still its newest."""
        h = s.run_shard.c
        mine = (h.run_id == row) & (h.shard == fence.shard) & (h.attempt == fence.attempt)
        await self._db.write(lambda c: c.execute(update(s.run_shard).where(mine).values(state=DONE)))


def _begun(c: Connection, run: int, shard: int) -> int | None:
    h = s.run_shard.c
    this = (h.run_id == run) & (h.shard == shard)
    row = c.execute(select(h.attempt, h.state).where(this).with_for_update()).first()
    if row is None:
        owner = select(s.run.c.tenant_id).where(s.run.c.id == run).scalar_subquery()
        c.execute(insert(s.run_shard).values(run_id=run, shard=shard, tenant_id=owner, attempt=1, state=OPEN))
        return 1
    if row.state == DONE:
        return None
    c.execute(update(s.run_shard).where(this).values(attempt=row.attempt + 1))
    a = s.call_attempt.c
    left = c.execute(
        select(s.call_attempt).where(a.run_id == run, a.shard == shard, a.batch_id.is_(None), s.LIVE)
    ).all()
    end(c, left)
    book(c, left)
    return int(row.attempt) + 1


def fenced(c: Connection, run: int, fence: Fence, *, held: bool) -> bool:
    """Whether *fence* is of its shard's newest attempt; if *held*, none begins until this transaction ends."""
    h = s.run_shard.c
    newest = select(h.attempt).where(h.run_id == run, h.shard == fence.shard)
    return c.scalar(newest.with_for_update(read=True) if held else newest) == fence.attempt


def reopened(c: Connection, run: int) -> None:
    """Every shard of a run is to be looked at again."""
    c.execute(update(s.run_shard).where(s.run_shard.c.run_id == run).values(state=OPEN))
