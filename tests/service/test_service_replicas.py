"""Replicas: several servers over one PostgreSQL with a shared worker. Every server knows everything."""

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
from judge.domain.temporal_connection import TemporalConnection
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
    """Clients of two servers, and what is needed to start a worker."""

    first: JudgeClient
    second: JudgeClient
    worker: AsyncExitStack
    store: SqlStore
    temporal: TemporalConnection

    async def work(self) -> None:
        """Start a worker."""
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
        server_settings = settings().model_copy(update={"engine": "temporal", "temporal": temporal})
        addresses = [
            await stack.enter_async_context(running(server_settings, store_url=url, listen=None))
            for _ in ("one", "other")
        ]
        clients = [await stack.enter_async_context(JudgeClient(address)) for address in addresses]
        store = SqlStore.open(url, clock=SystemClock())
        stack.push_async_callback(store.close)
        worker = await stack.enter_async_context(AsyncExitStack())
        await upload_demo(clients[0])
        connection = TemporalConnection(address=temporal.address, task_queue=temporal.task_queue)
        yield Replicas(first=clients[0], second=clients[1], worker=worker, store=store, temporal=connection)


async def test_a_run_is_watched_to_its_end_on_any_replica(replicas: Replicas) -> None:
    """Watchers on either server see increasing revisions up to the terminal state."""
    run = await replicas.first.create_run(SPEC)
    watching = [asyncio.create_task(_watch(client, run.name)) for client in (replicas.first, replicas.second)]
    await replicas.work()
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*watching)

    for snapshots in seen:
        revisions = [snapshot.revision for snapshot in snapshots]
        assert revisions == sorted(set(revisions))
        assert snapshots[-1].state == pb.RUN_STATE_DONE
        assert dict(snapshots[-1].counts.by_status) == {"ok": PLANNED}


async def test_verdicts_are_followed_to_their_end_on_any_replica(replicas: Replicas) -> None:
    """Following verdicts on either server returns each verdict once."""
    run = await replicas.first.create_run(SPEC)
    following = [asyncio.create_task(_follow(client, run.name)) for client in (replicas.first, replicas.second)]
    await replicas.work()
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*following)

    assert [sorted(positions) for positions in seen] == [list(range(PLANNED))] * 2


async def test_a_server_executes_no_shard_and_a_worker_does(replicas: Replicas) -> None:
    """On Temporal a run makes no call until there is a worker."""
    run = await replicas.first.create_run(SPEC)
    async with asyncio.timeout(60):
        first = await anext(aiter(replicas.second.watch_run(run.name)))
        await replicas.work()
        ended = await replicas.second.wait_run(run.name)

    assert (first.state, first.counts.calls) == (pb.RUN_STATE_QUEUED, 0)
    assert (ended.state, ended.counts.calls) == (pb.RUN_STATE_DONE, PLANNED)


async def _watch(client: JudgeClient, run: str) -> list[pb.Run]:
    return [snapshot async for snapshot in client.watch_run(run)]


async def _follow(client: JudgeClient, run: str) -> list[int]:
    batches = [batch async for batch in client.stream_verdicts(run, follow=True)]
    return [verdict.position for batch in batches for verdict in batch.verdicts]
