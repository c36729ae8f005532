"""Slots for calls, which tenants and runs share fairly, and the limit on bytes of prompts in flight."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from judge.execution.slots import MemoryLimit, Slots


async def test_slots_are_served_in_the_order_of_requests() -> None:
    """Slots that are given back go to the first task that still waits, and never more are out than there are."""
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
    """The run with the fewest slots goes first; every fourth slot goes to the run that has waited longest."""
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
            # Make it a run that has just started, so that earlier slots do not count against it.
            slots._used[small] = 0

    assert order == [small, small, small, large] * 2


async def serve(slots: Slots, waiting: dict[str, tuple[int, str]], times: int) -> list[str]:
    """Pass a slot on *times* times among *waiting*, runs and tenants by name. Returns who got it each time."""
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
    """Two runs of one tenant get a quarter of the slots each, and the only run of another tenant gets half."""
    slots = Slots(1)
    await slots.take(1, 1, "many")

    order = await serve(slots, {"one": (1, "many"), "two": (2, "many"), "three": (3, "few")}, 40)

    assert [order.count(name) for name in ("one", "two", "three")] == [10, 10, 20]


async def test_a_tenant_that_starts_has_no_claim_from_before() -> None:
    """Slots of long ago do not count against a tenant, and a tenant that was idle does not catch up."""
    slots = Slots(1)
    await slots.take(1, 1, "busy")
    await serve(slots, {"one": (1, "busy")}, 100)

    order = await serve(slots, {"one": (1, "busy"), "two": (2, "idle")}, 20)

    assert [order.count(name) for name in ("one", "two")] == [10, 10]


async def test_slots_that_were_not_used_do_not_count_against_a_run() -> None:
    slots = Slots(2)
    await slots.take(2, run=1)
    slots.give_back(2, run=1)

    assert slots._used[1] == 0
    assert await slots.take(5, run=1) == 2


async def test_a_new_endpoint_gets_one_call_and_then_more() -> None:
    """Each call that ends adds a slot, up to the limit."""
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
    """Prompts in flight fit the limit, a larger prompt goes alone, and every prompt is admitted in the end."""

    async def main() -> None:
        memory_limit, held, most = MemoryLimit(256), 0, 0

        async def send(size: int) -> None:
            nonlocal held, most
            taken = await memory_limit.take(size)
            held += taken
            most = max(most, held)
            await asyncio.sleep(0)
            held -= taken
            memory_limit.give(taken)

        async with asyncio.timeout(10):
            await asyncio.gather(*map(send, sizes))
        assert (held, most <= 256) == (0, True)

    asyncio.run(main())
