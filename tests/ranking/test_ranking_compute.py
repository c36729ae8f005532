"""Long computations run in a single thread with a bounded queue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import repeat

import grpc
import numpy as np
import pytest

from judge.domain.errors import Busy
from judge.ranking.compute import QUEUE, Fits
from judge.rpc.errors import CODES
from judge.stats.battles import Battles
from judge.stats.bootstrap import resampled_wins
from judge.stats.cancellation import go_on
from judge.stats.cluster_bootstrap import Resamples
from judge.stats.elo import permuted_elo

PATIENCE = 60
BATTLES = Battles.from_names(["a"] * 1000, ["b"] * 1000, ["left"] * 1000)


@pytest.fixture
def fits() -> Iterator[Fits]:
    fits = Fits()
    yield fits
    fits.close()


async def test_fits_run_in_one_bounded_thread_with_a_queue_of_8(fits: Fits) -> None:
    """Fits run one at a time, off the event loop. Eight may wait, and the next is refused until the queue has space."""
    release, threads = threading.Event(), set()

    def held() -> None:
        threads.add(threading.current_thread())
        assert release.wait(PATIENCE)

    waiting = [asyncio.create_task(fits.run(held)) for _ in range(1 + QUEUE)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await fits.run(held)
    release.set()
    await asyncio.gather(*waiting)
    await fits.run(held)

    assert (QUEUE, CODES[Busy]) == (8, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert len(threads) == 1
    assert threading.main_thread() not in threads


def _resample(*, prompts: bool) -> None:
    clusters = np.arange(1000, dtype=np.int32) if prompts else None
    for _ in resampled_wins(BATTLES, clusters, 1000, np.random.default_rng(0), 10**7):
        pass


def _loop() -> None:
    while True:
        go_on()


ENDLESS: dict[str, Callable[[], object]] = {
    "a loop that calls go_on": _loop,
    "bootstrap of prompts": lambda: _resample(prompts=True),
    "bootstrap of battles": lambda: _resample(prompts=False),
    "bootstrap of figures": lambda: [block.sum() for block in Resamples(0, 10**9).of(1000)],
    "orders of Elo": lambda: [permuted_elo(BATTLES, np.random.default_rng(0), 2) for _ in repeat(None)],
}
"""Computations that would take hours, or never end."""


@pytest.mark.parametrize("endless", ENDLESS)
async def test_a_fit_that_nobody_waits_for_ends_at_its_next_batch(fits: Fits, endless: str) -> None:
    """When a caller goes away, the thread is free for the next caller."""
    begun = threading.Event()

    def compute() -> object:
        begun.set()
        return ENDLESS[endless]()

    call = asyncio.create_task(fits.run(compute))
    async with asyncio.timeout(PATIENCE):
        await asyncio.to_thread(begun.wait, PATIENCE)
        call.cancel()

        assert await fits.run(lambda: "next") == "next"


async def test_a_fit_that_somebody_waits_for_is_not_abandoned(fits: Fits) -> None:
    """The end of another call abandons no later fit, and no computation outside the thread."""
    first = asyncio.create_task(fits.run(lambda: None))
    await first
    go_on()

    assert [3] == await fits.run(lambda: [len(block) for block in Resamples(0, 3).of(5)])
