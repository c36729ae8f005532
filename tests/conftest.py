"""What tests share: a whole service on a private unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from bundle import settings
from judge.app.local import running
from judge_client import JudgeClient
from postgres import Postgres, postgres


@pytest.fixture
async def client() -> AsyncIterator[JudgeClient]:
    """A client of a fresh service that keeps everything in memory."""
    async with running(settings(), store_url="sqlite://", listen=None) as address, JudgeClient(address) as connected:
        yield connected


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """One PostgreSQL for all tests of a process that want one."""
    with postgres() as running_server:
        yield running_server
