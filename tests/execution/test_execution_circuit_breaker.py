"""An account's circuit breaker, on a clock that moves only when a test moves it."""

from __future__ import annotations

import pytest

from judge.config.settings import AccountSettings
from judge.domain.errors import TransportFailed
from judge.domain.judge import Limits
from judge.execution.circuit_breaker import IN_A_ROW, LAST, OF_LAST, PATIENCE, PROBE_SECONDS
from judge.execution.rate_limits import Account
from judge.execution.slots import MemoryLimit
from support.clocks import StillClock


async def test_a_circuit_opens_after_failures_in_a_row_and_lets_a_probe_through() -> None:
    """While the circuit is open one call may start every half minute, and the first answer closes it."""
    clock = StillClock()
    account = Account(clock)
    for _ in range(IN_A_ROW - 1):
        account.record_failure()
    assert not account.down

    account.record_failure()

    assert account.down
    with pytest.raises(TransportFailed, match="down"):
        await account.turn(1)
    clock.time += PROBE_SECONDS
    assert account.wait() <= 0
    assert account.lease(100, 1) == 1
    assert account.wait() == PROBE_SECONDS
    account.record_answer()
    assert not account.down
    assert account.wait() <= 0


def test_a_circuit_opens_if_half_of_the_last_calls_failed() -> None:
    """100 failures among the last 200 calls open the circuit, even if they alternate with answers."""
    account = Account(StillClock())

    for _ in range(99):
        account.record_failure()
        account.record_answer()
    assert not account.down
    account.record_failure()

    assert account.down


def test_the_documented_limits_are_the_defaults() -> None:
    """The defaults are those of the documentation.

    A tenth of an account for single comparisons, 20 failures in a row or 100 of 200, a probe every 30 seconds, a
    deadline of two minutes, 5 % of a run's presentations, and 256 MiB in flight.
    """
    limits = Limits()

    assert (AccountSettings().single_share, IN_A_ROW, LAST, OF_LAST, PROBE_SECONDS) == (0.1, 20, 200, 100, 30)
    assert (limits.deadline_seconds, limits.max_failed_share, MemoryLimit()._size) == (120, 0.05, 256 * 1024 * 1024)


def test_calls_to_a_provider_fail_for_good_after_an_hour() -> None:
    clock = StillClock()
    account = Account(clock)
    for _ in range(IN_A_ROW):
        account.record_failure()
    assert not account.exhausted

    clock.time += PATIENCE + 1

    assert account.exhausted
