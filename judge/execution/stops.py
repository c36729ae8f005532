"""Why shards were not finished, and what a run that is done says about what it left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypedDict

from judge.domain.judge import JudgeDefinition
from judge.domain.money import usd
from judge.domain.outcome import ItemState
from judge.domain.run import Run, StopReason
from judge.execution.missing_verdicts import NOTHING_MISSING, Missing

LEFT_OUT: Mapping[StopReason | None, ItemState] = MappingProxyType(
    {
        StopReason.BUDGET_STOPPED: ItemState.BUDGET_STOPPED,
        StopReason.CANCELLED: ItemState.CANCELLED,
        StopReason.TOO_MANY_FAILED: ItemState.TRANSPORT_ERROR,
        StopReason.TOO_SLOW: ItemState.TRANSPORT_ERROR,
        StopReason.NO_VERDICTS: ItemState.TRANSPORT_ERROR,
    }
)
"""The state of presentations whose calls got no answer, if the run ends for a reason before they are called again."""
NAMED = 5
"""Quarantined shards that a run's message names."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """How many *calls* for a presentation were sent and got no answer, and the *words* of the last failure."""

    calls: int = 0
    words: str = ""

    @property
    def reason(self) -> str:
        """Why the presentation has no verdict."""
        if not self.calls:
            return f"no call reached the provider: {self.words}"
        return f"{self.calls:,} call{'s' * (self.calls != 1)} without an answer; the last one: {self.words}"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a shard was not finished; None as the reason means that it was."""

    reason: StopReason | None = None
    message: str = ""


class Incomplete(TypedDict, total=False):
    """What the store keeps about a run that is done and left something out."""

    reason: str
    message: str
    never_started: ItemState


def quarantined(definition: JudgeDefinition, first: int, last: int) -> Stop:
    """Return why the positions [first, last) of a judge are left out."""
    return Stop(StopReason.QUARANTINED, f"positions {first} to {last - 1} of judge {definition.name!r}")


def explain_unusable(judge: str, run_id: str) -> str:
    """Say what to do about a judge that cannot be called, as the end of a sentence."""
    return (
        f"; its other presentations were not tried. Check it with `judge doctor {judge}`, then `judge resume {run_id}`"
    )


def explain_no_verdicts(run_id: str, first: int) -> str:
    """Say what to do about replies without a verdict, after a sentence. *first* is the position of the first one."""
    return (
        f". See one with `judge show {run_id} {first}`, and read them with another parser with "
        f"`judge reparse {run_id} --parser PARSER`; `judge resume {run_id}` pays for further calls"
    )


def incomplete(run: Run, stops: Sequence[Stop], tries: int, missing: Missing = NOTHING_MISSING) -> Incomplete:
    """Return what is stored of a done run that left something out; empty if it did not.

    *tries* is the number of attempts after which a shard was quarantined, and *missing* is what has no verdict although
    it was judged.
    """
    if any(stop.reason is StopReason.BUDGET_STOPPED for stop in stops):
        words = next((stop.message for stop in reversed(stops) if stop.reason is StopReason.BUDGET_STOPPED), "")
        parts = (_spent(run), _advice(run, words), missing.message if missing.too_much else "")
        message = "; ".join(filter(None, parts))
        return {"reason": StopReason.BUDGET_STOPPED, "message": message, "never_started": ItemState.BUDGET_STOPPED}
    left_out = [stop.message for stop in stops if stop.reason is StopReason.QUARANTINED]
    if left_out:
        names = left_out[:NAMED]
        if len(left_out) > NAMED:
            names.append(f"and {len(left_out) - NAMED:,} more")
        message = f"shards that failed {tries} times were left out; the server's log says why: {'; '.join(names)}"
        message = "; ".join(filter(None, (message, missing.message)))
        return {"reason": StopReason.QUARANTINED, "message": message, "never_started": ItemState.FAILED}
    return {"reason": StopReason.TOO_FEW_VERDICTS if missing.too_much else "", "message": missing.message}


def explain_settled(run: Run) -> str:
    """Say how far a run got whose budget was used up, now that its provider's own total is known."""
    words = "with --budget-usd USD, a new total, if that leaves too little"
    return f"{_spent(run)}; to go on: `judge resume {run.run_id}`, {words}"


def _advice(run: Run, words: str) -> str:
    """What to do about a budget that is used up, as the end of a sentence. *words* say why the last call failed."""
    if not run.counts.calls:
        return f"one call can cost more than the whole budget, so none was made; {_go_on(run)}"
    if run.counts.settled == run.counts.left_out:
        last = f" (the last one: {words})" if words else ""
        return f"no call was answered{last}, so try `judge doctor --call` first; {_go_on(run)}"
    return _go_on(run)


def _go_on(run: Run) -> str:
    """Which command continues a run whose budget is used up, as part of a sentence."""
    budget = run.spec.budget
    out_of_calls = budget.calls and run.counts.calls >= budget.calls
    option = "--budget-calls N" if out_of_calls or not budget.cost_micros else "--budget-usd USD"
    return f"to go on: `judge resume {run.run_id} {option}`, the new total including what is spent"


def _spent(run: Run) -> str:
    """How far a run got within its budget, as part of a sentence."""
    budget, counts = run.spec.budget, run.counts
    judged = counts.settled - counts.left_out
    parts, stopped = [], "stopped at"
    at_most = "at most " * any(judge.uncounted for judge in run.spent)
    if run.cost_micros > budget.cost_micros > 0:
        cost = f"{at_most}${usd(run.cost_micros)}, more than its budget of ${usd(budget.cost_micros)}"
        done = f"with {judged:,} of {counts.planned:,} presentations judged"
        return f"nothing more was called: the run has already cost {cost}, {done}"
    if budget.cost_micros:
        stopped = "stopped after at most" if at_most else stopped
        parts.append(f"${usd(run.cost_micros)} of ${usd(budget.cost_micros)}")
    if budget.calls:
        parts.append(f"{counts.calls:,} of {budget.calls:,} calls")
    return f"{stopped} {' and '.join(parts)} with {judged:,} of {counts.planned:,} presentations judged"
