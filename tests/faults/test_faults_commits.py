"""A database that commits a write whose confirmation is lost. The write is not made twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from judge.api.v1 import run_service_pb2 as pb
from judge.app.judges import ConfiguredJudges
from judge.config.settings import JudgeSettings, Settings
from judge.domain.dataset import Output, Prompt
from judge.domain.errors import StoreAway
from judge.domain.run import RunSpec, RunState
from judge.engines.local import LocalEngine
from judge.ports.clock import SystemClock
from judge.ports.records import VerdictQuery
from judge.runs.lifecycle import RunLifecycle
from judge.store.sql_store import SqlStore
from judge.store.sqlite import SqliteConnections
from support.call_journal import fake_provider
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, running_service
from support.relay import losing_commits
from support.temporal_service import SOCKET, Detour, Servers, TemporalService
from support.watched_run import CONTESTANTS, PER_PROMPT, RunWatcher, start_run, verdicts

T = TypeVar("T")
TENANT = "default"
SHARE = 0.05
LOOK_SECONDS = 0.05


class LossyConnections(SqliteConnections):
    """Commits every write, but reports a SHARE of them as failed while `at_work` is true."""

    def __init__(self, url: str, rng: random.Random) -> None:
        super().__init__(url)
        self._rng = rng
        self.at_work = False
        self.unconfirmed = 0

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Commit *work* and return its result. Raises StoreAway for a share of the writes."""
        result = await super().write(work)
        if self.at_work and self._rng.random() < SHARE:
            self.unconfirmed += 1
            raise StoreAway("the connection was lost after the commit")
        return result


class QuickSleeper(SystemClock):
    """The system clock with sleeps twenty times shorter, so that retries follow soon."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)


async def _fill(store: SqlStore, calls: int) -> None:
    await store.create_dataset(TENANT, "d")
    prompts = [Prompt(f"p{n}", (f"question {n}",)) for n in range(calls // PER_PROMPT)]
    outputs = [Output(p.prompt_id, who, (f"{who} on {p.prompt_id}",)) for p in prompts for who in CONTESTANTS]
    await store.add_prompts(TENANT, "d", prompts, replace=False)
    await store.add_outputs(TENANT, "d", outputs, replace=False)


async def test_a_commit_whose_confirmation_is_lost_is_made_once(folder: Path, calls: int, say: Say) -> None:
    """When 5 % of a run's writes are committed but reported as failed, no call is made twice and every count is right.

    A permit whose confirmation was lost is booked as spent, because its calls may have been made.
    """
    calls //= 5
    clock, database = QuickSleeper(), LossyConnections(f"sqlite:///{folder / 'judge.db'}", random.Random(3))
    async with asyncio.timeout(PATIENCE), fake_provider(folder, slowest=0.005) as fake:
        far = {"backend": "openai", "model": "m", "base_url": fake.url, "rubric": "brackets", "concurrency": 16}
        judges = ConfiguredJudges(Settings(judges={"far": JudgeSettings.model_validate(far)}), clock)
        store = SqlStore(database, clock)
        engine = LocalEngine(store, judges, clock)
        await _fill(store, calls)
        run = await RunLifecycle(store, engine, judges).create(TENANT, RunSpec("d", ("far",)), "", b"")
        database.at_work = True
        while not (ended := await store.run(TENANT, run.run_id)).state.ended:
            await asyncio.sleep(LOOK_SECONDS)
        database.at_work = False
        kept = await store.verdicts(ended.row, VerdictQuery(), after=-1, limit=2 * calls)
        for close in (engine.close, store.close, judges.close):
            await close()

    counts, lost, missed = ended.counts, calls - len(kept), database.unconfirmed
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), {missed:,} writes committed without confirmation")
    assert (ended.state, dict(counts.by_status)) == (RunState.DONE, {"ok": calls})
    assert missed > calls // 100
    assert (lost, fake.repeated, fake.calls.total()) == (0, 0, calls)
    assert counts.calls == calls + counts.repeated


async def test_workers_that_lose_confirmations_of_commits_make_no_call_twice(
    folder: Path, servers: Servers, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """When two workers lose 5 % of PostgreSQL's commit confirmations, with the connection, no call is made twice."""
    calls //= 20
    detour = Detour(store=str(folder))
    async with (
        asyncio.timeout(PATIENCE),
        fake_provider(folder, slowest=0.1) as fake,
        losing_commits(servers.socket, folder / SOCKET, random.Random(3)) as relay,
        running_service(
            on_temporal(folder, JudgeConfig(fake.url), detours={"worker-0": detour, "worker-1": detour})
        ) as service,
    ):
        run = await start_run(service.address, calls)
        relay.share = SHARE
        ended = await RunWatcher().watch(service.address, run)
        kept = await verdicts(service.address, run)

    counts, lost = ended.counts, calls - len(kept)
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), {relay.lost_commits:,} commits without confirmation")
    assert (ended.state, dict(counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": calls})
    assert relay.lost_commits > calls // 100
    assert (lost, fake.repeated, fake.calls.total()) == (0, 0, calls)
    assert counts.calls == calls + counts.repeated
