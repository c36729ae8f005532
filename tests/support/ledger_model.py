"""A model in plain Python of the store's ledger of runs, permits and answers. Tests compare the store with it."""

from __future__ import annotations

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
    """A permitted call to a key by a shard of a run. It reserves the cost *worst* until the time *until*."""

    id: int
    key: int
    run: int
    shard: int
    worst: int
    until: float
    state: str = "live"
    cost: int = 0


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
        """Book each of *attempts* as a call that cost what it reserved, and return their number."""
        orphaned = list(attempts)
        for attempt in orphaned:
            attempt.state, attempt.cost = "orphaned", attempt.worst
            run = self.runs[attempt.run]
            run.calls, run.repeated, run.cost = run.calls + 1, run.repeated + 1, run.cost + attempt.worst
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

    def reserve_again(self, attempt: Attempt, micros: int) -> bool:
        """Reserve *micros* more for an attempt, and return whether it is live and the budget allows that."""
        budget, reserved = self.runs[attempt.run].budget, sum(live.worst for live in self.live(attempt.run))
        allowed = attempt.state == "live" and (
            not budget.cost_micros or self.runs[attempt.run].cost + reserved + micros <= budget.cost_micros
        )
        attempt.worst += micros * allowed
        return allowed

    def _affordable(self, run: int, worst: int, wanted: int) -> int:
        row, live = self.runs[run], self.live(run)
        if row.budget.calls:
            wanted = min(wanted, row.budget.calls - row.calls - len(live))
        if row.budget.cost_micros:
            remaining = row.budget.cost_micros - row.cost - sum(attempt.worst for attempt in live)
            wanted = min(wanted, remaining // worst)
        return max(wanted, 0)

    def grant(self, attempts: Iterable[Attempt]) -> None:
        """Record new attempts."""
        self.attempts.update({attempt.id: attempt for attempt in attempts})

    def settle(self, run: int, done: Sequence[tuple[Attempt, bool]], cost: int) -> None:
        """Settle calls of one run in one commit. Each has an answer or has failed finally."""
        new = {attempt.key for attempt, replied in done if replied} - self.answered
        self.answered |= new
        row = self.runs[run]
        for attempt, replied in done:
            if attempt.state == "live":
                attempt.state, attempt.cost = (
                    ("settled" if attempt.key in new else "repeated") if replied else "failed",
                    cost,
                )
                row.calls, row.cost = row.calls + 1, row.cost + cost
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
        """Queue the run again if its state allows that, and return whether it does. Failed presentations are reset."""
        row = self.runs[run]
        if row.state not in REOPENED:
            return False
        row.state, row.budget, row.done = RunState.QUEUED, budget, set()
        row.items = {key: status for key, status in row.items.items() if status not in FAILED}
        return True
