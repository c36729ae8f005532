"""The store's own clock: seconds that all its processes agree on, and that no wall clock can move.

It goes on by what its source went on since it was last looked at, but never back, and never by more than JUMP at once:
a clock that somebody sets an hour ahead makes no permit run out and no account overflow. The source is PostgreSQL's
own clock, or for a file the one of the machine that counts suspension.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, update

from judge.ports.clock import Clock
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.dialects import alone

JUMP = 10.0
"""So many seconds at most are taken for real between two looks."""
TICK = 1.0
"""Seconds for which a process goes on by its own clock before it looks again."""


class StoreClock:
    """Tells the store's time, looking at most once in TICK seconds."""

    def __init__(self, db: Connections, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._looked = self._elapsed = 0.0
        self._known = False

    async def now(self) -> float:
        """Seconds since the store was made, as far as anybody worked on it."""
        since = self._clock.monotonic() - self._looked
        if not self._known or not 0 <= since < TICK:
            self._elapsed = await self._db.write(lambda c: _ticked(c, self._clock.monotonic()))
            self._looked, self._known, since = self._clock.monotonic(), True, 0.0
        return self._elapsed + since


def _ticked(c: Connection, monotonic: float) -> float:
    now = monotonic if alone(c) else float(c.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
    t = s.store_clock.c
    row = c.execute(select(s.store_clock).where(t.id == 1).with_for_update()).first()
    if row is None:
        c.execute(insert(s.store_clock).values(id=1, source=now, elapsed=0.0))
        return 0.0
    elapsed: float = row.elapsed + min(max(now - row.source, 0.0), JUMP)
    c.execute(update(s.store_clock).where(t.id == 1).values(source=now, elapsed=elapsed))
    return elapsed
