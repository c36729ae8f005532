"""What a command says when Ctrl-C interrupts a run that it executes or follows, and after its calls have ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget, connected
from judge.cli.executed import is_executed
from judge.cli.run_progress import follow_run, run_summary
from judge.cli.tables import counted

if TYPE_CHECKING:
    from judge.api.v1.run_service_pb2 import Run
    from judge_client import JudgeClient

STORING_SECONDS = 5
"""How much longer than the deadline of its last call a process that ends may take."""


class RunInterrupted(asyncio.CancelledError):
    """Raised when a command is interrupted while it follows the run *name*."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


async def follow_or_explain(service: ServiceTarget, client: JudgeClient, name: str) -> Run:
    """Follow a run until it ends. If that is interrupted, say what happens to the run and how to continue.

    Raises RunInterrupted then.
    """
    try:
        return await follow_run(client, name)
    except asyncio.CancelledError:
        state = await client.get_run(name)
        if service.server is None:
            click.echo(f"Pausing {name}{await _wait(client, state)}. Continue with: judge resume {name}", err=True)
        else:
            judge = f"judge --server {service.server}"
            click.echo(run_summary(state), err=True)
            click.echo(f"{name} continues on the server. Watch it: {judge} watch {name}", err=True)
            click.echo(f"Or cancel it: {judge} cancel {name}", err=True)
        raise RunInterrupted(name) from None


async def _wait(client: JudgeClient, state: Run) -> str:
    """Say for which calls of a run a command waits before it ends, and for how long at most; nothing if for none."""
    in_flight = state.open.calls - state.open.batched
    if not in_flight:
        return ""
    deadlines = [(await client.get_judge(name)).limits.deadline_seconds for name in state.judges]
    seconds = f"{max(deadlines, default=0.0) + STORING_SECONDS:,.0f}"
    calls = f"{counted(in_flight, 'call')} in flight, which {'are' if in_flight > 1 else 'is'} paid for"
    return f": waiting at most {seconds} s for {calls}. Ctrl-C again ends at once and leaves {_them(in_flight)}"


def _them(number: int) -> str:
    return "them" if number > 1 else "it"


@contextlib.asynccontextmanager
async def summary_if_interrupted(service: ServiceTarget) -> AsyncIterator[None]:
    """Say how far a run got that is interrupted inside, once its service in this process has ended.

    The run of a server goes on, so nothing is said then.
    """
    try:
        yield
    except RunInterrupted as interrupted:
        if service.server is None:
            async with connected(service) as client:
                ended = await client.get_run(interrupted.name)
            click.echo(run_summary(ended, executed=is_executed(service, [ended])), err=True)
        raise
