"""An account's rate limits, on a clock that moves only when a test moves it."""

from __future__ import annotations

import pytest

from judge.execution.rate_limits import LEASE_SECONDS, Account
from support.clocks import StillClock


class Line:
    """Calls that start as soon as an account allows them, with the time at which each started."""

    def __init__(self, account: Account, clock: StillClock) -> None:
        self.account, self.clock = account, clock
        self.starts: list[float] = []

    def go(self, seconds: float, *, tokens: int = 1, single: bool = False) -> None:
        """Start all calls that may start in the next *seconds*."""
        until = self.clock.time + seconds
        while self.clock.time < until:
            wait = self.account.wait(single=single)
            if wait > 0:
                self.clock.time += min(wait, until - self.clock.time) + 1e-9
                continue
            self.starts += [self.clock.time] * self.account.lease(1000, tokens, single=single)

    @property
    def busiest(self) -> int:
        """The largest number of calls that started in any one second."""
        return max(sum(1 for other in self.starts if start <= other < start + 1) for start in self.starts)


@pytest.mark.parametrize("per_minute", [6, 60, 1200])
def test_no_second_passes_the_limit_by_more_than_a_lease(per_minute: int) -> None:
    """Four runs on one account keep its rate limit together, and use it fully."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=per_minute, single_share=0.0)
    lines = [Line(account, clock) for _ in range(4)]

    for _ in range(60):
        for line in lines:
            line.go(0.5)

    together = Line(account, clock)
    together.starts = sorted(start for line in lines for start in line.starts)
    rate = per_minute / 60
    assert together.busiest <= rate + max(1, rate * LEASE_SECONDS)
    assert len(together.starts) >= rate * 120 * 0.95


def test_tokens_are_a_limit_of_their_own() -> None:
    """Long prompts start less often than short ones, and tokens that were not used are leased again."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=6000, tokens_per_minute=60_000, single_share=0.0)
    line = Line(account, clock)

    line.go(20, tokens=500)
    dear = given = len(line.starts)
    for _ in range(200):
        line.go(0.1, tokens=500)
        account.give_back(0, (len(line.starts) - given) * 250)
        given = len(line.starts)
    half = given - dear
    for _ in range(200):
        line.go(0.1, tokens=500)
        account.give_back(0, -(len(line.starts) - given) * 500)
        given = len(line.starts)

    assert dear == pytest.approx(40, abs=2)
    assert half == pytest.approx(80, abs=4)
    assert given - dear - half == pytest.approx(20, abs=3)


def test_single_comparisons_never_wait_behind_runs() -> None:
    """Runs get nine tenths of the rate; the last tenth is always free for single comparisons."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=600)
    runs = Line(account, clock)

    runs.go(30)

    assert len(runs.starts) == pytest.approx(270, abs=10)
    assert account.wait() > 0
    assert account.wait(single=True) <= 0


def test_a_throttled_account_slows_down_and_comes_back() -> None:
    """After a 429 it rests for as long as the provider says, continues at 70 % of its rate, and grows again."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=600, single_share=0.0)
    line = Line(account, clock)
    line.go(10)

    account.record_throttle(5.0)
    account.record_throttle(None)

    assert account.wait() == pytest.approx(5.0)
    clock.time += 5
    before = len(line.starts)
    line.go(10)
    slow = len(line.starts) - before
    for _ in range(100):
        clock.time += 1
        account.record_answer()
    before = len(line.starts)
    line.go(10)
    assert slow == pytest.approx(70, abs=3)
    assert len(line.starts) - before == pytest.approx(100, abs=3)


def test_an_account_without_a_limit_adapts_to_the_providers() -> None:
    """An account without a configured limit continues at 70 % of its own rate once it is throttled."""
    clock = StillClock()
    account = Account(clock, single_share=0.0)
    for number in range(50):
        clock.time += 0.02
        account.lease(1, 1)
        if number >= 45:
            account.record_throttle(0.0)
    assert account.lease(1000, 0) == 1000
    clock.time += 2
    for _ in range(50):
        account.lease(1, 1)

    for _ in range(6):
        account.record_throttle(0.0)
    line = Line(account, clock)
    line.go(10)

    assert len(line.starts) == pytest.approx(350, abs=20)


def test_a_few_throttled_calls_among_others_slow_nothing_down() -> None:
    """Up to a tenth of the calls may be throttled: the account is then at the provider's limit."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=6000, single_share=0.0)
    line = Line(account, clock)
    line.go(5)

    account.record_throttle(0.0)
    before = len(line.starts)
    line.go(5)

    assert len(line.starts) - before == pytest.approx(500, abs=10)


def test_an_account_is_not_slowed_below_the_rate_of_its_answers() -> None:
    """If most calls are answered and some are throttled, the rate becomes that of the answers."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=6000, single_share=0.0)
    line = Line(account, clock)
    line.go(0.99)
    for _ in range(80):
        account.record_answer()

    for _ in range(12):
        account.record_throttle(0.0)
    before = len(line.starts)
    line.go(10)

    assert len(line.starts) - before == pytest.approx(800, abs=20)
