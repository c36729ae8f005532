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
        (
            8,
            8,
            "with 8 of 12 presentations judged; to go on: `judge resume r --budget-usd USD`, the new total including",
        ),
    ],
)
def test_a_budget_stop_says_whether_calls_were_made_and_answered(calls: int, judged: int, words: str) -> None:
    counts = RunCounts(planned=12, calls=calls, by_status={"ok": judged})
    spec = SimpleNamespace(budget=Budget(cost_micros=100))
    run = cast("Run", SimpleNamespace(run_id="r", spec=spec, counts=counts, spent=(), cost_micros=90))

    assert words in str(incomplete(run, [Stop(StopReason.BUDGET_STOPPED)], 5).get("message"))


@pytest.mark.parametrize(
    ("budget", "option"),
    [(Budget(calls=8), "--budget-calls N"), (Budget(cost_micros=90, calls=8), "--budget-calls N")],
)
def test_the_budget_that_ran_out_is_the_one_to_enlarge(budget: Budget, option: str) -> None:
    """Calls, if there is no other or all were made."""
    counts = RunCounts(planned=12, calls=8, by_status={"ok": 8})
    run = cast(
        "Run",
        SimpleNamespace(run_id="r", spec=SimpleNamespace(budget=budget), counts=counts, spent=(), cost_micros=80),
    )

    assert f"`judge resume r {option}`" in str(incomplete(run, [Stop(StopReason.BUDGET_STOPPED)], 5).get("message"))
