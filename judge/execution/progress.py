"""What the shards of a run report while they work: what the run waits for, what settled, and how many calls failed."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime

from judge.domain.errors import NO_ANSWER, JudgeUnusable
from judge.domain.outcome import FAILED, ItemState
from judge.domain.run import RunState, StopReason, WaitReason
from judge.domain.verdict import CallKey
from judge.execution.circuit_breaker import PROBE_SECONDS, Outage
from judge.execution.judges import JudgeAtWork
from judge.execution.missing_verdicts import FIRST_REPLIES, FirstReplies
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.records import Setback, Settled
from judge.ports.store import RunStore

FEWEST_FAILED = 10
"""Presentations that may always fail, even where they are a larger share of the run than the judge may fail."""
FIRST_SLOW = 10
"""Presentations that a run calls, at most, before it stops because all of them were slower than the deadline."""
DENIALS = 3
"""Calls in a row that must be refused as by a 401 or 403 before a judge that has answered stops."""
log = logger("runs")


class Waits:
    """Stores what a run waits for, and that it continues."""

    def __init__(self, store: RunStore, run: int) -> None:
        self._store, self._run = store, run
        self._reason: WaitReason | None = None
        self._message = ""

    async def report(self, reason: WaitReason, message: str) -> None:
        """Store that the run waits for *reason*; does nothing if that is what was stored last."""
        if (self._reason, self._message) != (reason, message):
            before, self._reason, self._message = self._reason, reason, message
            await self._store.move_run(self._run, RunState.WAITING, reason=reason, message=message)
            if before != reason:
                log.info("run.waiting", reason=reason)

    async def over(self) -> None:
        """Store that the run continues, if it waited."""
        if self._reason:
            self._reason, self._message = None, ""
            await self._store.move_run(self._run, RunState.RUNNING)
            log.info("run.going_on")


class Settlements:
    """Wakes shards that wait for the run's budget when a call of the run settles in this process."""

    def __init__(self) -> None:
        self.number = 0
        """How often calls settled so far."""
        self._next = asyncio.Event()

    def note(self) -> None:
        """Note that calls settled, and wake all that wait."""
        self.number += 1
        self._next.set()
        self._next = asyncio.Event()

    async def after(self, number: int) -> None:
        """Return once calls have settled more than *number* times."""
        if self.number <= number:
            await self._next.wait()


class Failures:
    """How the calls of one judge of a run fail, of the *planned* presentations. All its shards share this."""

    def __init__(self, judge: JudgeAtWork, planned: int, failed: int = 0, *, readable: bool = False) -> None:
        """*readable* says whether a reply with a verdict is already stored."""
        self.failed = failed
        self.first_replies = FirstReplies(readable=readable)
        self.unusable: JudgeUnusable | None = None
        """Why no call of the judge can succeed, once a call has revealed it."""
        self.last_reason = ""
        """Why the last presentation without a verdict has none."""
        self.answered = False
        """Whether the judge has answered a call of the run."""
        self.in_flight = 0
        """Calls that are being made or about to be, in all shards."""
        self.mixed = False
        """Whether a call ended in another way than by being slower than the deadline, or its answer was stored."""
        self._denials = 0
        self._slow: set[CallKey] = set()
        """The presentations whose calls were slower than the deadline."""
        self._first_slow = min(FIRST_SLOW, planned)
        self._allowed = max(FEWEST_FAILED, int(judge.card.limits.max_failed_share * planned))

    def note_answer(self) -> None:
        """Note that the judge answered a call."""
        self.answered, self._denials = True, 0

    def note_end(self, key: CallKey, settled: Settled) -> None:
        """Note how the call for the presentation *key* was *settled*: slower than the judge's deadline, or not."""
        if settled.setback is Setback.SLOW:
            self._slow.add(key)
        else:
            self.mixed = True

    def was_slow(self, key: CallKey) -> bool:
        """Whether a call for the presentation *key* was slower than the judge's deadline."""
        return key in self._slow

    @property
    def first_calls_left(self) -> int | None:
        """How many calls may start, besides those in flight, until one has ended in time; None if any number may."""
        if self.mixed or self.answered:
            return None
        return max(0, self._first_slow - len(self._slow) - self.in_flight)

    @property
    def all_slow(self) -> bool:
        """Whether the judge's first calls were all slower than its deadline: FIRST_SLOW, or all if there are fewer."""
        return not self.answered and 0 < self._first_slow <= len(self._slow)

    def tolerates_denial(self) -> bool:
        """Count a call that was refused as if the judge were unusable. Returns whether that concerns only this call.

        It does if the judge has answered before, as with a moderation's 403, unless DENIALS calls in a row are refused.
        """
        self._denials += 1
        return self.answered and self._denials < DENIALS

    def count(self, state: ItemState | None, reason: str = "") -> None:
        """Count a presentation that was settled: with a verdict (None), or in *state* for a *reason*."""
        self.failed += state in FAILED
        self.last_reason = reason or self.last_reason

    @property
    def stop(self) -> StopReason | None:
        """Why to make no more calls of this judge in the run, if there is a reason."""
        if self.too_many:
            return StopReason.TOO_MANY_FAILED
        if self.all_slow:
            return StopReason.TOO_SLOW
        return StopReason.NO_VERDICTS if self.first_replies.all_without_verdict else None

    @property
    def too_many(self) -> bool:
        """Whether more presentations have failed than the judge's limit allows."""
        return self.failed > self._allowed


def explain_stop(reason: StopReason, judge: JudgeAtWork, failures: Failures) -> str:
    """Say which judge was stopped; if too much of it failed, with the words of the last failure.

    For BUDGET_STOPPED it is these words alone, since the budget is the run's.
    """
    name = f"judge {judge.definition.name!r}"
    if reason is StopReason.TOO_SLOW:
        seconds = f"{judge.card.limits.deadline_seconds:g}"
        return (
            f"{name} was stopped: its first calls were all slower than deadline_seconds = {seconds}, and each may have "
            "to be paid. Raise deadline_seconds for this judge, or ask for shorter replies"
        )
    if reason is StopReason.NO_VERDICTS:
        return (
            f"{name} was stopped: none of its first {FIRST_REPLIES} replies holds a verdict. "
            f"The last one: {failures.first_replies.last!r}"
        )
    if reason is StopReason.BUDGET_STOPPED:
        return failures.last_reason
    if reason is not StopReason.TOO_MANY_FAILED:
        return name
    last = f". The last one: {failures.last_reason}" if failures.last_reason else ""
    return f"{name} was stopped: it failed more presentations than its max_failed_share allows{last}"


def explain_outage(judge: JudgeAtWork, outage: Outage, clock: Clock) -> str:
    """Say which endpoint gives no answers, since when, why, what happens next, and when the run gives up."""
    cause = f": {outage.cause.removeprefix(NO_ANSWER)}" if outage.cause else ""
    return (
        f"{_judge_at(judge)} has given no answer since {_time_of(outage.since, clock)}{cause}. "
        f"It is tried again every {PROBE_SECONDS:.0f} seconds until {_time_of(outage.until, clock)}; "
        "after that, what is not judged fails"
    )


def explain_rest(judge: JudgeAtWork, seconds: float, clock: Clock) -> str:
    """Say that an account may not be called for some *seconds*, by its provider's limit or its configured one."""
    until = clock.monotonic() + seconds
    if judge.account.resting_until < until - 1:
        return f"the account of {_judge_at(judge)} is at its configured rate limit; the run continues by itself"
    words = f": {judge.account.throttle}" if judge.account.throttle else ""
    end = judge.account.gives_up_at
    fails = f"; if no call is answered until {_time_of(end, clock)}, what is not judged fails" if end < math.inf else ""
    return (
        f"{_judge_at(judge)} allows no more calls until {_time_of(judge.account.resting_until, clock)}{words}. "
        f"The run continues by itself then{fails}"
    )


def _judge_at(judge: JudgeAtWork) -> str:
    """The judge, and the address of its endpoint."""
    endpoint = f" at {judge.card.address}" if judge.card.address else ""
    return f"judge {judge.definition.name!r}{endpoint}"


def _time_of(monotonic: float, clock: Clock) -> str:
    """Return a time of the monotonic clock as a time of day, with its date unless that is today."""
    now = clock.now()
    at, today = (datetime.fromtimestamp(time, UTC) for time in (now + monotonic - clock.monotonic(), now))
    return f"{at:%H:%M} UTC" if at.date() == today.date() else f"{at:%Y-%m-%d %H:%M} UTC"
