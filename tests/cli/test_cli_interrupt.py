"""Ctrl-C at any moment: no traceback, and a run is paused, or goes on on its server, and the command says so."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1.judge_service_pb2 import Judge, Limits
from judge.app.local import running
from judge.backends.scripted import Scripted
from judge.cli.connect import ServiceTarget, run
from judge.cli.interrupted import RunInterrupted, follow_or_explain
from judge.domain.run import INTERRUPTED, RunState
from judge.engines.local import LocalEngine
from judge.ports.clock import SystemClock
from judge.store.sql_store import SqlStore
from judge_client import JudgeClient
from support.clocks import QuickClock
from support.demo_data import DEMO, settings
from support.engine_service import CONCURRENCY, EngineService, OneJudge
from support.service_process import Endpoint, configure, environment, listening

RUN = pb.Run(name="runs/r", state=pb.RUN_STATE_RUNNING)
PAUSING = (
    "Pausing runs/r: waiting at most 35 s for 4 calls in flight, which are paid for. "
    "Ctrl-C again ends at once and leaves them. Continue with: judge resume runs/r"
)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("error", [None, asyncio.InvalidStateError("invalid state"), RuntimeError("broken")])
def test_an_interrupt_cancels_the_work_and_hides_what_fails_because_of_it(error: Exception | None) -> None:
    """The work may finish what is in progress."""
    finished = []

    async def work() -> int:
        interrupt()
        try:
            await asyncio.Event().wait()
        finally:
            finished.append(True)
            if error is not None:
                raise error
        return 0

    with pytest.raises(KeyboardInterrupt):
        run(work())

    assert finished == [True]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_end_of_a_terminal_or_a_process_interrupts_like_ctrl_c(number: signal.Signals) -> None:
    """Calls that are paid for are not lost with an SSH connection."""
    finished = []

    async def work() -> int:
        os.kill(os.getpid(), number)
        try:
            return await asyncio.Event().wait()
        finally:
            finished.append(True)

    with pytest.raises(KeyboardInterrupt):
        run(work())

    assert finished == [True]


def test_under_nohup_the_end_of_a_terminal_is_ignored() -> None:
    """The run goes on."""

    async def work() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        return 0

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(work()) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_an_interrupt_an_error_is_raised() -> None:
    async def work() -> int:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run(work())


async def test_a_service_that_is_cancelled_while_it_starts_closes_without_an_error(tmp_path: Path) -> None:
    """At every step of the start. gRPC's server fails with an InvalidStateError if its own start is cancelled."""

    async def serve() -> None:
        async with running(settings(), store_url=f"sqlite:///{tmp_path / 'judge.db'}", listen=None, continues=False):
            raise AssertionError("it has started")

    for steps in range(12):
        task = asyncio.create_task(serve())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        ended = (await asyncio.gather(task, return_exceptions=True))[0]
        assert isinstance(ended, asyncio.CancelledError | AssertionError), steps


async def test_an_interrupted_run_is_paused_before_its_calls_have_ended() -> None:
    """So it stays paused even if somebody ends the process during the wait. The calls in flight are stored."""
    gate = asyncio.Event()
    backend = Scripted(lambda _: "[[A]]", gate=gate)
    known = OneJudge(backend)
    store = SqlStore.open("sqlite://", clock=SystemClock())
    engine = LocalEngine(store, known, QuickClock(), continues=False)
    service = EngineService(store=store, backend=backend, engine=engine, judges=known)
    begun = await service.start_busy_run()

    closing = asyncio.create_task(engine.close())
    paused = await service.until(begun, lambda now: now.state is RunState.PAUSED)
    in_flight = backend.in_flight
    gate.set()
    await closing
    ended = await store.run("default", begun.run_id)
    await store.close()

    assert (paused.reason, in_flight) == (INTERRUPTED, CONCURRENCY)
    assert (ended.state, ended.counts.by_status) == (RunState.PAUSED, {"ok": CONCURRENCY})


class WatchedOnce:
    """A client whose watch is interrupted after a snapshot."""

    async def watch_run(self, name: str) -> AsyncIterator[pb.Run]:  # the client's own signature
        yield RUN
        raise asyncio.CancelledError

    async def get_run(self, name: str) -> pb.Run:  # the client's own signature
        return pb.Run(name=name, judges=["judges/a", "judges/b"], open=pb.OpenCalls(calls=6, batched=2))

    async def get_judge(self, judge: str) -> Judge:  # the client's own signature
        return Judge(limits=Limits(deadline_seconds={"judges/a": 30.0, "judges/b": 10.0}[judge]))


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (
            None,
            [PAUSING],
        ),
        (
            "h:1",
            [
                "runs/r: 0 of 0 verdicts done, 0 calls. 6 calls are in flight; they cost at most $0.00 more.",
                "runs/r continues on the server. Watch it: judge --server h:1 watch runs/r",
                "Or cancel it: judge --server h:1 cancel runs/r",
            ],
        ),
    ],
)
async def test_an_interrupt_says_what_happens_to_the_run(
    server: str | None, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run on a server goes on there."""
    with pytest.raises(RunInterrupted, match="runs/r"):
        await follow_or_explain(ServiceTarget(server, None), cast("JudgeClient", WatchedOnce()), "runs/r")

    assert capsys.readouterr().err.splitlines()[1:] == expected


async def test_after_an_interrupt_a_command_says_how_far_the_run_got(tmp_path: Path) -> None:
    """Without a terminal, too: the verdicts and the cost with those of the last calls, and how to continue."""
    endpoint = Endpoint(held_after=6)
    async with listening(endpoint) as url:
        configure(tmp_path, url, concurrency=4)
        argv = [sys.executable, "-m", "judge.cli"]
        loading = await asyncio.create_subprocess_exec(
            *argv, "import", DEMO, "--dataset", "d", env=environment(tmp_path), stdout=DEVNULL
        )
        await loading.wait()
        child = await asyncio.create_subprocess_exec(
            *argv, "run", "d", "--judge", "far", env=environment(tmp_path), stdout=DEVNULL, stderr=PIPE
        )
        await endpoint.wait_until_holding(4)
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        pausing = await child.stderr.readuntil(b"Continue with")
        endpoint.let_go()
        _, rest = await child.communicate()

    assert b" s for 4 calls in flight, which are paid for. Ctrl-C again ends at once" in pausing
    last = rest.decode().splitlines()[1:]
    assert re.fullmatch(
        r"runs/(\w+): 10 of \d+ verdicts done, 10 calls.*\. Its command was interrupted; continue with "
        r"`judge resume runs/\1`\.",
        last[0],
    )
