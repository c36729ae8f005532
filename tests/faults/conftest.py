"""Scenarios on whole houses of processes; each says in one line what was lost and what was repeated."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support.fault_reports import SAID, Say
from support.fault_services import Kind, LocalService
from support.postgres import postgres
from support.temporal_server import TemporalServer
from support.temporal_service import Servers, TemporalService

CALLS = 10_000


def pytest_addoption(parser: pytest.Parser) -> None:
    """A size for a quick look; what is promised is promised of the usual one."""
    parser.addoption("--calls", type=int, default=CALLS, help="calls of a run of the usual size")


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> int:
    """How many calls a run of the usual size has."""
    return int(request.config.getoption("--calls"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="judge-faults-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def servers(temporal_server: TemporalServer) -> Iterator[Servers]:
    """What all houses on Temporal stand on."""
    with postgres() as server:
        yield Servers(server, temporal_server)


@pytest.fixture
def on_temporal(servers: Servers) -> partial[TemporalService]:
    """Makes a house on Temporal."""
    return partial(TemporalService, servers=servers)


@pytest.fixture(params=["local", "temporal"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of house in turn. A scenario takes them both unless it says otherwise."""
    made: Kind = LocalService if request.param == "local" else request.getfixturevalue("on_temporal")
    return made


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    """Takes the line that a scenario has to say."""
    return lambda line: record_property(SAID, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What every scenario said, whether it passed or not."""
    reports = [one for many in terminalreporter.stats.values() for one in many if isinstance(one, pytest.TestReport)]
    lines = [
        f"{report.head_line}: {said}"
        for report in reports
        if report.when == "call"
        for name, said in report.user_properties
        if name == SAID
    ]
    if lines:
        terminalreporter.section("lost and repeated")
        for line in lines:
            terminalreporter.write_line(line)
