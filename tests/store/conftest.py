"""Fixtures of the store's contract: every kind of store, a clock that stands still, and a small dataset."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from judge.store.sql_store import SqlStore
from support.clocks import StillClock
from support.postgres import Postgres
from support.scene import Scene


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def memory_url() -> str:
    return "sqlite://"


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'judge.db'}"


@pytest.fixture
def shared_url(server: Postgres) -> Iterator[str]:
    """The URL of an empty store on a real PostgreSQL server."""
    with server.fresh() as url:
        yield url


@pytest.fixture(params=["memory", "file", "shared"])
async def store(request: pytest.FixtureRequest, clock: StillClock) -> AsyncIterator[SqlStore]:
    """Open each kind of store in turn."""
    opened = SqlStore.open(request.getfixturevalue(f"{request.param}_url"), clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
async def scene(store: SqlStore, clock: StillClock) -> Scene:
    """The small dataset, uploaded to each store in turn."""
    return await Scene(store, clock).fill()


@pytest.fixture
def bare_url(server: Postgres) -> Iterator[str]:
    """The URL of a PostgreSQL database without tables."""
    with server.fresh(template="template1") as url:
        yield url
