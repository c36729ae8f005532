"""Whether a process executes a run, and what the death of one leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from judge.cli.connect import ServiceTarget
from judge.cli.tables import counted
from judge.domain.money import usd
from judge.domain.run import RunState

if TYPE_CHECKING:
    from judge.api.v1.run_service_pb2 import Run


EXECUTING = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING, RunState.CANCELLING)
"""States of runs that some process executes, unless it was killed."""


def explain_open_calls(state: Run, *, executed: bool) -> str:
    """Say in a sentence what the calls of a run are that have not settled; nothing if there are none.

    *executed* says whether a process executes runs of the store. It has booked what was lost before it began.

    >>> from judge.api.v1.run_service_pb2 import OpenCalls, Run
    >>> explain_open_calls(Run(open=OpenCalls(calls=2, cost_micros=22_900)), executed=False)
    '2 calls were lost with the process; they cost at most $0.0229 more.'
    >>> explain_open_calls(Run(open=OpenCalls(calls=1, cost_micros=11_400)), executed=True)
    '1 call is in flight; it costs at most $0.0114 more.'
    """
    calls, batched = state.open.calls, state.open.batched
    if not calls:
        return ""
    lost = calls - batched
    if executed:
        status = f"{_count(calls, 'is', 'are')} in flight"
    elif batched:
        begin = f"{_count(lost, 'was', 'were')} lost with the process, and " if lost else ""
        status = f"{begin}{_count(batched, 'is', 'are')} in a batch at the provider"
    else:
        status = f"{_count(calls, 'was', 'were')} lost with the process"
    cost = f"at most ${usd(state.open.cost_micros)} more"
    return f"{status}; {'they cost' if calls > 1 else 'it costs'} {cost}."


def _count(calls: int, singular: str, plural: str) -> str:
    return f"{counted(calls, 'call')} {singular if calls == 1 else plural}"


def state_word(state: Run) -> str:
    """Return the run's state in lower case."""
    from judge.api.v1 import run_service_pb2 as pb  # noqa: PLC0415  # grpc's messages when needed

    return pb.RunState.Name(state.state).removeprefix("RUN_STATE_").lower()


def was_killed(state: Run, *, executed: bool) -> bool:
    """Whether a run is stored as being executed, although no process executes runs (*executed*)."""
    return not executed and is_unfinished(state)


def is_unfinished(state: Run) -> bool:
    """Whether some process should execute a run."""
    return state_word(state) in {each.name.lower() for each in EXECUTING}


def how_to_continue(state: Run) -> str:
    """Say how to continue a run whose process was killed, or how to end it if it was being cancelled."""
    command = "cancel" if state_word(state) == "cancelling" else "resume"
    words = "End it with" if command == "cancel" else "Continue with"
    return f"No process executes this run. {words}: judge {command} {state.name.removeprefix('runs/')}"


def is_executed(service: ServiceTarget, runs: Sequence[Run]) -> bool:
    """Whether a process executes the runs of the store, as far as that matters for *runs*."""
    if service.server is not None or not any(is_unfinished(each) or each.open.calls for each in runs):
        return True
    from judge.app.local import executing_process  # noqa: PLC0415  # only without a server

    return executing_process(service.config) is not None
