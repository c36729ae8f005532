"""What a store of runs, permits and answers does, in plain Python: what the real one is held against, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from judge.domain.outcome import ItemState
from judge.domain.run import ENDED, TRANSITIONS, Budget, RunState

STOPPED = (RunState.CANCELLING, RunState.CANCELLED)
WORKING = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
FAILED = frozenset(state.name.lower() for state in ItemState)
REOPENED = ENDED | {RunState.PAUSED, RunState.WAITING}


@dataclass
class Attempt:
    """A call that was permitted: of a key, by a run's shard, reserving *worst*, until a moment."""

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
    """A run: its state, what it may spend, and what is counted."""

    budget: Budget
    state: RunState = RunState.RUNNING
    calls: int = 0
    cost: int = 0
    repeated: int = 0
    reused: int = 0
    items: dict[int, str] = field(default_factory=dict)
    """The status of each showing by its position, which is its key."""
    shards: Counter[int] = field(default_factory=Counter)
    """The newest attempt at each shard."""
    done: set[int] = field(default_factory=set)
    """Shards that nobody needs to look at."""

    @property
    def by_status(self) -> Counter[str]:
        """How many showings have which status."""
        return Counter(self.items.values())


@dataclass
class Ledger:
    """All runs, all attempts, and the keys that have an answer."""

    runs: list[RunRow]
    attempts: dict[int, Attempt] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)

    def live(self, run: int) -> list[Attempt]:
        """The run's live attempts."""
        return [one for one in self.attempts.values() if one.run == run and one.state == "live"]

    def calling(self, key: int) -> Attempt | None:
        """Who calls *key* now."""
        return next((one for one in self.attempts.values() if one.key == key and one.state == "live"), None)

    def orphan(self, attempts: Iterable[Attempt]) -> int:
        """Nobody will settle these: each is booked as a call that cost its worst; how many there were."""
        orphaned = list(attempts)
        for one in orphaned:
            one.state, one.cost = "orphaned", one.worst
            run = self.runs[one.run]
            run.calls, run.repeated, run.cost = run.calls + 1, run.repeated + 1, run.cost + one.worst
        return len(orphaned)

    def refused(self, run: int, shard: int, attempt: int) -> str:
        """Why an attempt at a shard gets no permit, if it gets none."""
        row = self.runs[run]
        if row.state in STOPPED:
            return "CANCELLED"
        if row.state not in WORKING:
            return "NOT_RUNNING"
        return "" if row.shards[shard] == attempt else "SUPERSEDED"

    def begin(self, run: int, shard: int) -> int | None:
        """The number of a new attempt at a shard; what an earlier one was calling is orphaned. None if it is done."""
        row = self.runs[run]
        if shard in row.done:
            return None
        row.shards[shard] += 1
        self.orphan(one for one in self.live(run) if one.shard == shard)
        return row.shards[shard]

    def finish(self, run: int, shard: int, attempt: int) -> None:
        """The shard is done, if the attempt is its newest."""
        if attempt and self.runs[run].shards[shard] == attempt:
            self.runs[run].done.add(shard)

    def permitted(self, run: int, keys: Sequence[int], worst: int, now: float) -> tuple[list[int], set[int]]:
        """Which of *keys* are granted, and which somebody else is calling; what is past its time is orphaned."""
        calling = {key: one for key in keys if key not in self.answered and (one := self.calling(key))}
        self.orphan(one for one in calling.values() if one.until < now)
        busy = {key for key, one in calling.items() if one.until >= now}
        free = [key for key in dict.fromkeys(keys) if key not in self.answered and key not in busy]
        return free[: self._affordable(run, worst, len(free))], busy

    def _affordable(self, run: int, worst: int, more: int) -> int:
        row, live = self.runs[run], self.live(run)
        if row.budget.calls:
            more = min(more, row.budget.calls - row.calls - len(live))
        if row.budget.cost_micros:
            left = row.budget.cost_micros - row.cost - sum(one.worst for one in live)
            more = min(more, left // worst)
        return max(more, 0)

    def grant(self, attempts: Iterable[Attempt]) -> None:
        """Take note of new attempts."""
        self.attempts.update({one.id: one for one in attempts})

    def settle(self, run: int, done: Sequence[tuple[Attempt, bool]], cost: int) -> None:
        """Calls of one run come back, in one commit: each with an answer, or failed for good."""
        new = {one.key for one, replied in done if replied} - self.answered
        self.answered |= new
        row = self.runs[run]
        for one, replied in done:
            if one.state == "live":
                one.state, one.cost = ("settled" if one.key in new else "repeated") if replied else "failed", cost
                row.calls, row.cost = row.calls + 1, row.cost + cost
                row.repeated += one.state == "repeated"
        with_answer = {one.key for one, replied in done if replied}
        for one, _ in done:
            row.items.setdefault(one.key, "ok" if one.key in with_answer else "transport_error")

    def reuse(self, run: int, keys: Collection[int]) -> None:
        """The run takes answers that are there."""
        row = self.runs[run]
        row.reused += len(set(keys) - row.items.keys())
        for key in keys:
            row.items.setdefault(key, "ok")

    def move(self, run: int, state: RunState) -> bool:
        """Whether the run may go to *state*; then it is there."""
        row = self.runs[run]
        allowed = state in TRANSITIONS[row.state]
        row.state = state if allowed else row.state
        return allowed

    def reopen(self, run: int, budget: Budget) -> bool:
        """Whether the run may be queued again; then it is, without the showings that have no verdict."""
        row = self.runs[run]
        if row.state not in REOPENED:
            return False
        row.state, row.budget, row.done = RunState.QUEUED, budget, set()
        row.items = {key: status for key, status in row.items.items() if status not in FAILED}
        return True
