"""Replicas: several servers over one PostgreSQL, and a worker that they share. Whoever is asked knows everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import make_url

from judge.api.v1 import run_service_pb2 as pb
from judge.app.judges import ConfiguredJudges
from judge.app.local import running
from judge.config.settings import TemporalSettings
from judge.engines.worker import run_worker
from judge.ports.clock import SystemClock
from judge.store.sql_store import SqlStore
from judge_client import JudgeClient
from support.demo_data import settings, upload_demo
from support.postgres import Postgres
from support.temporal_server import TemporalServer

PLANNED = 48 * 2
SPEC = pb.RunSpec(
    dataset="datasets/demo", judges=["judges/longest"], pairing=pb.Pairing(contestants=["padded", "concise"])
)


@dataclass
class Replicas:
    """Clients of two servers, and what it takes to put a worker beside them."""

    one: JudgeClient
    other: JudgeClient
    worker: AsyncExitStack
    store: SqlStore
    temporal: TemporalSettings

    async def work(self) -> None:
        """Let a worker begin."""
        clock = SystemClock()
        judges = ConfiguredJudges(settings(), clock, shared=True)
        self.worker.push_async_callback(judges.close)
        await self.worker.enter_async_context(run_worker(self.store, judges, self.temporal, clock))


@pytest.fixture
async def replicas(server: Postgres, temporal_server: TemporalServer) -> AsyncIterator[Replicas]:
    """Two servers without a worker."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(server.fresh())
        temporal = TemporalSettings(address=temporal_server.address, task_queue=make_url(url).database or "judge")
        said = settings().model_copy(update={"engine": "temporal", "temporal": temporal})
        addresses = [
            await stack.enter_async_context(running(said, store_url=url, listen=None)) for _ in ("one", "other")
        ]
        clients = [await stack.enter_async_context(JudgeClient(address)) for address in addresses]
        store = SqlStore.open(url, clock=SystemClock())
        stack.push_async_callback(store.close)
        worker = await stack.enter_async_context(AsyncExitStack())
        await upload_demo(clients[0])
        yield Replicas(clients[0], clients[1], worker, store, temporal)


async def test_a_run_is_watched_to_its_end_on_any_replica(replicas: Replicas) -> None:
    """Never an older revision, the terminal state always, though another server was asked to begin it."""
    run = await replicas.one.create_run(SPEC)
    watching = [asyncio.create_task(_watched(client, run.name)) for client in (replicas.one, replicas.other)]
    await replicas.work()
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*watching)

    for snapshots in seen:
        revisions = [snapshot.revision for snapshot in snapshots]
        assert revisions == sorted(set(revisions))
        assert snapshots[-1].state == pb.RUN_STATE_DONE
        assert dict(snapshots[-1].counts.by_status) == {"ok": PLANNED}


async def test_verdicts_are_followed_to_their_end_on_any_replica(replicas: Replicas) -> None:
    """Each once, whichever server is asked, from before the first one came."""
    run = await replicas.one.create_run(SPEC)
    following = [asyncio.create_task(_followed(client, run.name)) for client in (replicas.one, replicas.other)]
    await replicas.work()
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*following)

    assert [sorted(positions) for positions in seen] == [list(range(PLANNED))] * 2


async def test_a_server_executes_no_shard_and_a_worker_does(replicas: Replicas) -> None:
    """On Temporal a run has its workflow from its server, and not one verdict until there is a worker."""
    run = await replicas.one.create_run(SPEC)
    async with asyncio.timeout(60):
        first = await anext(aiter(replicas.other.watch_run(run.name)))
        await replicas.work()
        ended = await replicas.other.wait_run(run.name)

    assert (first.state, first.counts.calls) == (pb.RUN_STATE_QUEUED, 0)
    assert (ended.state, ended.counts.calls) == (pb.RUN_STATE_DONE, PLANNED)


async def _watched(client: JudgeClient, run: str) -> list[pb.Run]:
    return [snapshot async for snapshot in client.watch_run(run)]


async def _followed(client: JudgeClient, run: str) -> list[int]:
    batches = [batch async for batch in client.stream_verdicts(run, follow=True)]
    return [verdict.position for batch in batches for verdict in batch.verdicts]
