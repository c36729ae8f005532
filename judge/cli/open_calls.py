"""What a run's calls that have not settled are, and what they cost at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.cli.connect import ServiceTarget
from judge.domain.money import usd

if TYPE_CHECKING:
    from judge.api.v1.run_service_pb2 import Run


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


def is_executed(service: ServiceTarget) -> bool:
    """Whether a process executes the runs of the store."""
    if service.server is not None:
        return True
    from judge.app.local import executing_process  # noqa: PLC0415  # only without a server

    return executing_process(service.config) is not None
