"""Each key is paid once however many runs need it, and a run never spends more than its budget."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient
from support.call_journal import FakeProvider, fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, ServiceProcesses, running_service
from support.killing import PATIENT, kill_processes
from support.temporal_service import TemporalService
from support.watched_run import RunWatcher, spec, start_run, upload, verdicts

KILLS = 5
CONCURRENCY = 16
MICROS = 1900
"""Budget per planned call in micro-USD. A call costs 2,100 and reserves 13,300, so the budget is used up even if a
killed process held no reservation."""
LOOK_SECONDS = 0.05
RESERVED = text(
    "SELECT run.cost_micros, run.calls, COALESCE(SUM(a.cost_micros + a.worst_micros), 0), COUNT(a.id) FROM run "
    "LEFT JOIN call_attempt a ON a.run_id = run.id AND a.state = 'live' GROUP BY run.cost_micros, run.calls"
)
"""What the only run has spent and reserved at the worst, in micro-USD and in calls."""
MEAN = 10
"""What a call of the fake provider costs in micro-USD if its output costs 1 USD per million tokens."""
WIDE = 64
"""Calls in flight in each worker of the test below."""
PLANNED = 1200
AFFORDABLE = 1000
"""Calls that the budget pays for, and that the run without a budget makes."""
TIMES_AS_DEAR = (40, 400)
KILL_AT = (250, 350)
MOST_TIMES = 2.5
"""Times as long as without a budget that the test tolerates. The goal of 1.5 holds on a machine that is not busy."""


async def test_two_equal_runs_started_together_pay_each_key_once(
    kind: Kind, folder: Path, calls: int, say: Say
) -> None:
    """Two equal runs end with every verdict; the provider sees each call once, and each run reuses the other's."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder) as fake,
        running_service(kind(folder, JudgeConfig(fake.url))) as service,
        JudgeClient(service.address) as client,
    ):
        await upload(client, calls)
        runs = await asyncio.gather(client.create_run(spec()), client.create_run(spec()))
        ends = await asyncio.gather(*(RunWatcher().watch(service.address, run.name) for run in runs))
        kept = [await verdicts(service.address, run.name) for run in runs]

    lost = sum(calls - len(stored) for stored in kept)
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), calls {[end.counts.calls for end in ends]}")
    assert (lost, fake.repeated, fake.calls.total()) == (0, 0, calls)
    assert {end.state for end in ends} == {pb.RUN_STATE_DONE}
    assert sum(end.counts.calls for end in ends) == sum(end.counts.reused for end in ends) == calls
    assert kept[0] == kept[1]


class Ledger:
    """Polls what the only run of a service has spent and reserved, and keeps the maximum."""

    def __init__(self, service: ServiceProcesses) -> None:
        self._engine = create_engine(service.store_url)
        self._ended = False
        self.micros = self.calls = 0

    async def look(self) -> None:
        """Poll until `end` is called, then close the database."""
        while not self._ended:
            spent, made, reserved, live = await asyncio.to_thread(self._row)
            self.micros, self.calls = max(self.micros, spent + reserved), max(self.calls, made + live)
            await asyncio.sleep(LOOK_SECONDS)
        self._engine.dispose()

    def _row(self) -> tuple[int, int, int, int]:
        with self._engine.connect() as connection:
            spent, made, reserved, live = connection.execute(RESERVED).first() or (0, 0, 0, 0)
        return int(spent), int(made), int(reserved), int(live)

    def end(self) -> None:
        """Stop after the current poll."""
        self._ended = True


@pytest.mark.parametrize("what", ["calls", "micros"])
async def test_a_budget_holds_whatever_dies(kind: Kind, folder: Path, calls: int, say: Say, what: str) -> None:
    """With 5 kills, spent plus reserved never exceeds a hard budget; orphaned attempts count as their reservation."""
    calls, rng = calls // 5, random.Random(7)
    budget = pb.Budget(calls=calls // 2) if what == "calls" else pb.Budget(cost_micros=calls * MICROS, hard=True)
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder) as fake,
        running_service(
            kind(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT, price=1.0), workers=4)
        ) as service,
    ):
        ledger = Ledger(service)
        run = await start_run(service.address, calls, budget=budget)
        looking = asyncio.create_task(ledger.look())
        await kill_processes(fake, sorted(rng.sample(range(calls // 20, calls // 6), KILLS)), service.killable, rng)
        ended = await RunWatcher().watch(service.address, run)
        kept = await verdicts(service.address, run)
        ledger.end()
        await looking

    lost, most = ended.counts.by_status["ok"] - len(kept), KILLS * CONCURRENCY
    seen, limit = (ledger.calls, budget.calls) if what == "calls" else (ledger.micros, budget.cost_micros)
    say(f"lost {lost} repeated {fake.read().repeated} (at most {most}), at most {seen} of {limit} {what} spent")
    assert (ended.state, ended.state_reason) == (pb.RUN_STATE_DONE, "BUDGET_STOPPED")
    assert limit * 0.7 < seen <= limit
    assert lost == 0
    assert fake.repeated <= most
    if what == "calls":
        assert fake.calls.total() <= limit


@dataclass(frozen=True)
class Watched:
    """How a run ended, how long it took, and how many calls the provider received of it."""

    run: pb.Run
    seconds: float
    calls: int


async def run_with_kills(
    service: ServiceProcesses, fake: FakeProvider, *, judge: str, calls: int, budget: pb.Budget | None = None
) -> Watched:
    """Run *judge* over a dataset of its own, and kill a worker with calls in flight at each of KILL_AT calls."""
    before, began, rng = fake.read().calls.total(), time.monotonic(), random.Random(7)
    run = await start_run(service.address, calls, dataset=judge, judge=judge, budget=budget)
    await kill_processes(fake, [before + at for at in KILL_AT], service.workers, rng)
    ended = await RunWatcher().watch(service.address, run)
    return Watched(ended, time.monotonic() - began, fake.read().calls.total() - before)


async def test_a_budget_is_used_whatever_the_worst_call_costs(
    on_temporal: partial[TemporalService], folder: Path, say: Say
) -> None:
    """Where a call may cost 40 or 400 times as much as it does, with four workers and two kills, the budget is used.

    At least nine tenths of it are booked, and never more than all of it.
    """
    dear = [MEAN * times for times in TIMES_AS_DEAR]
    judge_config = JudgeConfig("", WIDE, deadline=PATIENT, price=1.0, free_input=True, also=tuple(dear))
    budget = pb.Budget(cost_micros=AFFORDABLE * MEAN)
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder) as fake,
        running_service(on_temporal(folder, replace(judge_config, url=fake.url), workers=4)) as service,
    ):
        free = await run_with_kills(service, fake, judge="far", calls=AFFORDABLE)
        ends = [
            await run_with_kills(service, fake, judge=f"far-{tokens}", calls=PLANNED, budget=budget) for tokens in dear
        ]

    for times, end in zip(TIMES_AS_DEAR, ends, strict=True):
        booked, lost = end.run.cost_micros / budget.cost_micros, end.run.spending[0].uncounted
        say(
            f"worst call {times} times as dear: {booked:.1%} of the budget booked ({lost} calls lost), "
            f"{end.calls * MEAN / budget.cost_micros:.1%} paid, in {end.seconds / free.seconds:.2f} times the time "
            f"without a budget ({free.seconds:.0f} s)"
        )
    for end in ends:
        assert end.run.state_reason == "BUDGET_STOPPED"
        assert 0.9 * budget.cost_micros <= end.run.cost_micros <= budget.cost_micros
        assert end.calls * MEAN <= end.run.cost_micros
        assert end.seconds < MOST_TIMES * free.seconds
