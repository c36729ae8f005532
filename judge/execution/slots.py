"""Limits on what is in flight at the same time: slots for calls, shared fairly, and bytes of prompts and replies."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

LONGEST = 4
"""Every fourth free slot goes to the run that has waited longest; the others go to the run that has had the fewest."""


@dataclass(frozen=True, eq=False, slots=True)
class _Waiting:
    tenant: str
    run: int
    served: asyncio.Future[None]


class Slots:
    """Allows at most *limit* calls at the same time, and shares them fairly between tenants and their runs.

    Tenants that wait take turns, no matter how many runs each of them has. A tenant that starts to wait has no claim
    from earlier. Within a tenant, the next slot goes to the run that has had the fewest; every fourth one goes to the
    run that has waited longest. So a small run finishes soon next to a large one, and the large one still advances.

    With *ramp* there is one slot at first. Each slot that is given back adds one more, up to *limit*. So an endpoint
    that has not been called before gets one call, not a burst, and that one call reveals a wrong key.
    """

    def __init__(self, limit: int, *, ramp: bool = False) -> None:
        self._free = 1 if ramp else limit
        self._to_add = limit - self._free
        self._waiting: deque[_Waiting] = deque()
        self._used: Counter[int] = Counter()
        """Slots that each run has used."""
        self._turns: Counter[str] = Counter()
        """Slots that each tenant has used, counted from the turn at which it started to wait."""
        self._turn = 0
        self._passed_on: Counter[str] = Counter()
        """Slots that each tenant got by waiting for them."""

    async def take(self, upto: int, run: int = 0, tenant: str = "") -> int:
        """Wait until a slot is free and take between 1 and *upto* slots for *run* of *tenant*; returns how many."""
        if all(waiting.tenant != tenant for waiting in self._waiting):
            self._turns[tenant] = max(self._turns[tenant], self._turn)
        if self._waiting or not self._free:
            mine = _Waiting(tenant, run, asyncio.get_running_loop().create_future())
            self._waiting.append(mine)
            try:
                await mine.served
            except asyncio.CancelledError:
                if mine.served.done() and not mine.served.cancelled():
                    self.give_back(1, run, tenant)
                raise
            # A commit frees the slots of a whole group. Taking them together saves a permit request for each.
            return 1 + self._take_free(upto - 1, run, tenant)
        return self._take_free(upto, run, tenant)

    def _take_free(self, upto: int, run: int, tenant: str) -> int:
        n_slots = min(upto, self._free)
        self._free -= n_slots
        self._count(n_slots, run, tenant)
        return n_slots

    def _count(self, n_slots: int, run: int, tenant: str) -> None:
        self._turn = max(self._turn, self._turns[tenant])
        self._turns[tenant] += n_slots
        self._used[run] += n_slots

    def give_back(self, n_slots: int, run: int = 0, tenant: str = "") -> None:
        """Return slots that *run* took and did not use; they do not count against it."""
        self._used[run] -= n_slots
        self._turns[tenant] -= n_slots
        self.give(n_slots)

    def give(self, n_slots: int) -> None:
        """Return slots that were used."""
        n_added = min(n_slots, self._to_add)
        self._to_add -= n_added
        for _ in range(n_slots + n_added):
            self._pass_on()

    def _pass_on(self) -> None:
        self._waiting = deque(waiting for waiting in self._waiting if not waiting.served.done())
        if not self._waiting:
            self._free += 1
            return
        tenant = min((waiting.tenant for waiting in self._waiting), key=lambda name: self._turns[name])
        candidates = [waiting for waiting in self._waiting if waiting.tenant == tenant]
        self._passed_on[tenant] += 1
        by_wait = self._passed_on[tenant] % LONGEST == 0
        chosen = candidates[0] if by_wait else min(candidates, key=lambda waiting: self._used[waiting.run])
        self._waiting.remove(chosen)
        self._count(1, chosen.run, tenant)
        chosen.served.set_result(None)


class MemoryLimit:
    """Allows at most *size* bytes of prompts or of large replies in flight; what is larger than that goes alone."""

    def __init__(self, size: int = 256 * 1024 * 1024) -> None:
        self._size = self._free = size
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, size: int) -> int:
        """Wait until *size* bytes may be in flight; returns the bytes to give back afterward."""
        size = min(size, self._size)
        while self._free < size:
            served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(served)
            await served
        self._free -= size
        return size

    def give(self, size: int) -> None:
        """Give *size* bytes back and wake all that wait, so that each checks again."""
        self._free += size
        while self._waiting:
            served = self._waiting.popleft()
            if not served.done():
                served.set_result(None)


class LargeReply:
    """The memory that one call holds from the moment at which its reply turns out to be large until it is stored."""

    def __init__(self, limit: MemoryLimit) -> None:
        self._limit = limit
        self._held = 0

    async def reserve(self, n_bytes: int) -> None:
        """Wait until *n_bytes* are free, unless the call has reserved some already."""
        if not self._held:
            self._held = await self._limit.take(n_bytes)

    def give_back(self) -> None:
        """Give back what is held."""
        self._limit.give(self._held)
        self._held = 0
