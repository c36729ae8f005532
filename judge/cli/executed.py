"""Whether a process executes a run, and what the death of one leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from judge.cli.connect import ServiceTarget
from judge.domain.money import usd
from judge.domain.run import RunState

if TYPE_CHECKING:
    from judge.api.v1.run_service_pb2 import Run


EXECUTING = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING, RunState.CANCELLING)
"""States of runs that some process executes, unless it was killed."""


def explain_open_calls(state: Run, *, executed: bool) -> str:
    """Say what the calls of a run are that have not settled; nothing if there are none.

    *executed* says whether a process executes runs of the store.
    """
    calls, batched = state.open.calls, state.open.batched
    if not calls:
        return ""
    if executed:
        status = "in flight or lost with their process"
    elif batched:
        lost = f"{calls - batched:,} lost with their process and " if calls > batched else ""
        status = f"not settled, {lost}{batched:,} in a batch at the provider"
    else:
        status = "lost with their process"
    return f"{calls:,} call{'s' * (calls != 1)} {status}, at most ${usd(state.open.cost_micros)} more"


def state_word(state: Run) -> str:
    """Return the run's state in lower case."""
    from judge.api.v1.run_service_pb2 import RunState  # noqa: PLC0415  # as above

    return RunState.Name(state.state).removeprefix("RUN_STATE_").lower()


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
