"""An account's circuit breaker, on a clock that moves only when a test moves it."""

from __future__ import annotations

import pytest

from judge.config.settings import AccountSettings
from judge.domain.errors import TransportFailed
from judge.domain.judge import Limits
from judge.domain.verdict import CallKey
from judge.execution.circuit_breaker import DISTINCT, PATIENCE, PROBE_SECONDS
from judge.execution.rate_limits import Account
from judge.execution.slots import MemoryLimit
from support.clocks import StillClock


def key(number: int) -> CallKey:
    return CallKey(fingerprint=1, prompt=number, turn=1, first=1, second=2)


async def test_a_circuit_opens_after_failures_in_a_row_and_lets_a_probe_through() -> None:
    """While the circuit is open one call may start every half minute, and the first answer closes it."""
    clock = StillClock()
    account = Account(clock)
    for number in range(DISTINCT - 1):
        account.record_failure(key(number))
    assert not account.down

    account.record_failure(key(DISTINCT))

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


def test_presentations_that_always_fail_open_no_circuit() -> None:
    """Nine presentations may fail a hundred times each, and an answer to any other call starts the count again."""
    account = Account(StillClock())

    for number in range(900):
        account.record_failure(key(number % 9))
    before = account.down
    account.record_answer()
    for number in range(9, 18):
        account.record_failure(key(number))

    assert (before, account.down) == (False, False)


def test_the_documented_limits_are_the_defaults() -> None:
    """The defaults are those of the documentation.

    A tenth of an account for single comparisons, 10 presentations that fail in a row, a probe every 30 seconds, a
    deadline of two minutes, 5 % of a run's presentations, and 256 MiB in flight.
    """
    limits = Limits()

    assert (AccountSettings().single_share, DISTINCT, PROBE_SECONDS) == (0.1, 10, 30)
    assert (limits.deadline_seconds, limits.max_failed_share, MemoryLimit()._size) == (120, 0.05, 256 * 1024 * 1024)


def test_calls_to_a_provider_fail_for_good_after_an_hour() -> None:
    clock = StillClock()
    account = Account(clock)
    for number in range(DISTINCT):
        account.record_failure(key(number))
    assert not account.exhausted

    clock.time += PATIENCE + 1

    assert account.exhausted
