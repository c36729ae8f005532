"""A run that its budget stopped says what happened before it advises to pay more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from judge.domain.run import Budget, Run, RunCounts, StopReason
from judge.execution.stops import Stop, incomplete


@pytest.mark.parametrize(
    ("calls", "judged", "words"),
    [
        (0, 0, "one call can cost more than the whole budget, so none was made"),
        (8, 0, "no call was answered, so try `judge doctor --call`"),
        (8, 8, "with 8 of 12 presentations judged; resume the run with a larger budget"),
    ],
)
def test_a_budget_stop_says_whether_calls_were_made_and_answered(calls: int, judged: int, words: str) -> None:
    counts = RunCounts(planned=12, calls=calls, by_status={"ok": judged})
    spec = SimpleNamespace(budget=Budget(cost_micros=100))
    run = cast("Run", SimpleNamespace(spec=spec, counts=counts, spent=(), cost_micros=90))

    assert words in str(incomplete(run, [Stop(StopReason.BUDGET_STOPPED)], 5).get("message"))
