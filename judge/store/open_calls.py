"""The calls of runs that have not settled, and the most that they can cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from judge.domain.spending import OpenCalls
from judge.store import schema as s
from judge.store.recent_costs import raised

_a = s.call_attempt.c
_BATCHED = _a.batch_id.is_not(None)
_ALIKE = (_a.run_id, _a.judge, _a.worst_micros, _a.cost_micros, _BATCHED)
_OPEN = (
    select(
        *_ALIKE[:-1],
        _BATCHED.label("batched"),
        func.count().label("attempts"),
        func.sum(_a.further_calls + 1).label("calls"),
    )
    .where(_a.run_id.in_(bindparam("runs", expanding=True)), s.LIVE)
    .group_by(*_ALIKE)
)


def open_calls(c: Connection, runs: Sequence[Any]) -> dict[int, OpenCalls]:
    """Return the calls of each of the rows of *runs* that have not settled, by run."""
    by_run = {run.id: run for run in runs}
    unsettled = dict.fromkeys(by_run, OpenCalls())
    for alike in c.execute(_OPEN, {"runs": list(by_run)}):
        before = unsettled[alike.run_id]
        each = alike.cost_micros + raised(by_run[alike.run_id], alike.judge, alike.worst_micros)
        unsettled[alike.run_id] = OpenCalls(
            calls=before.calls + int(alike.calls),
            cost_micros=before.cost_micros + alike.attempts * each,
            batched=before.batched + int(alike.calls) * bool(alike.batched),
        )
    return unsettled
