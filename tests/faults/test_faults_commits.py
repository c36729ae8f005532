"""A database that has made a write, and of which nobody hears it: what was done is not known, and is not done twice."""

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
from support.call_journal import faked
from support.fault_reports import PATIENCE, Say
from support.fault_services import JudgeConfig, standing
from support.relay import unheard
from support.temporal_service import SOCKET, Detour, Servers, TemporalService
from support.watched_run import CONTESTANTS, PER_PROMPT, Watched, begun, verdicts

T = TypeVar("T")
TENANT = "default"
SHARE = 0.05
LOOK_SECONDS = 0.05


class Unheard(SqliteConnections):
    """Makes every write, and once `at_work` says of SHARE of them that the database did not answer."""

    def __init__(self, url: str, rng: random.Random) -> None:
        super().__init__(url)
        self._rng = rng
        self.at_work = False
        self.unheard = 0

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The result of *work*, which is done in any case."""
        result = await super().write(work)
        if self.at_work and self._rng.random() < SHARE:
            self.unheard += 1
            raise StoreAway("the connection was lost after the commit")
        return result


class Hasty(SystemClock):
    """The machine's clock, on which nobody waits long before trying again."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)


async def _filled(store: SqlStore, calls: int) -> None:
    await store.create_dataset(TENANT, "d")
    prompts = [Prompt(f"p{n}", (f"question {n}",)) for n in range(calls // PER_PROMPT)]
    outputs = [Output(p.prompt_id, who, (f"{who} on {p.prompt_id}",)) for p in prompts for who in CONTESTANTS]
    await store.add_prompts(TENANT, "d", prompts, replace=False)
    await store.add_outputs(TENANT, "d", outputs, replace=False)


async def test_a_commit_that_was_made_and_not_heard_of_is_made_once(folder: Path, calls: int, say: Say) -> None:
    """5 % of all writes of a run are made and reported as failed: no call is made twice, and every count is right.

    A permit nobody heard of is booked as spent, for its calls may have been made.
    """
    calls //= 5
    clock, database = Hasty(), Unheard(f"sqlite:///{folder / 'judge.db'}", random.Random(3))
    async with asyncio.timeout(PATIENCE), faked(folder, slowest=0.005) as fake:
        far = {"backend": "openai", "model": "m", "base_url": fake.url, "rubric": "brackets", "concurrency": 16}
        judges = ConfiguredJudges(Settings(judges={"far": JudgeSettings.model_validate(far)}), clock)
        store = SqlStore(database, clock)
        engine = LocalEngine(store, judges, clock)
        await _filled(store, calls)
        run = await RunLifecycle(store, engine, judges).create(TENANT, RunSpec("d", ("far",)), "", b"")
        database.at_work = True
        while not (ended := await store.run(TENANT, run.run_id)).state.ended:
            await asyncio.sleep(LOOK_SECONDS)
        database.at_work = False
        kept = await store.verdicts(ended.row, VerdictQuery(), after=-1, limit=2 * calls)
        for close in (engine.close, store.close, judges.close):
            await close()

    counts, lost, missed = ended.counts, calls - len(kept), database.unheard
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), {missed} writes made and not heard of")
    assert (ended.state, dict(counts.by_status)) == (RunState.DONE, {"ok": calls})
    assert missed > calls // 100
    assert (lost, fake.repeated, fake.calls.total()) == (0, 0, calls)
    assert counts.calls == calls + counts.repeated


async def test_workers_that_do_not_hear_of_commits_make_no_call_twice(
    folder: Path, servers: Servers, on_temporal: partial[TemporalService], calls: int, say: Say
) -> None:
    """The same between two workers and PostgreSQL: of 5 % of all commits the answer is lost, and the connection."""
    calls //= 20
    detour = Detour(store=str(folder))
    async with (
        asyncio.timeout(PATIENCE),
        faked(folder, slowest=0.1) as fake,
        unheard(servers.socket, folder / SOCKET, random.Random(3)) as relay,
        standing(
            on_temporal(folder, JudgeConfig(fake.url), detours={"worker-0": detour, "worker-1": detour})
        ) as service,
    ):
        run = await begun(service.address, calls)
        relay.share = SHARE
        ended = await Watched().watch(service.address, run)
        kept = await verdicts(service.address, run)

    counts, lost = ended.counts, calls - len(kept)
    say(f"lost {lost} repeated {fake.read().repeated} (at most 0), {relay.unheard} commits made and not heard of")
    assert (ended.state, dict(counts.by_status)) == (pb.RUN_STATE_DONE, {"ok": calls})
    assert relay.unheard > calls // 100
    assert (lost, fake.repeated, fake.calls.total()) == (0, 0, calls)
    assert counts.calls == calls + counts.repeated
