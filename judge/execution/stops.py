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
    """How many *calls* for a presentation got no answer, and the *words* of the last failure."""

    calls: int = 0
    words: str = ""

    @property
    def reason(self) -> str:
        """Why the presentation has no verdict."""
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
    return f"{_spent(run)}; resume the run, with a larger budget if that leaves too little"


def _advice(run: Run, words: str) -> str:
    """What to do about a budget that is used up, as the end of a sentence. *words* say why the last call failed."""
    if not run.counts.calls:
        return "one call can cost more than the whole budget, so none was made: resume the run with a larger budget"
    if run.counts.settled == run.counts.left_out:
        last = f" (the last one: {words})" if words else ""
        return (
            f"no call was answered{last}, so try `judge doctor --call` before you resume the run with a larger budget"
        )
    return "resume the run with a larger budget"


def _spent(run: Run) -> str:
    """How far a run got within its budget, as part of a sentence."""
    budget, counts = run.spec.budget, run.counts
    judged = counts.settled - counts.left_out
    parts, stopped = [], "stopped at"
    if budget.cost_micros:
        stopped = "stopped after at most" if any(judge.uncounted for judge in run.spent) else stopped
        parts.append(f"${usd(run.cost_micros)} of ${usd(budget.cost_micros)}")
    if budget.calls:
        parts.append(f"{counts.calls:,} of {budget.calls:,} calls")
    return f"{stopped} {' and '.join(parts)} with {judged:,} of {counts.planned:,} presentations judged"
