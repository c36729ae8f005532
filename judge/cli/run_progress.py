"""The progress of a run for people: a bar in a terminal, lines elsewhere, and a sentence at the end."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from judge.cli.executed import explain_open_calls, how_to_continue, state_word
from judge.cli.group import FAILED
from judge.cli.spending import run_cost
from judge.cli.tables import counted
from judge.cli.terminal import escaping_console
from judge.domain.outcome import VerdictStatus
from judge.domain.run import ENDED, INTERRUPTED

if TYPE_CHECKING:
    from judge.api.v1.run_service_pb2 import Run
    from judge_client import JudgeClient

PARTIAL = 3
LINE_SECONDS = 30.0
"""Seconds between two lines of progress, at least."""
ENDED_WORDS = frozenset(state.name.lower() for state in ENDED)
UNDONE = ("budget_stopped", "cancelled")
"""States of presentations that were never judged because the run ended."""


def exit_code(ended: Run) -> int:
    """Return 0 if every verdict is there, 3 if some are missing, and 1 if the run failed."""
    from judge.api.v1.run_service_pb2 import RUN_STATE_FAILED  # noqa: PLC0415  # grpc's messages when needed

    if ended.state == RUN_STATE_FAILED:
        return FAILED
    return 0 if ended.counts.by_status.get("ok", 0) == ended.counts.planned else PARTIAL


def n_without_verdict(state: Run) -> int:
    """Return how many presentations were judged, or failed to be, and have no verdict."""
    return n_done(state) - state.counts.by_status.get("ok", 0)


def n_replies(state: Run) -> int:
    """Return how many presentations have a reply, with a verdict or without one."""
    return sum(state.counts.by_status.get(status.name.lower(), 0) for status in VerdictStatus)


def n_done(state: Run) -> int:
    """Return how many presentations were judged, or failed to be; none that a budget or a cancel left undone."""
    counts = state.counts
    return counts.planned - counts.pending - sum(counts.by_status.get(name, 0) for name in UNDONE)


def sentence(text: str) -> str:
    """Return *text* as a sentence: with a capital letter and one full stop, or nothing if it is empty."""
    return f"{text[:1].upper()}{text[1:]}".removesuffix(".") + "." if text else ""


def run_summary(state: Run, *, executed: bool = True) -> str:
    """Say how far a run has got, how many calls it made, what they cost, and why it stopped early.

    *executed* says whether a process executes runs of the store; if not, calls that have not settled are lost.
    """
    counts, budget = state.counts, state.budget
    by_status = dict(counts.by_status)
    done = by_status.pop("ok", 0)
    others = ", ".join(f"{n:,} {status.replace('_', ' ')}" for status, n in sorted(by_status.items()))
    calls = f"{counts.calls:,} of at most {budget.calls:,} calls" if budget.calls else counted(counts.calls, "call")
    unsettled = explain_open_calls(state, executed=executed)
    parts = (
        f"{state.name}: {done:,} of {counts.planned:,} verdicts done",
        f" ({others})" if others else "",
        f" in {state.round} rounds" if state.round else "",
        f", {calls}",
        f", {run_cost(state)}" if state.cost_micros else "",
        ".",
        f" {unsettled}" if unsettled else "",
        f" {sentence(state.state_message)}" if state.state_message else "",
    )
    return "".join(parts)


def activity(state: Run) -> str:
    """Say what a run is doing now, and if it waits, for what.

    It contains no count, so that it changes only if the run's state does.
    """
    word = state_word(state)
    doing = "judging" if word == "running" else word
    reason = f" ({state.state_reason})" if state.state_reason else ""
    return f"{doing}{reason}" + (f": {state.state_message}" if state.state_message else "")


class ProgressLines:
    """Prints a line when a run's state changes, for output that is no terminal. At most one per LINE_SECONDS.

    *now* returns the time in seconds, and *print_line* prints a line.
    """

    def __init__(self, now: Callable[[], float], print_line: Callable[[str], None]) -> None:
        self._now, self._print = now, print_line
        self._printed = ""
        self._at = -math.inf

    def update(self, state: Run) -> None:
        """Show a snapshot. If its state is new, but the last line is too recent, a later snapshot is shown.

        The end of a run is not shown, because a summary follows.
        """
        doing = activity(state)
        if state_word(state) in ENDED_WORDS or doing == self._printed or self._now() - self._at < LINE_SECONDS:
            return
        self._printed, self._at = doing, self._now()
        without = f" ({n_without_verdict(state):,} without a verdict)" if n_without_verdict(state) else ""
        self._print(f"{state.name}: {doing}; {n_done(state):,} of {state.counts.planned:,} presentations done{without}")


class ProgressBar:
    """A bar on a terminal. A line above it says what the run waits for."""

    def __init__(self) -> None:
        from rich.progress import (  # noqa: PLC0415  # rich is imported when a bar is shown
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=escaping_console(sys.stderr))
        self._task = self.progress.add_task("judging", total=None)
        self._printed = ""

    def update(self, state: Run) -> None:
        """Show a snapshot."""
        word = state_word(state)
        doing = ("judging" if word == "running" else word) + (f", round {state.round}" if state.round else "")
        self.progress.update(self._task, description=doing, total=state.counts.planned, completed=n_done(state))
        if state.state_message and activity(state) != self._printed:
            self._printed = activity(state)
            self.progress.console.print(f"{self._printed}")


async def follow_run(client: JudgeClient, name: str, executed: Callable[[Run], bool] = lambda _: True) -> Run:
    """Show the progress of a run on stderr until it ends or was interrupted, and return its last state.

    *executed* says whether a process executes the run. It is asked when nothing has changed for a while.
    """
    from judge.api.v1.run_service_pb2 import RUN_STATE_PAUSED  # noqa: PLC0415  # grpc's messages when needed

    snapshot = None
    revision = -1
    with contextlib.ExitStack() as stack:
        shown: ProgressBar | ProgressLines
        if sys.stderr.isatty():
            shown = ProgressBar()
            stack.enter_context(shown.progress)
        else:
            shown = ProgressLines(time.monotonic, lambda line: click.echo(line, err=True))
        async for snapshot in client.watch_run(name):
            if snapshot.state == RUN_STATE_PAUSED and snapshot.state_reason == INTERRUPTED:
                # The summary, which follows, says so.
                break
            shown.update(snapshot)
            if snapshot.revision == revision and not executed(snapshot):
                click.echo(how_to_continue(snapshot), err=True)
                break
            revision = snapshot.revision
    return snapshot if snapshot is not None else await client.get_run(name)
