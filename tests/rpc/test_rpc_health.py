"""Health: who can work, as the store says it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import make_url, text

from judge.app.judges import ConfiguredJudges
from judge.engines.local import LocalEngine
from judge.ports.clock import SystemClock
from judge.rpc.health import Health
from judge.rpc.server import Server
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.demo_data import settings
from support.postgres import Postgres
from support.schemas import CONTRACTED, EXPANDED, REVISIONS, engine_of, migrated, scripts_until

SERVICES = ("judge.api.v1.RunService", "judge.api.v1.DatasetService")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Context:
    """As much of a call's context as health looks at."""

    def set_code(self, code: object) -> None:
        raise AssertionError(code)


class Ticking(QuickClock):
    """A clock on which the sleeper wakes when it is told to, and says when it sleeps again."""

    def __init__(self) -> None:
        super().__init__()
        self.slept, self.wake = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.set()
        await self.wake.wait()
        self.wake.clear()


async def said(health: Health) -> set[int]:
    """What the whole and each service say; liveness is always well."""
    states = {
        name: (await health.servicer.Check(health_pb2.HealthCheckRequest(service=name), Context())).status
        for name in ("liveness", "", *SERVICES)
    }
    assert states.pop("liveness") == SERVING
    return set(states.values())


@asynccontextmanager
async def looking(store: SqlStore) -> AsyncIterator[tuple[Health, Ticking]]:
    clock = Ticking()
    health = Health(store, clock, SERVICES)
    await health.start()
    try:
        yield health, clock
    finally:
        await health.drain()


async def looked(clock: Ticking) -> None:
    """Wait until the store was looked at once more."""
    async with asyncio.timeout(60):
        await clock.slept.wait()
        clock.slept.clear()
        clock.wake.set()
        await clock.slept.wait()


@pytest.fixture
def url(server: Postgres) -> Iterator[str]:
    """A database of a real PostgreSQL with the present schema."""
    with server.fresh() as fresh:
        yield fresh


async def test_a_server_is_not_ready_outside_the_schema_range_it_knows(url: str, tmp_path: Path) -> None:
    """Expanded under a running server it serves on; contracted it does not; taken back it serves again."""
    store = SqlStore.open(url, clock=SystemClock())
    async with looking(store) as (health, clock):
        at_first = await said(health)
        migrated(url, scripts_until(tmp_path / "expanded", REVISIONS[-1], EXPANDED))
        await looked(clock)
        expanded = await said(health)
        migrated(url, scripts_until(tmp_path / "contracted", REVISIONS[-1], EXPANDED, CONTRACTED))
        await looked(clock)
        contracted = await said(health)
        with engine_of(url).connect() as connection:
            known = {"revision": REVISIONS[-1]}
            connection.execute(text("UPDATE alembic_version SET version_num = :revision"), known)
            connection.commit()
        await looked(clock)
        again = await said(health)
    await store.close()

    assert [at_first, expanded, contracted, again] == [{SERVING}, {SERVING}, {NOT_SERVING}, {SERVING}]


async def test_the_empty_name_says_whether_the_store_is_reachable(url: str, server: Postgres) -> None:
    """With the database gone from under it a server is alive and not ready; it is again when the database is back."""
    name = make_url(url).database
    store = SqlStore.open(url, clock=SystemClock())
    async with looking(store) as (health, clock):
        with psycopg.connect(server.uri, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            await looked(clock)
            away = await said(health)
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await looked(clock)
        back = await said(health)
    await store.close()

    assert [away, back] == [{NOT_SERVING}, {SERVING}]


async def test_whoever_watches_a_servers_health_is_told(url: str, tmp_path: Path) -> None:
    """Over the wire: SERVING, NOT_SERVING once the schema was contracted, SERVING again, NOT_SERVING at its end."""
    clock = Ticking()
    store = SqlStore.open(url, clock=SystemClock())
    judges = ConfiguredJudges(settings(), clock)
    server = Server(store, LocalEngine(store, judges, clock), judges, clock, {})
    address = await server.start(f"unix:{tmp_path / 'socket'}")
    async with asyncio.timeout(60), grpc.aio.insecure_channel(address) as channel:
        watching: Any = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]))
        told = [(await watching.read()).status]
        migrated(url, scripts_until(tmp_path / "contracted", REVISIONS[-1], EXPANDED, CONTRACTED))
        clock.wake.set()
        told.append((await watching.read()).status)
        with engine_of(url).connect() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :known"), {"known": REVISIONS[-1]})
            connection.commit()
        clock.wake.set()
        told.append((await watching.read()).status)
        await server.drain()
        told.append((await watching.read()).status)
    await server.stop()
    await judges.close()
    await store.close()

    assert told == [SERVING, NOT_SERVING, SERVING, NOT_SERVING]


async def test_a_draining_server_serves_no_more_whatever_its_store_says() -> None:
    store = SqlStore.open("sqlite://", clock=SystemClock())
    async with looking(store) as (health, clock):
        await looked(clock)
        before = await said(health)
        await health.drain()
        request = health_pb2.HealthCheckRequest(service="")

        after = (await health.servicer.Check(request, Context())).status
    await store.close()

    assert (before, after) == ({SERVING}, NOT_SERVING)
