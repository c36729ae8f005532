"""What a run cost, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.cli.tables import to_minute
from judge.domain.money import usd

if TYPE_CHECKING:
    from judge.api.v1.run_service_pb2 import Run


def run_cost(state: Run) -> str:
    """Say what a run cost: "at most" if there are calls whose cost is not known, of which budget, and what was entered.

    >>> from judge.api.v1.run_service_pb2 import Budget, Run
    >>> run_cost(Run(cost_micros=480_000, budget=Budget(cost_micros=500_000)))
    '$0.4800 of $0.5000'
    """
    uncounted = sum(judge.uncounted for judge in state.spending)
    limit = f" of ${usd(state.budget.cost_micros)}" if state.budget.cost_micros else ""
    details = entered_costs(state)
    if uncounted:
        details = [f"the tokens of {uncounted:,} call{'s' * (uncounted > 1)} are not known", *details]
    return f"{'at most ' * bool(uncounted)}${usd(state.cost_micros)}{limit}" + (
        f" ({'; '.join(details)})" if details else ""
    )


def entered_costs(state: Run) -> list[str]:
    """Say for each judge of a run whose cost was entered what was, when, and what had been counted instead.

    >>> from google.protobuf.timestamp_pb2 import Timestamp
    >>> from judge.api.v1.run_service_pb2 import EnteredCost, JudgeSpending, Run
    >>> entered = EnteredCost(cost_micros=4_800_000, counted_micros=9_260_000, enter_time=Timestamp(seconds=60))
    >>> entered_costs(Run(spending=[JudgeSpending(judge="judges/far", entered=entered)]))
    ['$4.8000 entered at 1970-01-01 00:01 UTC instead of $9.2600 counted']
    """
    costs = []
    for each in state.spending:
        if each.HasField("entered"):
            judge = f" for {each.judge.removeprefix('judges/')}" if len(state.spending) > 1 else ""
            entered, counted = usd(each.entered.cost_micros), usd(each.entered.counted_micros)
            when = f"{to_minute(each.entered.enter_time)} UTC"
            costs.append(f"${entered} entered{judge} at {when} instead of ${counted} counted")
    return costs
