"""Fixtures for all tests: a whole service on a private Unix socket, and real servers of PostgreSQL and Temporal."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

# Set before numpy loads, as `judge` itself does: a second BLAS thread only waits and still occupies a processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from judge.app.local import running  # loads numpy
from judge_client import JudgeClient  # sorted with those
from support.demo_data import settings  # loads numpy
from support.postgres import Postgres, postgres  # loads numpy
from support.temporal_server import TemporalServer, temporal  # sorted with those

collect_ignore = ["faults"]
"""The fault suite takes minutes, so it runs only when it is named."""


@pytest.fixture
async def client() -> AsyncIterator[JudgeClient]:
    """A client of a new service that keeps everything in memory."""
    async with running(settings(), store_url="sqlite://", listen=None) as address, JudgeClient(address) as connected:
        yield connected


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """One PostgreSQL for all tests of the session."""
    with postgres(hasty=True) as running_server:
        yield running_server


@pytest.fixture(scope="session")
def temporal_server() -> Iterator[TemporalServer]:
    """One Temporal for all tests of the session."""
    with temporal() as running_server:
        yield running_server


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo how a command that ran in this process logs: its stream is closed after the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
