"""A model in plain Python of the store's ledger of runs, permits and answers. Tests compare the store with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from judge.domain.outcome import ItemState
from judge.domain.run import ENDED, TRANSITIONS, Budget, RunState, StopReason

STOPPED = (RunState.CANCELLING, RunState.CANCELLED)
WORKING = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
FAILED = frozenset(state.name.lower() for state in ItemState)
REOPENED = ENDED | {RunState.PAUSED, RunState.WAITING}


@dataclass
class Attempt:
    """A permitted call to a key by a shard of a run, which costs at most *worst*, until the time *until*.

    The cost of a live one is what its failed tries may have cost.
    """

    id: int
    key: int
    run: int
    shard: int
    worst: int
    until: float
    state: str = "live"
    cost: int = 0
    further: int = 0
    """How many calls it has made again."""
    counted: int = 0
    """What it was counted as when the budget last allowed a call of its run."""


@dataclass
class RunRow:
    """A run: its state, its budget and its counts. Costs are in micro-USD."""

    budget: Budget
    state: RunState = RunState.RUNNING
    calls: int = 0
    cost: int = 0
    repeated: int = 0
    reused: int = 0
    items: dict[int, str] = field(default_factory=dict)
    """The status of each presentation by its position, which is its key."""
    shards: Counter[int] = field(default_factory=Counter)
    """The number of the newest attempt at each shard."""
    done: set[int] = field(default_factory=set)
    """Shards that are complete."""
    answered: list[int] = field(default_factory=list)
    """The cost of each answered call, in their order."""
    lost: int = 0
    overrun: int = 0
    """What calls have cost beyond what they were counted as when the budget last allowed a call.

    It starts below 0 by what one call may cost beyond its reservation.
    """

    def reserves(self, worst: int) -> int:
        """Return what a call reserves that costs at most *worst*: 1.25 times the dearest recent one, after ten."""
        n = len(self.answered)
        if not self.budget.cost_micros or self.budget.hard or n < 10:
            return worst
        recent = self.answered[max((n - 1) // 200 - 1, 0) * 200 :]
        return min(worst, max(1, math.ceil(1.25 * max(recent))))

    @property
    def by_status(self) -> Counter[str]:
        """The number of presentations with each status."""
        return Counter(self.items.values())


@dataclass
class Ledger:
    """All runs, all attempts, and the keys that have an answer."""

    runs: list[RunRow]
    attempts: dict[int, Attempt] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)

    def live(self, run: int) -> list[Attempt]:
        """Return the run's live attempts."""
        return [attempt for attempt in self.attempts.values() if attempt.run == run and attempt.state == "live"]

    def calling(self, key: int) -> Attempt | None:
        """Return the live attempt that calls *key*, if there is one."""
        return next(
            (attempt for attempt in self.attempts.values() if attempt.key == key and attempt.state == "live"), None
        )

    def orphan(self, attempts: Iterable[Attempt]) -> int:
        """Book each of *attempts* as a lost call that cost what it reserved, and return their number."""
        orphaned = list(attempts)
        for attempt in orphaned:
            run = self.runs[attempt.run]
            attempt.state, attempt.cost = "orphaned", attempt.cost + run.reserves(attempt.worst)
            calls = 1 + attempt.further
            run.calls, run.repeated, run.cost = run.calls + calls, run.repeated + 1, run.cost + attempt.cost
            run.lost, run.overrun = run.lost + 1, run.overrun + max(attempt.cost - attempt.counted, 0)
        return len(orphaned)

    def refusal(self, run: int, shard: int, attempt: int) -> StopReason | None:
        """Return why an attempt at a shard gets no permit; None if it gets one."""
        row = self.runs[run]
        if row.state in STOPPED:
            return StopReason.CANCELLED
        if row.state not in WORKING:
            return StopReason.NOT_RUNNING
        return None if row.shards[shard] == attempt else StopReason.SUPERSEDED

    def begin(self, run: int, shard: int) -> int | None:
        """Begin a new attempt at a shard and return its number; None if the shard is done.

        Calls of earlier attempts are orphaned.
        """
        row = self.runs[run]
        if shard in row.done:
            return None
        row.shards[shard] += 1
        self.orphan(attempt for attempt in self.live(run) if attempt.shard == shard)
        return row.shards[shard]

    def finish(self, run: int, shard: int, attempt: int) -> None:
        """Mark the shard as done if *attempt* is its newest."""
        if attempt and self.runs[run].shards[shard] == attempt:
            self.runs[run].done.add(shard)

    def permit(self, run: int, keys: Sequence[int], worst: int, now: float) -> tuple[list[int], set[int]]:
        """Return which of *keys* are granted, and which another attempt is calling.

        Expired attempts at these keys are orphaned, and if the run has a budget, so are all of its own.
        """
        calling = {key: attempt for key in keys if key not in self.answered and (attempt := self.calling(key))}
        self.orphan(attempt for attempt in calling.values() if attempt.until < now)
        busy = {key for key, attempt in calling.items() if attempt.until >= now}
        free = [key for key in dict.fromkeys(keys) if key not in self.answered and key not in busy]
        budget = self.runs[run].budget
        if free and (budget.calls or budget.cost_micros):
            self.orphan(attempt for attempt in self.live(run) if attempt.until < now)
        return free[: self._affordable(run, worst, len(free))], busy

    def live_calls(self, run: int) -> int:
        """Return how many calls the run's live attempts have made or are making."""
        return sum(1 + attempt.further for attempt in self.live(run))

    def reserved(self, run: int) -> int:
        """Return what the run's live attempts reserve."""
        return sum(attempt.cost + self.runs[run].reserves(attempt.worst) for attempt in self.live(run))

    def surprise(self, run: int, more: Sequence[int] = ()) -> int:
        """Return what one of the live attempts, or of calls whose worst is *more*, may cost beyond its reservation.

        At most a tenth of the budget counts.
        """
        row = self.runs[run]
        worsts = [*(attempt.worst for attempt in self.live(run)), *more]
        tenth = row.budget.cost_micros // 10
        return max([0, *(min(worst, tenth) - row.reserves(worst) for worst in worsts)])

    def reserve_again(self, attempt: Attempt, micros: int, calls: int) -> bool:
        """Reserve *calls* and *micros* for an attempt, and return whether it is live and the budget allows that.

        A call that is made again because it was not sent takes no further call from the budget.
        """
        row = self.runs[attempt.run]
        is_called_out = 0 < row.budget.calls < row.calls + self.live_calls(attempt.run) + calls
        used = row.cost + self.reserved(attempt.run) + self.surprise(attempt.run)
        is_affordable = not row.budget.cost_micros or used + micros <= row.budget.cost_micros
        allowed = attempt.state == "live" and is_affordable and not is_called_out
        attempt.cost += micros * allowed
        attempt.further += calls * allowed
        if allowed:
            self._count(attempt.run)
        return allowed

    def _affordable(self, run: int, worst: int, wanted: int) -> int:
        row = self.runs[run]
        if row.budget.calls:
            wanted = min(wanted, row.budget.calls - row.calls - self.live_calls(run))
        if row.budget.cost_micros:
            remaining = row.budget.cost_micros - row.cost - self.reserved(run) - self.surprise(run, [worst])
            wanted = min(wanted, remaining // row.reserves(worst))
        return max(wanted, 0)

    def grant(self, attempts: Iterable[Attempt]) -> None:
        """Record new attempts."""
        new = {attempt.id: attempt for attempt in attempts}
        self.attempts.update(new)
        for run in {attempt.run for attempt in new.values()}:
            self._count(run)

    def _count(self, run: int) -> None:
        """Count all calls of a run in flight as what they reserve now, which the budget has just allowed."""
        self.runs[run].overrun = -self.surprise(run)
        for attempt in self.live(run):
            attempt.counted = attempt.cost + self.runs[run].reserves(attempt.worst)

    def settle(self, run: int, done: Sequence[tuple[Attempt, bool]], cost: int, *, unsent: bool = False) -> None:
        """Settle calls of one run in one commit. Each has an answer or has failed finally.

        If they were *unsent*, those that failed give back the calls that they took from the budget, and cost nothing.
        """
        new = {attempt.key for attempt, replied in done if replied} - self.answered
        self.answered |= new
        row = self.runs[run]
        for attempt, replied in done:
            if attempt.state == "live":
                given_back = unsent and not replied
                attempt.state, attempt.cost = (
                    ("settled" if attempt.key in new else "repeated") if replied else "failed",
                    0 if given_back else cost,
                )
                row.calls, row.cost = row.calls + (not given_back), row.cost + attempt.cost
                row.overrun += max(attempt.cost - attempt.counted, 0)
                row.answered += [cost] * replied
                row.repeated += attempt.state == "repeated"
        with_answer = {attempt.key for attempt, replied in done if replied}
        for attempt, _ in done:
            row.items.setdefault(attempt.key, "ok" if attempt.key in with_answer else "transport_error")

    def reuse(self, run: int, keys: Collection[int]) -> None:
        """Let the run reuse the answers to *keys*."""
        row = self.runs[run]
        row.reused += len(set(keys) - row.items.keys())
        for key in keys:
            row.items.setdefault(key, "ok")

    def move(self, run: int, state: RunState) -> bool:
        """Move the run to *state* if that transition is allowed, and return whether it is."""
        row = self.runs[run]
        allowed = state in TRANSITIONS[row.state]
        row.state = state if allowed else row.state
        return allowed

    def reopen(self, run: int, budget: Budget) -> bool:
        """Queue the run again if its state allows that, and return whether it does. Failed presentations are reset.

        The budget is new in any state.
        """
        row = self.runs[run]
        row.budget = budget
        if row.state not in REOPENED:
            # The new budget covers what calls in flight reserve, but not what one of them may cost beyond that.
            self._count(run)
            row.overrun = 0
            return False
        row.state, row.done = RunState.QUEUED, set()
        row.items = {key: status for key, status in row.items.items() if status not in FAILED}
        return True
