"""Fixtures of the fault suite. Each scenario runs real processes and reports in one line what it lost and repeated."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support.fault_reports import REPORT_PROPERTY, Say
from support.fault_services import Kind, LocalService
from support.postgres import postgres
from support.temporal_server import TemporalServer
from support.temporal_service import Servers, TemporalService

CALLS = 10_000


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option --calls. Small sizes are for a quick look; the guarantees are checked at the default size."""
    parser.addoption("--calls", type=int, default=CALLS, help="number of calls in a run of the usual size")


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> int:
    """The number of calls in a run of the usual size."""
    return int(request.config.getoption("--calls"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="judge-faults-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def servers(temporal_server: TemporalServer) -> Iterator[Servers]:
    """The servers that all services on Temporal share."""
    with postgres() as server:
        yield Servers(server, temporal_server)


@pytest.fixture
def on_temporal(servers: Servers) -> partial[TemporalService]:
    """Makes a service on Temporal."""
    return partial(TemporalService, servers=servers)


@pytest.fixture(params=["local", "temporal"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of service in turn. Most scenarios run on both."""
    made: Kind = LocalService if request.param == "local" else request.getfixturevalue("on_temporal")
    return made


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    """Reports the result line of a scenario."""
    return lambda line: record_property(REPORT_PROPERTY, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the line of every scenario, whether it passed or not."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    ]
    lines = [
        f"{report.head_line}: {line}"
        for report in reports
        if report.when == "call"
        for name, line in report.user_properties
        if name == REPORT_PROPERTY
    ]
    if lines:
        terminalreporter.section("lost and repeated")
        for line in lines:
            terminalreporter.write_line(line)
