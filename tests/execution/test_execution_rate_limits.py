"""An account's pace, its circuit, slots and room: on a clock that moves only when somebody waits."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.config.settings import AccountSettings
from judge.domain.errors import TransportFailed
from judge.domain.judge import Limits
from judge.execution.circuit_breaker import IN_A_ROW, LAST, OF_LAST, PATIENCE, PROBE_SECONDS
from judge.execution.rate_limits import LEASE_SECONDS, Account
from judge.execution.slots import MemoryLimit, Slots
from support.clocks import StillClock


class Line:
    """Calls that begin on an account as soon as it lets them: when each began."""

    def __init__(self, account: Account, clock: StillClock) -> None:
        self.account, self.clock = account, clock
        self.begun: list[float] = []

    def go(self, seconds: float, *, tokens: int = 1, single: bool = False) -> None:
        """Begin whatever may begin in the next *seconds*."""
        until = self.clock.time + seconds
        while self.clock.time < until:
            wait = self.account.wait(single=single)
            if wait > 0:
                self.clock.time += min(wait, until - self.clock.time) + 1e-9
                continue
            self.begun += [self.clock.time] * self.account.lease(1000, tokens, single=single)

    @property
    def busiest(self) -> int:
        """The most calls that began in any one second."""
        return max(sum(1 for other in self.begun if begun <= other < begun + 1) for begun in self.begun)


@pytest.mark.parametrize("per_minute", [6, 60, 1200])
def test_no_second_passes_the_limit_by_more_than_a_lease(per_minute: int) -> None:
    """Four runs on one account take turns at one pace, and the pace is kept and used."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=per_minute, single_share=0.0)
    lines = [Line(account, clock) for _ in range(4)]

    for _ in range(60):
        for line in lines:
            line.go(0.5)

    together = Line(account, clock)
    together.begun = sorted(begun for line in lines for begun in line.begun)
    rate = per_minute / 60
    assert together.busiest <= rate + max(1, rate * LEASE_SECONDS)
    assert len(together.begun) >= rate * 120 * 0.95


def test_tokens_are_a_limit_of_their_own() -> None:
    """Long prompts go more rarely than short ones, and what was not used is given back."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=6000, tokens_per_minute=60_000, single_share=0.0)
    line = Line(account, clock)

    line.go(20, tokens=500)
    dear = given = len(line.begun)
    for _ in range(200):
        line.go(0.1, tokens=500)
        account.give_back(0, (len(line.begun) - given) * 250)
        given = len(line.begun)
    half = given - dear
    for _ in range(200):
        line.go(0.1, tokens=500)
        account.give_back(0, -(len(line.begun) - given) * 500)
        given = len(line.begun)

    assert dear == pytest.approx(40, abs=2)
    assert half == pytest.approx(80, abs=4)
    assert given - dear - half == pytest.approx(20, abs=3)


def test_single_comparisons_never_wait_behind_runs() -> None:
    """Runs take nine tenths; however busy they are, the last tenth is there at once."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=600)
    runs = Line(account, clock)

    runs.go(30)

    assert len(runs.begun) == pytest.approx(270, abs=10)
    assert account.wait() > 0
    assert account.wait(single=True) <= 0


def test_a_throttled_account_slows_down_and_comes_back() -> None:
    """After a 429 it rests for as long as it was told, goes on at seven tenths, and grows again."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=600, single_share=0.0)
    line = Line(account, clock)
    line.go(10)

    account.record_throttle(5.0)
    account.record_throttle(None)

    assert account.wait() == pytest.approx(5.0)
    clock.time += 5
    before = len(line.begun)
    line.go(10)
    slow = len(line.begun) - before
    for _ in range(100):
        clock.time += 1
        account.record_answer()
    before = len(line.begun)
    line.go(10)
    assert slow == pytest.approx(70, abs=3)
    assert len(line.begun) - before == pytest.approx(100, abs=3)


def test_without_a_limit_of_ours_the_providers_is_found() -> None:
    """An account that nobody limits goes at seven tenths of its own pace once it is throttled."""
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

    assert len(line.begun) == pytest.approx(350, abs=20)


def test_a_few_calls_throttled_among_many_slow_nobody_down() -> None:
    """What is below a tenth is the provider's edge, found and kept."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=6000, single_share=0.0)
    line = Line(account, clock)
    line.go(5)

    account.record_throttle(0.0)
    before = len(line.begun)
    line.go(5)

    assert len(line.begun) - before == pytest.approx(500, abs=10)


def test_an_account_is_not_slowed_below_what_is_answered() -> None:
    """Where most calls are answered although some are not, the pace is theirs."""
    clock = StillClock()
    account = Account(clock, requests_per_minute=6000, single_share=0.0)
    line = Line(account, clock)
    line.go(0.99)
    for _ in range(80):
        account.record_answer()

    for _ in range(12):
        account.record_throttle(0.0)
    before = len(line.begun)
    line.go(10)

    assert len(line.begun) - before == pytest.approx(800, abs=20)


async def test_a_circuit_opens_after_failures_in_a_row_and_lets_a_probe_through() -> None:
    """One call every half minute while nobody answers; the first answer closes it."""
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


def test_half_of_the_last_calls_failing_opens_it_too() -> None:
    """Where every other call fails nobody gets work done."""
    account = Account(StillClock())

    for _ in range(99):
        account.record_failure()
        account.record_answer()
    assert not account.down
    account.record_failure()

    assert account.down


def test_what_is_promised_is_the_default() -> None:
    """A tenth of an account for single comparisons, 20 failures in a row or half of 200, a probe in 30 s, two minutes.

    And 5 % of a run's showings, and 256 MiB in flight.
    """
    limits = Limits()

    assert (AccountSettings().single_share, IN_A_ROW, LAST, OF_LAST, PROBE_SECONDS) == (0.1, 20, 200, 100, 30)
    assert (limits.deadline_seconds, limits.max_failed_share, MemoryLimit()._size) == (120, 0.05, 256 * 1024 * 1024)


def test_a_provider_is_failed_after_an_hour() -> None:
    clock = StillClock()
    account = Account(clock)
    for _ in range(IN_A_ROW):
        account.record_failure()
    assert not account.exhausted

    clock.time += PATIENCE + 1

    assert account.exhausted


async def test_slots_are_shared_in_the_order_of_asking() -> None:
    """Never more than there are; one who waits is served when some are given back, and one who left is passed over."""
    slots = Slots(3)
    assert await slots.take(5) == 3
    waiting = [asyncio.create_task(slots.take(2)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)

    slots.give(1)

    assert await waiting[1] == 1
    assert not waiting[2].done()
    slots.give(3)
    assert await waiting[2] == 2
    assert await slots.take(5) == 1


async def test_a_small_run_gets_most_slots_beside_a_large_one() -> None:
    """Who was given least goes first, whoever asked first; every fourth slot goes to who has waited longest."""
    slots, large, small = Slots(1), 1, 2
    await slots.take(1, large)
    order = []
    for _ in range(8):
        waiting = {run: asyncio.create_task(slots.take(1, run)) for run in (large, small)}
        await asyncio.sleep(0)
        slots.give(1)
        await asyncio.sleep(0)
        [served] = [run for run, task in waiting.items() if task.done()]
        order.append(served)
        for task in waiting.values():
            task.cancel()
        await asyncio.gather(*waiting.values(), return_exceptions=True)
        if served == small:
            # As if it had only begun: what it was given is not held against it.
            slots._used[small] = 0

    assert order == [small, small, small, large] * 2


async def served(slots: Slots, waiting: dict[str, tuple[int, str]], times: int) -> list[str]:
    """Who has each of so many slots, one after another, where all of *waiting* always wait: runs with their tenants."""
    tasks: dict[str, asyncio.Task[int]] = {}
    order = []
    for _ in range(times):
        for name, (run, tenant) in waiting.items():
            if name not in tasks:
                tasks[name] = asyncio.create_task(slots.take(1, run, tenant))
        await asyncio.sleep(0)
        slots.give(1)
        await asyncio.sleep(0)
        [name] = [name for name, task in tasks.items() if task.done()]
        order.append(name)
        del tasks[name]
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    return order


async def test_slots_go_by_tenant_first_and_then_by_run() -> None:
    """Two runs of one tenant and one of another: a half to each tenant, and a quarter to each of the two."""
    slots = Slots(1)
    await slots.take(1, 1, "many")

    order = await served(slots, {"one": (1, "many"), "two": (2, "many"), "three": (3, "few")}, 40)

    assert [order.count(name) for name in ("one", "two", "three")] == [10, 10, 20]


async def test_a_tenant_that_begins_has_no_claim_from_before() -> None:
    """Neither is what a tenant was given long ago held against it, nor does one that had nothing catch up."""
    slots = Slots(1)
    await slots.take(1, 1, "busy")
    await served(slots, {"one": (1, "busy")}, 100)

    order = await served(slots, {"one": (1, "busy"), "two": (2, "idle")}, 20)

    assert [order.count(name) for name in ("one", "two")] == [10, 10]


async def test_slots_that_were_not_used_are_not_held_against_a_run() -> None:
    slots = Slots(2)
    await slots.take(2, run=1)
    slots.give_back(2, run=1)

    assert slots._used[1] == 0
    assert await slots.take(5, run=1) == 2


async def test_a_new_endpoint_meets_one_call_and_then_more() -> None:
    """Each call that ends makes room for one more, up to the limit."""
    slots = Slots(5, ramp=True)

    sizes = []
    for _ in range(4):
        taken = await slots.take(10)
        sizes.append(taken)
        slots.give(taken)

    assert sizes == [1, 2, 4, 5]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=40))
def test_bytes_in_flight_are_bounded(sizes: list[int]) -> None:
    """However large prompts are, what is in flight fits, or is one that goes alone; everyone gets in."""

    async def main() -> None:
        memory_limit, held, most = MemoryLimit(256), 0, 0

        async def one(size: int) -> None:
            nonlocal held, most
            taken = await memory_limit.take(size)
            held += taken
            most = max(most, held)
            await asyncio.sleep(0)
            held -= taken
            memory_limit.give(taken)

        async with asyncio.timeout(10):
            await asyncio.gather(*map(one, sizes))
        assert (held, most <= 256) == (0, True)

    asyncio.run(main())
