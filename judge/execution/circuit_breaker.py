"""A circuit breaker for a provider that is down: calls stop, and a probe every 30 seconds finds out when it is back.

The circuit opens after 20 transport failures in a row, or after 100 failures among the last 200 calls. While it is
open, only one call every 30 seconds may start. The first answer closes it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.ports.clock import Clock

IN_A_ROW, LAST, OF_LAST = 20, 200, 100
"""Transport failures that open the circuit: IN_A_ROW consecutive ones, or OF_LAST of the LAST calls."""
PROBE_SECONDS = 30.0
"""Seconds between two probes while the circuit is open."""
PATIENCE = 3600.0
"""Seconds after which calls to a provider that is still down fail for good."""


class CircuitBreaker:
    """Whether a provider answers, judged by its last calls."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: deque[bool] = deque(maxlen=LAST)
        """Whether each of the last calls failed."""
        self._failures_in_a_row = 0
        self._next_probe = 0.0
        self._open_since: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the provider counts as down, so that only probes may start."""
        return self._open_since is not None

    @property
    def exhausted(self) -> bool:
        """Whether the provider has been down for longer than PATIENCE."""
        return self._open_since is not None and self._clock.monotonic() - self._open_since > PATIENCE

    def seconds_to_probe(self) -> float:
        """Seconds until the next probe may start; at most 0 if it may start now. Only meaningful while open."""
        return self._next_probe - self._clock.monotonic()

    def start_probe(self) -> None:
        """Note that a probe starts now."""
        self._next_probe = self._clock.monotonic() + PROBE_SECONDS

    def record_answer(self) -> None:
        """Note that the provider answered a call, and close the circuit."""
        self._failures_in_a_row = 0
        self._failed.append(False)
        if self.is_open:
            self._open_since = None
            self._failed.clear()

    def record_failure(self) -> None:
        """Note that a call got no answer; open the circuit if that happened too often."""
        self._failures_in_a_row += 1
        self._failed.append(True)
        if not self.is_open and (self._failures_in_a_row >= IN_A_ROW or sum(self._failed) >= OF_LAST):
            self._open_since = self._clock.monotonic()
            self.start_probe()
