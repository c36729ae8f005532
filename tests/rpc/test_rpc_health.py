"""Health checks: readiness follows the state of the store."""

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
from support.schemas import CONTRACTED, EXPANDED, REVISIONS, engine_of, migrate_url, scripts_until

SERVICES = ("judge.api.v1.RunService", "judge.api.v1.DatasetService")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Context:
    """The part of a call's context that the health servicer uses."""

    def set_code(self, code: object) -> None:
        raise AssertionError(code)


class Ticking(QuickClock):
    """A clock whose sleeper wakes when `wake` is set, and sets `slept` when it sleeps again."""

    def __init__(self) -> None:
        super().__init__()
        self.slept, self.wake = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.set()
        await self.wake.wait()
        self.wake.clear()


async def read_health(health: Health) -> set[int]:
    """Return the distinct states of the server and its services, and check that liveness is SERVING."""
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


async def wait_for_look(clock: Ticking) -> None:
    """Wait until the health checker has looked at the store once more."""
    async with asyncio.timeout(60):
        await clock.slept.wait()
        clock.slept.clear()
        clock.wake.set()
        await clock.slept.wait()


@pytest.fixture
def url(server: Postgres) -> Iterator[str]:
    """A database of a real PostgreSQL with the current schema."""
    with server.fresh() as fresh:
        yield fresh


async def test_a_server_is_not_ready_outside_the_schema_range_it_knows(url: str, tmp_path: Path) -> None:
    """A server stays ready when its schema is expanded, but not when it is contracted, until that is undone."""
    store = SqlStore.open(url, clock=SystemClock())
    async with looking(store) as (health, clock):
        at_first = await read_health(health)
        migrate_url(url, scripts_until(tmp_path / "expanded", REVISIONS[-1], EXPANDED))
        await wait_for_look(clock)
        expanded = await read_health(health)
        migrate_url(url, scripts_until(tmp_path / "contracted", REVISIONS[-1], EXPANDED, CONTRACTED))
        await wait_for_look(clock)
        contracted = await read_health(health)
        with engine_of(url).connect() as connection:
            known = {"revision": REVISIONS[-1]}
            connection.execute(text("UPDATE alembic_version SET version_num = :revision"), known)
            connection.commit()
        await wait_for_look(clock)
        again = await read_health(health)
    await store.close()

    assert [at_first, expanded, contracted, again] == [{SERVING}, {SERVING}, {NOT_SERVING}, {SERVING}]


async def test_the_empty_name_says_whether_the_store_is_reachable(url: str, server: Postgres) -> None:
    """A server without its database is alive but not ready, and is ready again when the database is back."""
    name = make_url(url).database
    store = SqlStore.open(url, clock=SystemClock())
    async with looking(store) as (health, clock):
        with psycopg.connect(server.uri, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            await wait_for_look(clock)
            away = await read_health(health)
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await wait_for_look(clock)
        back = await read_health(health)
    await store.close()

    assert [away, back] == [{NOT_SERVING}, {SERVING}]


async def test_a_watcher_of_a_servers_health_gets_every_change(url: str, tmp_path: Path) -> None:
    """A watcher gets SERVING, NOT_SERVING after a contraction, SERVING again, and NOT_SERVING when draining begins."""
    clock = Ticking()
    store = SqlStore.open(url, clock=SystemClock())
    judges = ConfiguredJudges(settings(), clock)
    server = Server(store=store, engine=LocalEngine(store, judges, clock), judges=judges, clock=clock, families={})
    address = await server.start(f"unix:{tmp_path / 'socket'}")
    async with asyncio.timeout(60), grpc.aio.insecure_channel(address) as channel:
        watching: Any = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]))
        statuses = [(await watching.read()).status]
        migrate_url(url, scripts_until(tmp_path / "contracted", REVISIONS[-1], EXPANDED, CONTRACTED))
        clock.wake.set()
        statuses.append((await watching.read()).status)
        with engine_of(url).connect() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :known"), {"known": REVISIONS[-1]})
            connection.commit()
        clock.wake.set()
        statuses.append((await watching.read()).status)
        await server.drain()
        statuses.append((await watching.read()).status)
    await server.stop()
    await judges.close()
    await store.close()

    assert statuses == [SERVING, NOT_SERVING, SERVING, NOT_SERVING]


async def test_a_draining_server_serves_no_more_whatever_its_store_says() -> None:
    store = SqlStore.open("sqlite://", clock=SystemClock())
    async with looking(store) as (health, clock):
        await wait_for_look(clock)
        before = await read_health(health)
        await health.drain()
        request = health_pb2.HealthCheckRequest(service="")

        after = (await health.servicer.Check(request, Context())).status
    await store.close()

    assert (before, after) == ({SERVING}, NOT_SERVING)
