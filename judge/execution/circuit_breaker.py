"""A circuit breaker for a provider that is down: calls stop, and a probe every 30 seconds finds out when it is back.

The circuit opens when 10 different presentations failed in transport and no call was answered in between. So a
presentation that the provider can never answer does not count as an outage. While the circuit is open, only one call
every 30 seconds may start. The first answer closes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from judge.domain.verdict import CallKey
    from judge.ports.clock import Clock

DISTINCT = 10
"""Presentations that must fail without an answer to any call in between before the circuit opens."""
PROBE_SECONDS = 30.0
"""Seconds between two probes while the circuit is open."""
PATIENCE = 3600.0
"""Seconds after which calls to a provider that is still down fail for good."""


class Outage(NamedTuple):
    """What is known about a provider that is down. Times are on the monotonic clock."""

    since: float
    """When the calls began to fail."""
    until: float
    """When calls to the provider begin to fail for good."""
    cause: str
    """Why the last call failed."""


class CircuitBreaker:
    """Whether a provider answers, judged by its last calls."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: set[CallKey] = set()
        """The presentations whose calls failed since the last answer."""
        self._next_probe = 0.0
        self._cause = ""
        self._failing_since = 0.0
        """When the first of *_failed* failed."""
        self._open_since: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the provider counts as down, so that only probes may start."""
        return self._open_since is not None

    @property
    def exhausted(self) -> bool:
        """Whether the provider has been down for longer than PATIENCE."""
        return self._open_since is not None and self._clock.monotonic() - self._open_since > PATIENCE

    @property
    def outage(self) -> Outage | None:
        """What is known about the provider while the circuit is open."""
        if self._open_since is None:
            return None
        return Outage(since=self._failing_since, until=self._open_since + PATIENCE, cause=self._cause)

    def seconds_to_probe(self) -> float:
        """Seconds until the next probe may start; at most 0 if it may start now. Only meaningful while open."""
        return self._next_probe - self._clock.monotonic()

    def start_probe(self) -> None:
        """Note that a probe starts now."""
        self._next_probe = self._clock.monotonic() + PROBE_SECONDS

    def record_answer(self) -> None:
        """Note that the provider answered a call, and close the circuit."""
        self._failed.clear()
        self._open_since = None

    def record_failure(self, key: CallKey, cause: str = "") -> None:
        """Note that a call for the presentation *key* got no answer, and its *cause*. Open the circuit if need be."""
        self._cause = cause or self._cause
        if self.is_open:
            return
        if not self._failed:
            self._failing_since = self._clock.monotonic()
        self._failed.add(key)
        if len(self._failed) >= DISTINCT:
            self._open_since = self._clock.monotonic()
            self.start_probe()
