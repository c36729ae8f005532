"""Encode how far a run is and what it spent.

The API counts in 32 bits. A run that was stored before sizes were checked may have larger counts: they are encoded as
the largest number that the API can hold, so that such a run can still be listed, watched and cancelled.
"""

from __future__ import annotations

from judge.api.v1 import run_service_pb2
from judge.domain.run import MOST_POSITIONS, Run
from judge.domain.spending import EnteredCost
from judge.rpc.timestamps import timestamp


def counts(run: Run) -> run_service_pb2.RunCounts:
    """Encode a run's progress.

    Once the run has ended, presentations that were never started are counted by their final state.
    """
    by_status = {name: n for name, n in sorted(run.counts.by_status.items()) if n}
    pending = run.counts.pending
    if run.state.ended and run.never_started is not None and pending:
        name = run.never_started.name.lower()
        by_status[name] = by_status.get(name, 0) + pending
        pending = 0
    return run_service_pb2.RunCounts(
        planned=_bounded(run.counts.planned),
        pending=_bounded(pending),
        reused=_bounded(run.counts.reused),
        calls=_bounded(run.counts.calls),
        repeated=_bounded(run.counts.repeated),
        by_status={name: _bounded(n) for name, n in by_status.items()},
    )


def spending(run: Run) -> list[run_service_pb2.JudgeSpending]:
    """Encode what each judge of a run used, in their order."""
    return [
        run_service_pb2.JudgeSpending(
            judge=f"judges/{frozen.name}",
            calls=_bounded(spent.calls),
            cost_micros=spent.cost_micros,
            input_tokens=spent.input_tokens,
            cached_input_tokens=spent.cached_input_tokens,
            output_tokens=spent.output_tokens,
            failed=_bounded(spent.failed),
            uncounted=_bounded(spent.uncounted),
            entered=_entered(spent.entered) if spent.entered else None,
        )
        for frozen, spent in zip(run.judges, run.spent, strict=True)
    ]


def _entered(cost: EnteredCost) -> run_service_pb2.EnteredCost:
    return run_service_pb2.EnteredCost(
        cost_micros=cost.cost_micros, counted_micros=cost.counted_micros, enter_time=timestamp(cost.time)
    )


def open_calls(run: Run) -> run_service_pb2.OpenCalls:
    """Encode the calls of a run that have not settled."""
    return run_service_pb2.OpenCalls(**run.open._asdict())


def state_message(run: Run) -> str:
    """Return a run's message, and for which judges the provider billed more than a call can cost."""
    bills = "; ".join(
        f"judge {judge.name!r}: {overrun.message}"
        for judge, overrun in zip(run.judges, run.overruns, strict=False)
        if overrun
    )
    if not run.message or not bills:
        return run.message or bills
    return f"{run.message.removesuffix('.')}. {bills[0].upper()}{bills[1:]}"


def _bounded(number: int) -> int:
    return min(number, MOST_POSITIONS)
