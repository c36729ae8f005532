"""What people see of a run's progress without a terminal, and how runs are named and noted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import click
import pytest

from judge.api.v1 import run_service_pb2 as pb
from judge.cli.metadata_options import as_metadata
from judge.cli.run_control import full_name
from judge.cli.run_progress import LINE_SECONDS, ProgressLines, exit_code, follow_run, n_done, run_summary
from judge_client import JudgeClient

DOWN = "judge 'j' at http://h has given no answer since 15:04 UTC: connection refused"


def snapshot(
    state: pb.RunState.ValueType, reason: str = "", message: str = "", *, pending: int = 8, **by_status: int
) -> pb.Run:
    """Return a run of 10 presentations."""
    counts = pb.RunCounts(planned=10, pending=pending, by_status=by_status)
    return pb.Run(name="runs/r", state=state, state_reason=reason, state_message=message, counts=counts)


def test_a_line_is_printed_when_the_state_changes_and_at_most_one_in_30_seconds() -> None:
    """A change that comes too early is shown later. Progress alone prints nothing, and neither does the end."""
    now = [0.0]
    lines: list[str] = []
    shown = ProgressLines(lambda: now[0], lines.append)

    for seconds, state in (
        (0, snapshot(pb.RUN_STATE_RUNNING, pending=10)),
        (1, snapshot(pb.RUN_STATE_RUNNING, ok=2)),
        (2, snapshot(pb.RUN_STATE_WAITING, "PROVIDER_DOWN", DOWN, ok=2)),
        (LINE_SECONDS - 1, snapshot(pb.RUN_STATE_WAITING, "PROVIDER_DOWN", DOWN, ok=2)),
        (LINE_SECONDS, snapshot(pb.RUN_STATE_WAITING, "PROVIDER_DOWN", DOWN, ok=2)),
        (LINE_SECONDS + 20, snapshot(pb.RUN_STATE_WAITING, "PROVIDER_DOWN", DOWN, ok=2)),
        (LINE_SECONDS * 3, snapshot(pb.RUN_STATE_RUNNING, pending=3, ok=6, unreadable=1)),
        (LINE_SECONDS * 9, snapshot(pb.RUN_STATE_DONE, pending=0, ok=10)),
    ):
        now[0] = seconds
        shown.update(state)

    assert lines == [
        "runs/r: judging; 0 of 10 presentations done",
        f"runs/r: waiting (PROVIDER_DOWN): {DOWN}; 2 of 10 presentations done",
        "runs/r: judging; 7 of 10 presentations done (1 without a verdict)",
    ]


def test_what_a_budget_or_a_cancel_left_undone_is_not_done() -> None:
    """What failed is done, because nobody judges it again in this run."""
    ended = snapshot(pb.RUN_STATE_DONE, pending=0, ok=3, transport_error=1, budget_stopped=4, cancelled=2)

    assert n_done(ended) == 4


def test_a_run_whose_replies_hold_no_verdict_is_3() -> None:
    """Whatever it is that is missing, and 1 is only for a run that failed."""
    without = snapshot(
        pb.RUN_STATE_DONE, "TOO_FEW_VERDICTS", "10 of 10 replies were unreadable", pending=0, unreadable=10
    )
    stopped = snapshot(pb.RUN_STATE_FAILED, "NO_VERDICTS", pending=6, unreadable=4)
    complete = snapshot(pb.RUN_STATE_DONE, pending=0, ok=10)

    assert [exit_code(ended) for ended in (without, stopped, complete)] == [3, 1, 0]
    assert "0 of 10 verdicts done (10 unreadable)" in run_summary(without)


def test_the_message_of_a_run_is_a_sentence_of_its_summary() -> None:
    summary = run_summary(snapshot(pb.RUN_STATE_FAILED, "TOO_SLOW", "judge 'j' was stopped", ok=2))

    assert summary == "runs/r: 2 of 10 verdicts done, 0 calls. Judge 'j' was stopped."


class _Silent:
    """A client of a run whose process was killed: every snapshot is the same."""

    async def watch_run(self, name: str) -> AsyncIterator[pb.Run]:
        while True:
            yield pb.Run(name=name, state=pb.RUN_STATE_RUNNING, revision=3)


async def test_a_watch_ends_when_the_process_of_the_run_was_killed(capsys: pytest.CaptureFixture[str]) -> None:
    """It asks whether a process executes runs only when nothing has changed."""
    asked: list[int] = []

    def executed(now: pb.Run) -> bool:
        asked.append(now.revision)
        return False

    last = await follow_run(cast("JudgeClient", _Silent()), "runs/r", executed)

    assert (last.state, asked) == (pb.RUN_STATE_RUNNING, [3])
    assert "No process executes this run. Continue with: judge resume r" in capsys.readouterr().err


def test_metadata_are_pairs() -> None:
    """The value may contain an equals sign."""
    assert as_metadata(["commit=abc", "note=a=b", "empty="]) == {"commit": "abc", "note": "a=b", "empty": ""}
    for wrong in (["commit"], ["=x"], ["a=1", "a=2"]):
        with pytest.raises(click.BadParameter):
            as_metadata(wrong)


def test_a_run_may_be_named_with_or_without_its_collection() -> None:
    assert full_name("abc") == full_name("runs/abc") == "runs/abc"


class _Interrupted:
    """A client of a run that is paused because its command was interrupted."""

    async def watch_run(self, name: str) -> AsyncIterator[pb.Run]:
        yield pb.Run(name=name, state=pb.RUN_STATE_PAUSED, state_reason="INTERRUPTED", state_message="interrupted")


async def test_a_watch_of_an_interrupted_run_leaves_its_message_to_the_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Otherwise the same sentence is printed twice."""
    last = await follow_run(cast("JudgeClient", _Interrupted()), "runs/r")

    assert (last.state, capsys.readouterr().err) == (pb.RUN_STATE_PAUSED, "")


def test_one_call_is_singular_and_calls_in_flight_follow_in_a_sentence() -> None:
    running = snapshot(pb.RUN_STATE_RUNNING, ok=2)
    running.counts.calls = 1
    running.open.CopyFrom(pb.OpenCalls(calls=4, cost_micros=20_000))

    assert run_summary(running) == (
        "runs/r: 2 of 10 verdicts done, 1 call. 4 calls are in flight; they cost at most $0.0200 more."
    )
