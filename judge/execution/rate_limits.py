"""The rate at which an account at a provider may be called. All judges that use the account share it.

Requests and tokens are leased evenly, a tenth of a second's worth at a time (or one call, if that is more). So no
second sees more than the limit plus one lease. Part of the rate is reserved for single comparisons.

After a 429 the account rests for as long as the provider says. If more than a tenth of the last second's calls were
throttled, the rate falls to 70 %, but not below the number of calls that were answered in that second. It then grows
by 10 % per second in which calls are answered.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from judge.domain.errors import TransportFailed
from judge.domain.judge import SINGLE_SHARE
from judge.execution.circuit_breaker import DISTINCT, PROBE_SECONDS, CircuitBreaker, Outage
from judge.ports.records import RateLimit

if TYPE_CHECKING:
    from judge.domain.verdict import CallKey
    from judge.ports.clock import Clock

LEASE_SECONDS = 0.1
"""Seconds' worth of calls in one lease."""
SLOWER, FASTER = 0.7, 1.1
"""Factors by which the rate falls when the provider throttles, and grows again."""
TOLERATED = 0.1
"""Share of a second's calls that may be throttled without slowing down."""
FEW = 10
"""Calls in the last second below which the rate of an account without a limit is not known well enough to lower it."""
REST = 1.0
"""Seconds for which a throttled account rests if the provider does not say for how long."""
REMEMBERED = 2000
"""Calls whose times are remembered to count those of the last second."""
THROTTLE_PATIENCE = 25 * 3600.0
"""Seconds after which calls fail for good if all are throttled. Within a day, any daily quota has been renewed."""
SLOWEST = 0.1
"""Calls a second below which no account is slowed down."""


class _Schedule:
    """Leases *rate* units a second, evenly; infinity means no limit. Returned units are leased again."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.next = -math.inf
        """When the next unit may be leased."""
        self._credit = 0.0
        """Units that were returned too late to move `next` back; at most a second's worth."""

    def take(self, units: float, now: float) -> None:
        """Lease *units*."""
        if self.rate < math.inf:
            from_credit = min(units, self._credit)
            self._credit -= from_credit
            self.next = max(self.next, now) + (units - from_credit) / self.rate

    def give_back(self, units: float, now: float) -> None:
        """Return *units*; a negative number means that more were used than leased."""
        if self.rate < math.inf:
            ahead = max(0.0, self.next - now) * self.rate if units > 0 else units
            undone = min(units, ahead)
            self.next = max(self.next, now if units < 0 else self.next) - undone / self.rate
            self._credit = min(self.rate, self._credit + units - undone)


def _schedules(rate: float, single_share: float) -> dict[bool, _Schedule]:
    """The schedules of single comparisons (True) and of runs (False); the same one if no share is reserved."""
    runs = _Schedule(rate * (1.0 - single_share))
    return {False: runs, True: _Schedule(rate * single_share) if single_share else runs}


class Account:
    """The rate limits and the circuit breaker of an account at a provider.

    Args:
        clock: The time, and how to wait.
        requests_per_minute: Limit on requests; 0 means that only the provider limits them.
        tokens_per_minute: Limit on tokens; 0 likewise.
        single_share: The share of both limits that is reserved for single comparisons.
        shared_as: The account's name in the store, if other processes use it too.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        requests_per_minute: int = 0,
        tokens_per_minute: int = 0,
        single_share: float = SINGLE_SHARE,
        shared_as: str = "",
    ) -> None:
        self._clock, self._shared_as = clock, shared_as
        self._max_rate = requests_per_minute / 60 or math.inf
        self._adapted_rate = math.inf
        self._max_token_rate = tokens_per_minute / 60 or math.inf
        self._single_share = single_share
        self._requests = _schedules(self._max_rate, single_share)
        self._tokens = _schedules(self._max_token_rate, single_share)
        self._circuit = CircuitBreaker(clock)
        self._resting_until = self._slowed_at = self._grown_at = -math.inf
        self._throttled_since: float | None = None
        """Since when all calls have been throttled."""
        self.throttle = ""
        """What the provider said when it last throttled a call."""
        self._throttled: set[CallKey] = set()
        """The presentations whose calls were throttled since the last answer."""
        self._starts: deque[float] = deque(maxlen=REMEMBERED)
        self._answers: deque[float] = deque(maxlen=REMEMBERED)
        self._throttles: deque[float] = deque(maxlen=REMEMBERED)

    def shared_rate_limit(self, tokens: int, *, single: bool = False) -> RateLimit | None:
        """The limits that the store enforces across processes for calls of about *tokens*; None if it need not.

        These are the configured limits. When the provider throttles, each process slows down by itself.
        """
        reserved = single and self._single_share
        share = self._single_share if reserved else 1.0 - self._single_share
        calls, leased_tokens = self._max_rate * share, self._max_token_rate * share
        if not self._shared_as or (math.isinf(calls) and math.isinf(leased_tokens)):
            return None
        return RateLimit(
            account=f"{self._shared_as}/single" if reserved else self._shared_as,
            calls=calls,
            tokens=leased_tokens,
            tokens_each=tokens,
        )

    @property
    def down(self) -> bool:
        """Whether the provider is down, so that only probes may start."""
        return self._circuit.is_open

    @property
    def exhausted(self) -> bool:
        """Whether the provider has been down, or has throttled all calls, for so long that calls fail for good."""
        return self._circuit.exhausted or self._clock.monotonic() > self.gives_up_at

    @property
    def gives_up_at(self) -> float:
        """When, on the monotonic clock, throttled calls begin to fail for good; infinity while calls are answered."""
        return math.inf if self._throttled_since is None else self._throttled_since + THROTTLE_PATIENCE

    @property
    def outage(self) -> Outage | None:
        """What is known about the provider while it is down."""
        return self._circuit.outage

    @property
    def refuses_all(self) -> bool:
        """Whether so many presentations were throttled since the last answer that none of them is to blame."""
        return len(self._throttled) >= DISTINCT

    @property
    def resting_until(self) -> float:
        """Until when, on the monotonic clock, the provider wants no more calls."""
        return self._resting_until

    def wait(self, *, single: bool = False) -> float:
        """Seconds until the next call may start; at most 0 if it may start now."""
        if self.down:
            return self._circuit.seconds_to_probe()
        now = self._clock.monotonic()
        return max(self._resting_until, self._requests[single].next, self._tokens[single].next) - now

    def lease(self, upto: int, tokens: int, *, single: bool = False) -> int:
        """Lease between 1 and *upto* calls of about *tokens* each, which may start now. Check `wait` first."""
        now = self._clock.monotonic()
        n_calls = 1 if self.down else self._lease_size(upto, tokens, single=single)
        if self.down:
            self._circuit.start_probe()
        self._requests[single].take(n_calls, now)
        self._tokens[single].take(n_calls * tokens, now)
        self._starts.extend([now] * min(n_calls, REMEMBERED))
        return n_calls

    def _lease_size(self, upto: int, tokens: int, *, single: bool) -> int:
        rate, token_rate = self._requests[single].rate, self._tokens[single].rate
        if rate == math.inf and token_rate == math.inf:
            return upto
        return max(1, min(upto, int(min(rate, token_rate / max(tokens, 1)) * LEASE_SECONDS)))

    def give_back(self, calls: int, tokens: int, *, single: bool = False) -> None:
        """Return what was leased and not used: *calls*, and *tokens* in total."""
        now = self._clock.monotonic()
        if calls:
            self._requests[single].give_back(calls, now)
        if tokens:
            self._tokens[single].give_back(tokens, now)

    async def turn(self, tokens: int, *, single: bool = False) -> None:
        """Wait until one call may start. Raises TransportFailed while the provider is down."""
        while (wait := self.wait(single=single)) > 0:
            if self.down:
                raise TransportFailed(f"the provider is down; it is tried again every {PROBE_SECONDS:.0f} seconds")
            await self._clock.sleep(wait)
        self.lease(1, tokens, single=single)

    def record_answer(self) -> None:
        """Note that the provider answered a call, even if it refused it."""
        self._circuit.record_answer()
        self._throttled_since = None
        self._throttled.clear()
        now = self._clock.monotonic()
        self._answers.append(now)
        if self._adapted_rate < math.inf and now - self._grown_at >= 1:
            self._grown_at = now
            self._set_rate(self._adapted_rate * FASTER)

    def record_failure(self, key: CallKey, cause: str = "") -> None:
        """Note that a call for the presentation *key* got no answer, or an error of the provider's own."""
        self._circuit.record_failure(key, cause)

    def record_throttle(self, retry_after: float | None, message: str = "", key: CallKey | None = None) -> None:
        """Note that the provider throttled a call, for the presentation *key*.

        Rest for *retry_after* seconds, and lower the rate if need be.
        """
        now = self._clock.monotonic()
        self.throttle = message
        if key is not None:
            self._throttled.add(key)
        if self._throttled_since is None:
            self._throttled_since = now
        self._resting_until = max(self._resting_until, now + (REST if retry_after is None else retry_after))
        self._throttles.append(now)
        if now - self._slowed_at < 1:
            return
        started, answered, throttled = (
            sum(1 for at in times if now - at <= 1) for times in (self._starts, self._answers, self._throttles)
        )
        rate = min(self._adapted_rate, self._max_rate)
        if throttled <= started * TOLERATED or (rate == math.inf and started < FEW):
            return
        self._slowed_at = self._grown_at = now
        self._set_rate(max((rate if rate < math.inf else float(max(started, 1))) * SLOWER, float(answered)))

    def _set_rate(self, rate: float) -> None:
        self._adapted_rate = max(rate, SLOWEST)
        rate = min(self._adapted_rate, self._max_rate)
        self._requests[True].rate = rate * self._single_share
        self._requests[False].rate = rate * (1.0 - self._single_share)
