"""The store's own clock: seconds that all its processes agree on, whatever happens to the system clocks.

It advances by as much as its source did since the last look, but never goes back and never advances by more than JUMP
seconds at once. So if somebody sets a clock an hour ahead, no permit expires and no rate limit is exceeded. The source
is PostgreSQL's own clock, or, for a file, the machine's clock that counts suspension.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, update

from judge.ports.clock import Clock
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.dialects import alone

JUMP = 10.0
"""The most seconds that the clock advances between two looks."""
TICK = 1.0
"""Seconds for which a process uses its own clock before it looks again."""


class StoreClock:
    """The store's time, read from the database at most once in TICK seconds."""

    def __init__(self, db: Connections, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._looked = self._elapsed = 0.0
        self._known = False

    async def now(self) -> float:
        """Return the seconds since the store was created, not counting the time when no process used it."""
        since = self._clock.monotonic() - self._looked
        if not self._known or not 0 <= since < TICK:
            self._elapsed = await self._db.write(lambda c: _advance(c, self._clock.monotonic()))
            self._looked, self._known, since = self._clock.monotonic(), True, 0.0
        return self._elapsed + since


def _advance(c: Connection, monotonic: float) -> float:
    now = monotonic if alone(c) else float(c.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
    t = s.store_clock.c
    row = c.execute(select(s.store_clock).where(t.id == 1).with_for_update()).first()
    if row is None:
        c.execute(insert(s.store_clock).values(id=1, source=now, elapsed=0.0))
        return 0.0
    elapsed: float = row.elapsed + min(max(now - row.source, 0.0), JUMP)
    c.execute(update(s.store_clock).where(t.id == 1).values(source=now, elapsed=elapsed))
    return elapsed
