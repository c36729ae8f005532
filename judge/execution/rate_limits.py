"""An account at a provider: whose turn it is, how fast, and whether anybody answers. Shared by all that use it.

Pace. Requests and tokens are handed out evenly, in leases of a tenth of a second's worth (or of one call, if that is
more): no second ever sees more than the limit and one lease. What the provider throttles (429) makes the
account rest for as long as it is told. Where that was more than a tenth of the last second's calls, it goes on at seven
tenths of its pace, but not below what was answered in that second; each second of answers it grows by a tenth again.
A share is kept for single comparisons, which have a pace of their own.

Circuit. After 20 transport failures in a row, or 100 of the last 200 calls, nobody is answering: calls stop, and one
of them is let through as a probe every 30 seconds. The first reply ends it.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from judge.domain.errors import TransportFailed
from judge.ports.records import RateLimit

if TYPE_CHECKING:
    from judge.ports.clock import Clock

LEASE_SECONDS = 0.1
"""So many seconds' worth of calls are handed out at once."""
IN_A_ROW, LAST, OF_LAST = 20, 200, 100
"""Transport failures that open the circuit: so many in a row, or so many of the last calls."""
PROBE_SECONDS = 30.0
"""While the circuit is open, one call goes out every so many seconds."""
PATIENCE = 3600.0
"""Seconds for which a provider may be down before showings are left without a verdict."""
SLOWER, FASTER = 0.7, 1.1
SOME, FEW = 0.1, 10
"""The share of a second's calls that may be throttled without slowing down, and the calls that tell a pace at all."""
PAUSE = 1.0
"""Seconds for which a throttled account rests where the provider does not say for how long."""
RECENT = 2000
"""So many calls are remembered, to tell how many there were in the last second."""
LONGEST = 4
"""Every so many slots go to who has waited longest for one, the others to who was given least."""
SLOWEST = 0.1
"""Calls a second below which no account is slowed down."""


class _Schedule:
    """Hands out *rate* units a second, evenly. Infinity is no limit. What is given back is handed out again."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.next = -math.inf
        self._credit = 0.0
        """Units given back after their time; at most a second's worth."""

    def take(self, units: float, now: float) -> None:
        """Hand out *units*."""
        if self.rate < math.inf:
            given = min(units, self._credit)
            self._credit -= given
            self.next = max(self.next, now) + (units - given) / self.rate

    def give_back(self, units: float, now: float) -> None:
        """Take *units* back; negative ones were used on top of what was handed out."""
        if self.rate < math.inf:
            ahead = max(0.0, self.next - now) * self.rate if units > 0 else units
            undone = min(units, ahead)
            self.next = max(self.next, now if units < 0 else self.next) - undone / self.rate
            self._credit = min(self.rate, self._credit + units - undone)


def _schedules(rate: float, single_share: float) -> dict[bool, _Schedule]:
    """The paces of single comparisons and of runs; one for both where no share is kept."""
    runs = _Schedule(rate * (1.0 - single_share))
    return {False: runs, True: _Schedule(rate * single_share) if single_share else runs}


class Account:
    """What judges of one account share. Rates are a minute's; 0 means that only the provider limits them.

    *shared_as* is its name at the store, where other processes call too.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        requests_per_minute: int = 0,
        tokens_per_minute: int = 0,
        single_share: float = 0.1,
        shared_as: str = "",
    ) -> None:
        self._clock, self._shared_as = clock, shared_as
        self._most = requests_per_minute / 60 or math.inf
        self._adapted = math.inf
        self._most_tokens = tokens_per_minute / 60 or math.inf
        self._single_share = single_share
        self._requests = _schedules(self._most, single_share)
        self._tokens = _schedules(self._most_tokens, single_share)
        self._resting_until = self._slowed = self._grown = -math.inf
        self._recent: deque[bool] = deque(maxlen=LAST)
        self._failures = 0
        self._begun: deque[float] = deque(maxlen=RECENT)
        self._answers: deque[float] = deque(maxlen=RECENT)
        self._throttles: deque[float] = deque(maxlen=RECENT)
        self._next_probe = -math.inf
        self._down_since: float | None = None
        self.replies = 0
        """How many calls were answered, in whatever way."""

    def shared_rate_limit(self, tokens: int, *, single: bool = False) -> RateLimit | None:
        """The limits that the store is to keep among all processes, for calls of about *tokens*; None if it need not.

        They are those of the config: what the provider throttles slows down each process by itself.
        """
        share = self._single_share if single and self._single_share else 1.0 - self._single_share
        calls, given = self._most * share, self._most_tokens * share
        if not self._shared_as or (math.isinf(calls) and math.isinf(given)):
            return None
        kept = f"{self._shared_as}/single" if single and self._single_share else self._shared_as
        return RateLimit(kept, calls, given, tokens)

    @property
    def down(self) -> bool:
        """Whether the circuit is open."""
        return self._down_since is not None

    @property
    def exhausted(self) -> bool:
        """Whether the provider has been down for longer than anybody waits."""
        return self._down_since is not None and self._clock.monotonic() - self._down_since > PATIENCE

    def wait(self, *, single: bool = False) -> float:
        """Seconds until the next call may begin; at most 0 if it may now."""
        now = self._clock.monotonic()
        if self.down:
            return self._next_probe - now
        return max(self._resting_until, self._requests[single].next, self._tokens[single].next) - now

    def lease(self, upto: int, tokens: int, *, single: bool = False) -> int:
        """How many calls, of about *tokens* each, may begin now: at most *upto*, at least 1. Ask `wait` first."""
        now = self._clock.monotonic()
        requests = self._requests[single]
        many = 1
        if self.down:
            self._next_probe = now + PROBE_SECONDS
        elif requests.rate < math.inf or self._tokens[single].rate < math.inf:
            calls = min(requests.rate, self._tokens[single].rate / max(tokens, 1)) * LEASE_SECONDS
            many = max(1, min(upto, int(calls)))
        else:
            many = upto
        requests.take(many, now)
        self._tokens[single].take(many * tokens, now)
        self._begun.extend([now] * min(many, RECENT))
        return many

    def give_back(self, calls: int, tokens: int, *, single: bool = False) -> None:
        """Return what was leased and is not used: *calls*, and *tokens* in all."""
        now = self._clock.monotonic()
        if calls:
            self._requests[single].give_back(calls, now)
        if tokens:
            self._tokens[single].give_back(tokens, now)

    async def turn(self, tokens: int, *, single: bool = False) -> None:
        """Wait until one call may begin. Raises TransportFailed while nobody answers."""
        while (wait := self.wait(single=single)) > 0:
            if self.down:
                raise TransportFailed("the provider is down; it is asked again every half minute")
            await self._clock.sleep(wait)
        self.lease(1, tokens, single=single)

    def answered(self) -> None:
        """A call was answered, be it with a refusal: somebody is there."""
        self.replies += 1
        self._failures = 0
        self._recent.append(False)
        if self._down_since is not None:
            self._down_since = None
            self._recent.clear()
        now = self._clock.monotonic()
        self._answers.append(now)
        if self._adapted < math.inf and now - self._grown >= 1:
            self._grown = now
            self._set_rate(self._adapted * FASTER)

    def failed(self) -> None:
        """A call was not answered, or by an error of the provider's own."""
        self._failures += 1
        self._recent.append(True)
        if self._down_since is None and (self._failures >= IN_A_ROW or sum(self._recent) >= OF_LAST):
            now = self._clock.monotonic()
            self._down_since, self._next_probe = now, now + PROBE_SECONDS

    def throttled(self, retry_after: float | None) -> None:
        """The provider is asked too often: rest, and go on more slowly."""
        now = self._clock.monotonic()
        self._resting_until = max(self._resting_until, now + (PAUSE if retry_after is None else retry_after))
        self._throttles.append(now)
        if now - self._slowed < 1:
            return
        begun, answered, throttled = (
            sum(1 for at in times if now - at <= 1) for times in (self._begun, self._answers, self._throttles)
        )
        present = min(self._adapted, self._most)
        if throttled <= begun * SOME or (present == math.inf and begun < FEW):
            return
        self._slowed = self._grown = now
        self._set_rate(max((present if present < math.inf else float(max(begun, 1))) * SLOWER, float(answered)))

    def _set_rate(self, rate: float) -> None:
        self._adapted = max(rate, SLOWEST)
        rate = min(self._adapted, self._most)
        self._requests[True].rate = rate * self._single_share
        self._requests[False].rate = rate * (1.0 - self._single_share)


@dataclass(frozen=True, eq=False, slots=True)
class _Waiting:
    tenant: str
    run: int
    served: asyncio.Future[None]


class Slots:
    """At most *limit* calls at once, whoever makes them.

    Tenants that wait have slots in turn, however many runs each has; who begins to wait has no claim from before. Of a
    tenant's runs the one that was given least goes first, and every fourth time the one that has waited longest: a
    small run is soon through beside a large one, and the large one goes on.

    With *ramp* it begins with one, and each that is given back makes room for one more, up to the limit: an endpoint
    nobody has talked to yet meets one call, not a burst, and a wrong key is found out by that one.
    """

    def __init__(self, limit: int, *, ramp: bool = False) -> None:
        self._free = 1 if ramp else limit
        self._grows = limit - self._free
        self._waiting: deque[_Waiting] = deque()
        self._given: Counter[int] = Counter()
        """To each run, slots that it made use of."""
        self._turns: Counter[str] = Counter()
        """To each tenant, the same; from the turn on that it was when it began to wait."""
        self._turn = 0
        self._handed: Counter[str] = Counter()

    async def take(self, upto: int, run: int = 0, tenant: str = "") -> int:
        """Between 1 and *upto* slots for *run* of *tenant*, as soon as there are any."""
        if all(one.tenant != tenant for one in self._waiting):
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
            # A commit frees the slots of its whole group: one permit for all of them, not one for each.
            return 1 + self._taken(upto - 1, run, tenant)
        return self._taken(upto, run, tenant)

    def _taken(self, upto: int, run: int, tenant: str) -> int:
        many = min(upto, self._free)
        self._free -= many
        self._count(many, run, tenant)
        return many

    def _count(self, many: int, run: int, tenant: str) -> None:
        self._turn = max(self._turn, self._turns[tenant])
        self._turns[tenant] += many
        self._given[run] += many

    def give_back(self, many: int, run: int = 0, tenant: str = "") -> None:
        """Give back *many* slots that *run* took and made no use of."""
        self._given[run] -= many
        self._turns[tenant] -= many
        self.give(many)

    def give(self, many: int) -> None:
        """Give *many* slots back."""
        more = min(many, self._grows)
        self._grows -= more
        for _ in range(many + more):
            self._hand_on()

    def _hand_on(self) -> None:
        self._waiting = deque(one for one in self._waiting if not one.served.done())
        if not self._waiting:
            self._free += 1
            return
        tenant = min((one.tenant for one in self._waiting), key=lambda name: self._turns[name])
        mine = [one for one in self._waiting if one.tenant == tenant]
        self._handed[tenant] += 1
        longest = self._handed[tenant] % LONGEST == 0
        one = mine[0] if longest else min(mine, key=lambda one: self._given[one.run])
        self._waiting.remove(one)
        self._count(1, one.run, tenant)
        one.served.set_result(None)


class MemoryLimit:
    """At most *size* bytes of prompts in flight; one that is larger than that goes alone."""

    def __init__(self, size: int = 256 * 1024 * 1024) -> None:
        self._size = self._free = size
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, size: int) -> int:
        """Wait until a prompt of *size* bytes may be in flight; the bytes to give back after that."""
        size = min(size, self._size)
        while self._free < size:
            served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(served)
            await served
        self._free -= size
        return size

    def give(self, size: int) -> None:
        """Give *size* bytes back; whoever waits looks again."""
        self._free += size
        while self._waiting:
            served = self._waiting.popleft()
            if not served.done():
                served.set_result(None)
