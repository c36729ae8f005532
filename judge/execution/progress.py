"""What the shards of a run report while they work: what the run waits for, what settled, and how many calls failed."""

from __future__ import annotations

import asyncio

from judge.domain.errors import JudgeUnusable
from judge.domain.outcome import FAILED, ItemState
from judge.domain.run import RunState, WaitReason
from judge.execution.judges import JudgeAtWork
from judge.log.events import logger
from judge.ports.store import RunStore

FEWEST_FAILED = 10
"""Presentations that may always fail, even where they are a larger share of the run than the judge may fail."""
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
    """How many presentations have failed, of those *planned* for one judge of a run. All its shards share this."""

    def __init__(self, judge: JudgeAtWork, planned: int, failed: int = 0) -> None:
        self.failed = failed
        self.unusable: JudgeUnusable | None = None
        """Why no call of the judge can succeed, once a call has revealed it."""
        self.last_reason = ""
        """Why the last presentation without a verdict has none."""
        self.answered = False
        """Whether the judge has answered a call of the run."""
        self._denials = 0
        self._allowed = max(FEWEST_FAILED, int(judge.card.limits.max_failed_share * planned))

    def note_answer(self) -> None:
        """Note that the judge answered a call."""
        self.answered, self._denials = True, 0

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
    def too_many(self) -> bool:
        """Whether more presentations have failed than the judge's limit allows."""
        return self.failed > self._allowed
