"""What is paid: once for each key however many runs want it, and never more than the budget."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from judge.api.v1 import run_service_pb2 as pb
from judge_client import JudgeClient
from support.call_journal import faked
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, Kind, ServiceProcesses, standing
from support.killing import PATIENT, killing
from support.watched_run import Watched, begun, spec, upload, verdicts

KILLS = 5
CONCURRENCY = 16
MICROS = 1900
"""Of budget a call, which costs 2,100: it is used up whether what dies has its 16 reservations of 13,300 or none."""
LOOK_SECONDS = 0.05
RESERVED = text(
    "SELECT run.cost_micros, run.calls, COALESCE(SUM(a.worst_micros), 0), COUNT(a.id) FROM run "
    "LEFT JOIN call_attempt a ON a.run_id = run.id AND a.state = 'live' GROUP BY run.cost_micros, run.calls"
)
"""What the only run has spent and what it has reserved: in micro-USD, and in calls."""


async def test_two_equal_runs_started_together_pay_each_key_once(
    kind: Kind, folder: Path, calls: int, say: Say
) -> None:
    """Both end with every verdict, the provider saw each call once, and what one run called the other reused."""
    calls //= 10
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        standing(kind(folder, JudgeConfig(fake.url))) as service,
        JudgeClient(service.address) as client,
    ):
        await upload(client, calls)
        runs = await asyncio.gather(client.create_run(spec()), client.create_run(spec()))
        ends = await asyncio.gather(*(Watched().watch(service.address, run.name) for run in runs))
        kept = [await verdicts(service.address, run.name) for run in runs]

    lost = sum(calls - len(one) for one in kept)
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), calls {[end.counts.calls for end in ends]}")
    assert (lost, fake.repeated, fake.calls.total()) == (0, 0, calls)
    assert {end.state for end in ends} == {pb.RUN_STATE_DONE}
    assert sum(end.counts.calls for end in ends) == sum(end.counts.reused for end in ends) == calls
    assert kept[0] == kept[1]


class Ledger:
    """Looks again and again at what a house's only run has spent and reserved, and keeps the most it saw."""

    def __init__(self, service: ServiceProcesses) -> None:
        self._engine = create_engine(service.store_url)
        self._ended = False
        self.micros = self.calls = 0

    async def look(self) -> None:
        """Look until told to end, and let go of the database."""
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
        """Look no more once the look that goes on is over."""
        self._ended = True


@pytest.mark.parametrize("what", ["calls", "micros"])
async def test_a_budget_holds_whatever_dies(kind: Kind, folder: Path, calls: int, say: Say, what: str) -> None:
    """5 kills: what is spent and reserved, orphaned attempts at their reservation, is never above the budget."""
    calls, rng = calls // 5, random.Random(7)
    budget = pb.Budget(calls=calls // 2) if what == "calls" else pb.Budget(cost_micros=calls * MICROS)
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder) as fake,
        standing(kind(folder, JudgeConfig(fake.url, CONCURRENCY, deadline=PATIENT, price=1.0), workers=4)) as service,
    ):
        ledger = Ledger(service)
        run = await begun(service.address, calls, budget=budget)
        looking = asyncio.create_task(ledger.look())
        await killing(fake, sorted(rng.sample(range(calls // 20, calls // 6), KILLS)), service.killable, rng)
        ended = await Watched().watch(service.address, run)
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
