"""What tests share: a whole service on a private unix socket."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest

# Before numpy loads, as `judge` itself does: of two BLAS threads one waits for the other, and each takes a processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from judge.app.local import running  # as above
from judge_client import JudgeClient  # sorted among those
from support.demo_data import settings  # loads numpy
from support.postgres import Postgres, postgres  # loads numpy
from support.temporal_server import TemporalServer, temporal  # sorted among those

collect_ignore = ["faults"]
"""Whole houses of processes that are killed take minutes: they are run by their own name."""


@pytest.fixture
async def client() -> AsyncIterator[JudgeClient]:
    """A client of a fresh service that keeps everything in memory."""
    async with running(settings(), store_url="sqlite://", listen=None) as address, JudgeClient(address) as connected:
        yield connected


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """One PostgreSQL for all tests of a process that want one."""
    with postgres(hasty=True) as running_server:
        yield running_server


@pytest.fixture(scope="session")
def temporal_server() -> Iterator[TemporalServer]:
    """One Temporal for all tests of a process that want one."""
    with temporal() as running_server:
        yield running_server
