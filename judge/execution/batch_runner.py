"""Judging through a provider's batch API: cheaper and slower, with a digest of the verdict's key as the item's id.

The intent is stored first: permits and the batch's row commit before anything is sent. If the process dies while it
submits a batch, the next one looks for that batch at the provider before it submits anything. If that remains unclear,
the run waits and says so. Items that a batch did not finish go into another batch. Items that it finished are collected
and paid once, even if the run is cancelled in the meantime.
"""

from __future__ import annotations

import base64
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

from judge.domain.errors import CallFailed, JudgeUnusable, StoreAway, StoreFull, TransportFailed
from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import ItemState
from judge.domain.run import StopReason, WaitReason
from judge.domain.verdict import CallKey, Reply
from judge.execution.committer import FULL_WAIT
from judge.execution.cost import call_cost, characters, with_cost, worst_call
from judge.execution.judge_call import (
    Work,
    checked_reply,
    parse_reply,
    render_prompt,
    settle_from_store,
    shows_reference,
)
from judge.execution.judges import JudgeAtWork
from judge.execution.progress import Failures, Waits
from judge.execution.shard_runner import ROUNDS
from judge.execution.stops import LEFT_OUT
from judge.log.events import logger
from judge.ports.backend import BatchBackend, BatchItem, BatchUndecided
from judge.ports.clock import Clock
from judge.ports.records import BatchState, Fence, NewBatch, PermitRequest, ProviderBatch, Settled
from judge.ports.store import RunStore

BATCH = 5000
"""Most items in a batch."""
BATCH_CHARS = 128 * 1024 * 1024
"""Most characters of texts in a batch. Providers take batches of about 200 MB, and a batch is in memory at once."""
POLL = 30.0
"""Seconds between two requests for a batch's progress."""
STEP = 1.0
"""Seconds between two checks whether the run continues."""
RETENTION = 30 * 86400.0
"""Seconds for which a batch's permits are valid: as long as providers keep results."""
UNFINISHED = "its batches ended without a result for it"
"""Why an item has no verdict if the provider does not say."""
GROUP = 500
"""Results that commit together."""
log = logger("batches")


def custom_id(definition: JudgeDefinition, work: Work) -> str:
    """Return the id of *work* in a batch: the SHA-256 of its key, in base64url without padding."""
    shown, key = work.shown, work.key
    digest = shown.key_digest(
        definition.call_fingerprint(shown),
        uses_reference=shows_reference(definition, shown),
        cache_tag=key.cache_tag,
        repeat=key.repeat,
    )
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class BatchRunner:
    """Judges presentations of one judge in one run, under the *fence* of a shard, one batch at a time."""

    def __init__(
        self,
        store: RunStore,
        tenant: str,
        run: int,
        run_id: str,
        judge: JudgeAtWork,
        clock: Clock,
        *,
        fence: Fence,
        failures: Failures,
    ) -> None:
        if not isinstance(judge.backend, BatchBackend):
            raise JudgeUnusable(
                f"backend {judge.definition.backend!r} has no batch API; set `batch = false` for this judge"
            )
        self._store, self._tenant, self._run, self._run_id = store, tenant, run, run_id
        self._judge, self._clock = judge, clock
        self._backend: BatchBackend = judge.backend
        self._waits = Waits(store, run)
        self._stopping = False
        self._patient = True
        self._fence, self._failures = fence, failures
        self._last_words: dict[CallKey, str] = {}
        """Why the last batch did not finish an item, in the provider's words."""
        self._unanswered: Counter[CallKey] = Counter()
        """How many batches ended without a result for an item, except for batches that this process cancelled."""

    def stop(self, *, patient: bool = True) -> None:
        """Submit nothing more and stop waiting. A batch at the provider is found again later."""
        self._stopping, self._patient = True, patient

    async def resume(self, batch: ProviderBatch, work: Sequence[Work]) -> StopReason | None:
        """Continue with a *batch* of *work* that a process left when it died; returns what `run` returns."""
        again, refused = await self._complete(batch, work, fresh=False)
        if refused:
            await self._leave_out(again, refused)
        return refused or await self.run(again)

    async def run(self, work: Sequence[Work]) -> StopReason | None:
        """Judge *work*. Returns None if all of it is settled, else why not, like `ShardRunner.run`."""
        todo = list(work)
        refused: StopReason | None = None
        while todo and not refused:
            if self._stopping:
                refused = StopReason.STOPPED
            elif self._failures.stop:
                refused = self._failures.stop
            elif failed := [work for work in todo if self._unanswered[work.key] >= ROUNDS]:
                todo = [work for work in todo if self._unanswered[work.key] < ROUNDS]
                refused = await self._fail(failed)
            else:
                again, later, refused = await self._run_batch(todo)
                # Another run is calling the latter, or the budget allows them only once calls in flight have settled.
                todo = [*again, *later]
                refused = refused or (await self._pause() if later else None)
        if refused:
            await self._leave_out(todo, refused)
        return refused

    async def _leave_out(self, todo: Sequence[Work], refused: StopReason) -> None:
        """Settle what was in batches without a result, if the run ends, so that it says in how many, and why."""
        if state := LEFT_OUT.get(refused):
            tried = [work for work in todo if self._unanswered[work.key]]
            await self._commit([Settled(work.key, work.item, state=state, reason=self._reason(work)) for work in tried])

    def _reason(self, work: Work) -> str:
        """Why *work* has no verdict after it was in batches without a result."""
        n_batches = self._unanswered[work.key]
        words = self._last_words.get(work.key, UNFINISHED)
        return f"{n_batches:,} batch{'es' * (n_batches > 1)} without a result for it; the last one: {words}"

    async def _fail(self, todo: list[Work]) -> StopReason | None:
        """Settle *todo* as failed, after it got no answer in ROUNDS rounds."""
        state = ItemState.TRANSPORT_ERROR
        reasons = [self._last_words.get(work.key, UNFINISHED) for work in todo]
        await self._commit(
            [
                Settled(work.key, work.item, state=state, reason=reason)
                for work, reason in zip(todo, reasons, strict=True)
            ]
        )
        for reason in reasons:
            self._failures.count(state, reason)
        return StopReason.TOO_MANY_FAILED if self._failures.too_many else None

    async def _run_batch(self, todo: list[Work]) -> tuple[list[Work], list[Work], StopReason | None]:
        """Put the calls that a permit grants into one batch and complete it.

        Returns the work that must be requested again, the work to request later, and why not to continue. That work is
        called by another run, or too dear while other calls of the run are in flight.
        """
        unique = list({work.key: work for work in todo}.values())
        permit = await self._store.permit(self._tenant, self._request(unique))
        await self._commit(
            [
                settle_from_store(self._judge.definition, work, permit.answered[work.key])
                for work in todo
                if work.key in permit.answered
            ]
        )
        granted = [work for work in todo if work.key in permit.granted]
        later = [work for work in todo if work.key not in permit.answered and work.key not in permit.granted]
        again: list[Work] = []
        if permit.batch is not None:
            batches = await self._store.open_batches(self._run, self._judge_number(todo))
            batch = next(batch for batch in batches if batch.row == permit.batch)
            again, refused = await self._complete(batch, granted, fresh=True)
            if refused:
                return again, later, refused
        return again, later, permit.refused

    def _judge_number(self, work: Sequence[Work]) -> int:
        item = work[0].item
        return item.judge if item else 0

    def _request(self, requested: Sequence[Work]) -> PermitRequest:
        positions = [work.item.position if work.item else 0 for work in requested]
        return PermitRequest(
            keys=[work.key for work in requested],
            run=self._run,
            worst_micros=worst_call(self._judge, max(characters(work.shown) for work in requested)),
            seconds=RETENTION,
            judge=self._judge_number(requested),
            fence=self._fence,
            batch=NewBatch(positions, f"{self._run_id}-{uuid.uuid4().hex[:16]}"),
        )

    async def _complete(
        self, batch: ProviderBatch, granted: Sequence[Work], *, fresh: bool
    ) -> tuple[list[Work], StopReason | None]:
        """Submit *batch* if necessary, wait for it and collect it. Returns the work to request again, and why to stop.

        *fresh* means that this process made the batch, so that the provider cannot have it yet.
        """
        by_id: dict[str, list[Work]] = {}
        for work in granted:
            by_id.setdefault(custom_id(self._judge.definition, work), []).append(work)
        provider_id = batch.provider_id
        if batch.state is BatchState.SUBMITTING:
            provider_id, refused = await self._submit(batch, by_id, fresh=fresh)
            if refused:
                return list(granted), refused
            await self._store.move_batch(batch.row, BatchState.SUBMITTED, provider_id=provider_id)
            log.info("batch.submitted", judge=self._judge.definition.name, items=len(by_id))
        refused = await self._wait_for_end(provider_id, len(by_id))
        if refused == StopReason.STOPPED:
            return [], refused
        while True:
            try:
                again = await self._collect(provider_id, by_id, batch.attempts)
            except TransportFailed as down:
                # Results that were stored stay stored; the next attempt reads all of them again.
                await self._report_wait(WaitReason.PROVIDER_DOWN, down.message)
                if await self._rest():
                    return [], StopReason.STOPPED
            else:
                break
        if not refused:
            self._unanswered.update({work.key for work in again})
        await self._waits.over()
        await self._store.move_batch(batch.row, BatchState.COLLECTED)
        return again, refused

    async def _submit(
        self, batch: ProviderBatch, by_id: dict[str, list[Work]], *, fresh: bool
    ) -> tuple[str, StopReason | None]:
        """Submit *batch*, unless it is not *fresh* and the provider has it. Returns its id there, or "" and why not."""
        items = [BatchItem(name, render_prompt(self._judge.definition, works[0])) for name, works in by_id.items()]
        while True:
            try:
                if not fresh:
                    known = await self._store.provider_batches(self._tenant)
                    provider_id = await self._backend.find(batch.mark, by_id.keys(), batch.create_time, known)
                    if provider_id:
                        return provider_id, None
                if refused := await self._refusal():
                    await self._store.move_batch(batch.row, BatchState.ABANDONED)
                    return "", refused
                return await self._backend.submit(items, batch.mark), None
            except BatchUndecided as undecided:
                await self._report_wait(WaitReason.BATCH_UNDECIDED, str(undecided))
            except TransportFailed as down:
                # The provider may have received it, so look for it before sending it again.
                fresh = False
                await self._report_wait(WaitReason.PROVIDER_DOWN, down.message)
            except CallFailed:
                await self._store.move_batch(batch.row, BatchState.ABANDONED)
                raise
            if refused := await self._pause():
                return "", refused

    async def _wait_for_end(self, provider_id: str, n_items: int) -> StopReason | None:
        """Wait until the provider has ended the batch. Returns why the run does not continue after that, or None.

        If the run was told to stop, the batch is cancelled and what it finished is still collected. STOPPED means that
        this process ends and that the batch has not ended.
        """
        refused: StopReason | None = None
        while True:
            try:
                if refused is None and (refused := await self._refusal()) and refused != StopReason.STOPPED:
                    await self._backend.cancel(provider_id)
                progress = await self._backend.progress(provider_id)
                if progress.ended:
                    return refused
                message = f"{progress.finished:,} of {n_items:,} calls of the batch have finished"
                await self._report_wait(WaitReason.PROVIDER_BATCH, message)
            except TransportFailed as down:
                await self._report_wait(WaitReason.PROVIDER_DOWN, down.message)
            if await (self._rest() if refused else self._pause()) == StopReason.STOPPED:
                return StopReason.STOPPED

    async def _collect(
        self, provider_id: str, by_id: dict[str, list[Work]], attempts: Mapping[CallKey, int]
    ) -> list[Work]:
        """Store what the batch finished. Returns the work that it did not."""
        unfinished = dict(by_id)
        group: list[Settled] = []
        unusable: JudgeUnusable | None = None
        async for name, outcome in self._backend.results(provider_id):
            works = unfinished.pop(name, None)
            if works is None:
                continue
            if isinstance(outcome, TransportFailed):
                unfinished[name] = works
                self._last_words.update((work.key, outcome.message) for work in works)
                group += self._book(works[0], outcome, attempts)
                continue
            if isinstance(outcome, JudgeUnusable):
                unusable = outcome
                group += self._book(works[0], outcome, attempts)
                continue
            group += self._settle(works, outcome, attempts)
            if len(group) >= GROUP:
                await self._commit(group)
                group = []
        await self._commit(group)
        if unusable is not None:
            raise unusable
        return [work for works in unfinished.values() for work in works]

    def _book(self, work: Work, failure: CallFailed, attempts: Mapping[CallKey, int]) -> list[Settled]:
        """Book what an item used that is no answer, such as a reply that broke off. The item stays open.

        A denial counts as a call even if it used nothing.
        """
        paid = failure.usage is not None or failure.maybe_paid
        settled = Settled(work.key, work.item, attempts.get(work.key), calls=1)
        if not paid:
            return [settled] if isinstance(failure, JudgeUnusable) else []
        cost = call_cost(self._judge, failure.usage, characters(work.shown))
        settled = settled._replace(lost_micros=cost.micros, unanswered=1, overrun=cost.overrun)
        return [settled._replace(uncounted=int(cost.uncounted))]

    def _settle(
        self, works: Sequence[Work], outcome: Reply | CallFailed, attempts: Mapping[CallKey, int]
    ) -> list[Settled]:
        """Settle the presentations that share one call; only the first carries its attempt."""
        group = []
        for number, work in enumerate(works):
            attempt = None if number else attempts.get(work.key)
            cost = call_cost(self._judge, outcome.usage, characters(work.shown))
            settled = Settled(work.key, work.item, attempt, calls=1)
            if isinstance(outcome, CallFailed):
                if outcome.usage is not None or outcome.maybe_paid:
                    settled = settled._replace(lost_micros=cost.micros, unanswered=1, overrun=cost.overrun)
                    settled = settled._replace(uncounted=int(cost.uncounted))
                group.append(settled._replace(state=outcome.state, reason=outcome.message))
                self._failures.count(outcome.state, outcome.message)
            else:
                self._judge.warn_once.note(self._judge.definition.name, self._judge.definition.model, outcome)
                checked = checked_reply(outcome, render_prompt(self._judge.definition, work, bare=True))
                reply = with_cost(checked, cost, tries=1, seconds=0.0)
                parsed_verdict = parse_reply(self._judge.definition, reply)
                uncounted = int(not number and cost.uncounted)
                if not number:
                    self._failures.first_replies.note(reply, parsed_verdict)
                settled = settled._replace(reply=reply, parsed_verdict=parsed_verdict, uncounted=uncounted)
                group.append(settled._replace(overrun=cost.overrun))
        return group

    async def _report_wait(self, reason: WaitReason, message: str) -> None:
        await self._waits.report(reason, f"judge {self._judge.definition.name!r}: {message}")

    async def _refusal(self) -> StopReason | None:
        """Why the run does not continue, or None if it does."""
        if self._stopping:
            return StopReason.STOPPED
        return await self._store.refusal(self._run, self._fence)

    async def _rest(self) -> StopReason | None:
        """Wait POLL seconds, even if the run was told to stop. Returns STOPPED if this process ends."""
        for _ in range(round(POLL / STEP)):
            if self._stopping:
                return StopReason.STOPPED
            await self._clock.sleep(STEP)
        return None

    async def _pause(self) -> StopReason | None:
        """Wait POLL seconds. Returns early with the reason if the run does not continue."""
        for _ in range(round(POLL / STEP)):
            if refused := await self._refusal():
                return refused
            await self._clock.sleep(STEP)
        return None

    async def _commit(self, group: Sequence[Settled]) -> None:
        """Store *group*, and wait while the store is full or away."""
        stored = not group
        while not stored:
            try:
                await self._store.commit(self._tenant, self._run, group)
                stored = True
            except (StoreFull, StoreAway):
                if not self._patient:
                    raise
                await self._clock.sleep(FULL_WAIT)
