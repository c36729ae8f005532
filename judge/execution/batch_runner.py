"""Judging through a provider's batch API: another kind of shard, at a lower price, with the verdict's key as its id.

The intent comes first: permits and the batch's row commit before anything is sent. A batch that was about to be
submitted when its process died is looked for at the provider before it is submitted again, and where it cannot be told
the run waits and says so. What a batch did not finish goes into another; what was finished is collected and paid once,
also when the run is cancelled in the meantime.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence

from judge.domain.errors import CallFailed, JudgeUnusable, StoreAway, StoreFull, TransportFailed
from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import ItemState
from judge.domain.run import StopReason, WaitReason
from judge.domain.verdict import CallKey, Reply
from judge.execution.committer import FULL_WAIT
from judge.execution.cost import characters, with_cost, worst_cost
from judge.execution.judge_call import Work, parse_reply, render_prompt, settle_from_store, shows_reference
from judge.execution.judges import JudgeAtWork
from judge.execution.progress import Failures, Waits
from judge.execution.shard_runner import ROUNDS
from judge.log.events import logger
from judge.ports.backend import BatchBackend, BatchItem, BatchUndecided
from judge.ports.clock import Clock
from judge.ports.records import BatchState, Fence, NewBatch, PermitRequest, ProviderBatch, Settled
from judge.ports.store import RunStore

BATCH = 5000
"""Items in a batch, at most."""
POLL = 30.0
"""Seconds between two questions to the provider."""
STEP = 1.0
"""Seconds between two looks at whether the run goes on."""
KEPT = 30 * 86400.0
"""Seconds for which the calls of a batch are its own: as long as providers keep results."""
GROUP = 500
"""Results that commit together."""
log = logger("batches")


def custom_id(definition: JudgeDefinition, work: Work) -> str:
    """The key of *work* as a batch may carry it: the base64url of its SHA-256."""
    shown, key = work.shown, work.key
    digest = shown.key_digest(
        definition.call_fingerprint(shown),
        uses_reference=shows_reference(definition, shown),
        cache_tag=key.cache_tag,
        repeat=key.repeat,
    )
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class BatchRunner:
    """Runs showings of one judge in one run, under the *fence* of a shard, a batch at a time."""

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
            raise JudgeUnusable(f"backend {judge.definition.backend} has no batches")
        self._store, self._tenant, self._run, self._run_id = store, tenant, run, run_id
        self._judge, self._clock = judge, clock
        self._backend: BatchBackend = judge.backend
        self._waits = Waits(store, run)
        self._stopping = False
        self._patient = True
        self._fence, self._failures = fence, failures

    def stop(self, *, patient: bool = True) -> None:
        """Submit nothing more and wait for nothing; the batch at the provider is found again."""
        self._stopping, self._patient = True, patient

    async def resume(self, batch: ProviderBatch, work: Sequence[Work]) -> StopReason | None:
        """Go on with a *batch* of *work* that a dead process left; like `run`."""
        again, refused = await self._finished(batch, work, fresh=False)
        return refused or await self.run(again)

    async def run(self, work: Sequence[Work]) -> StopReason | None:
        """Judge *work*. Returns None when all of it is settled, else why not, like ShardRunner."""
        todo, rounds = list(work), 0
        while todo:
            if self._stopping:
                return StopReason.STOPPED
            if self._failures.too_many:
                return StopReason.TOO_MANY_FAILED
            if rounds == ROUNDS:
                lost = [Settled(one.key, one.item, state=ItemState.TRANSPORT_ERROR) for one in todo]
                await self._commit(lost)
                for one in lost:
                    self._failures.count(one.state)
                return StopReason.TOO_MANY_FAILED if self._failures.too_many else None
            todo, busy, refused = await self._round(todo)
            if refused:
                return refused
            if busy and not (refused := await self._pause()):
                # Another run is at these; what it gets is taken from the store.
                todo = [*todo, *busy]
            elif todo:
                rounds += 1
            if refused:
                return refused
        return None

    async def _round(self, todo: list[Work]) -> tuple[list[Work], list[Work], StopReason | None]:
        """Put what may be called into one batch; what is to be asked for again, what others are at, and a refusal."""
        unique = list({work.key: work for work in todo}.values())
        permit = await self._store.permit(self._tenant, self._request(unique))
        await self._commit(
            [
                settle_from_store(self._judge.definition, one, permit.answered[one.key])
                for one in todo
                if one.key in permit.answered
            ]
        )
        granted = [one for one in todo if one.key in permit.granted]
        busy = [one for one in todo if one.key in permit.busy]
        again: list[Work] = []
        if permit.batch is not None:
            mine = [
                one for one in await self._store.open_batches(self._run, self._number(todo)) if one.row == permit.batch
            ]
            again, refused = await self._finished(mine[0], granted, fresh=True)
            if refused:
                return again, busy, refused
        return again, busy, permit.refused

    def _number(self, work: Sequence[Work]) -> int:
        item = work[0].item
        return item.judge if item else 0

    def _request(self, work: Sequence[Work]) -> PermitRequest:
        return PermitRequest(
            keys=[one.key for one in work],
            run=self._run,
            worst_micros=worst_cost(self._judge, max(characters(one.shown) for one in work)),
            seconds=KEPT,
            judge=self._number(work),
            fence=self._fence,
            batch=NewBatch(
                [one.item.position if one.item else 0 for one in work], f"{self._run_id}-{uuid.uuid4().hex[:16]}"
            ),
        )

    async def _finished(
        self, batch: ProviderBatch, work: Sequence[Work], *, fresh: bool
    ) -> tuple[list[Work], StopReason | None]:
        """See *batch* through; the work that is to be asked for again, and why not to go on."""
        by_id: dict[str, list[Work]] = {}
        for one in work:
            by_id.setdefault(custom_id(self._judge.definition, one), []).append(one)
        if batch.state is BatchState.SUBMITTING:
            provider_id, refused = await self._submitted(batch, by_id, fresh=fresh)
            if refused:
                return [], refused
            await self._store.move_batch(batch.row, BatchState.SUBMITTED, provider_id=provider_id)
            log.info("batch.submitted", judge=self._judge.definition.name, items=len(by_id))
        else:
            provider_id = batch.provider_id
        refused = await self._ended(provider_id, len(by_id))
        if refused == StopReason.STOPPED:
            return [], refused
        while True:
            try:
                again = await self._collected(provider_id, by_id, batch.attempts)
            except TransportFailed as down:
                # What is stored by now is stored; all of it is read again.
                await self._waits.report(
                    WaitReason.PROVIDER_DOWN, f"judge {self._judge.definition.name!r}: {down.message}"
                )
                if await self._rest():
                    return [], StopReason.STOPPED
            else:
                break
        await self._waits.over()
        await self._store.move_batch(batch.row, BatchState.COLLECTED)
        return again, refused

    async def _submitted(
        self, batch: ProviderBatch, by_id: dict[str, list[Work]], *, fresh: bool
    ) -> tuple[str, StopReason | None]:
        """The provider's id of *batch*: found there unless it is *fresh*, else submitted; or why there is none."""
        items = [BatchItem(name, render_prompt(self._judge.definition, works[0])) for name, works in by_id.items()]
        while True:
            try:
                if not fresh:
                    known = await self._store.provider_batches(self._tenant)
                    found = await self._backend.find(batch.mark, by_id.keys(), batch.create_time, known)
                    if found:
                        return found, None
                if refused := await self._refused():
                    await self._store.move_batch(batch.row, BatchState.ABANDONED)
                    return "", refused
                return await self._backend.submit(items, batch.mark), None
            except BatchUndecided as undecided:
                await self._waits.report(
                    WaitReason.BATCH_UNDECIDED, f"judge {self._judge.definition.name!r}: {undecided}"
                )
            except TransportFailed as down:
                # It may have arrived: it is looked for before it is sent again.
                fresh = False
                await self._waits.report(
                    WaitReason.PROVIDER_DOWN, f"judge {self._judge.definition.name!r}: {down.message}"
                )
            except CallFailed:
                await self._store.move_batch(batch.row, BatchState.ABANDONED)
                raise
            if refused := await self._pause():
                return "", refused

    async def _ended(self, provider_id: str, items: int) -> StopReason | None:
        """Wait until the provider is through. Returns None, or why the run does not go on after that."""
        cancelled: StopReason | None = None
        while True:
            try:
                if cancelled is None and (cancelled := await self._refused()) and cancelled != StopReason.STOPPED:
                    await self._backend.cancel(provider_id)
                progress = await self._backend.progress(provider_id)
                if progress.ended:
                    return cancelled
                await self._tell(WaitReason.PROVIDER_BATCH, f"batch of {items}, {progress.finished} finished")
            except TransportFailed as down:
                await self._waits.report(
                    WaitReason.PROVIDER_DOWN, f"judge {self._judge.definition.name!r}: {down.message}"
                )
            if await (self._rest() if cancelled else self._pause()) == StopReason.STOPPED:
                return StopReason.STOPPED

    async def _collected(
        self, provider_id: str, by_id: dict[str, list[Work]], attempts: Mapping[CallKey, int]
    ) -> list[Work]:
        """Store what the batch finished; the work that it did not."""
        left = dict(by_id)
        group: list[Settled] = []
        unusable: JudgeUnusable | None = None
        async for name, outcome in self._backend.results(provider_id):
            works = left.pop(name, None)
            if works is None:
                continue
            if isinstance(outcome, TransportFailed):
                left[name] = works
                continue
            if isinstance(outcome, JudgeUnusable):
                unusable = outcome
                continue
            group += self._settled(works, outcome, attempts)
            if len(group) >= GROUP:
                await self._commit(group)
                group = []
        await self._commit(group)
        if unusable is not None:
            raise unusable
        return [one for works in left.values() for one in works]

    def _settled(
        self, works: Sequence[Work], outcome: Reply | CallFailed, attempts: Mapping[CallKey, int]
    ) -> list[Settled]:
        """What becomes of the showings that share one call."""
        found = []
        for number, work in enumerate(works):
            attempt = None if number else attempts.get(work.key)
            settled = Settled(work.key, work.item, attempt, calls=1)
            if isinstance(outcome, CallFailed):
                found.append(settled._replace(state=outcome.state))
                self._failures.count(outcome.state)
            else:
                reply = with_cost(self._judge, outcome, tries=1, seconds=0.0)
                found.append(settled._replace(reply=reply, parsed_verdict=parse_reply(self._judge.definition, reply)))
        return found

    async def _tell(self, reason: WaitReason, message: str) -> None:
        await self._waits.report(reason, f"judge {self._judge.definition.name!r}: {message}")

    async def _refused(self) -> StopReason | None:
        """Why the run does not go on, if it does not."""
        if self._stopping:
            return StopReason.STOPPED
        return await self._store.refusal(self._run, self._fence)

    async def _rest(self) -> StopReason | None:
        """Let POLL seconds pass, whatever becomes of the run; STOPPED if this process ends."""
        for _ in range(round(POLL / STEP)):
            if self._stopping:
                return StopReason.STOPPED
            await self._clock.sleep(STEP)
        return None

    async def _pause(self) -> StopReason | None:
        """Let POLL seconds pass, a step at a time; why the run does not go on, if it does not."""
        for _ in range(round(POLL / STEP)):
            if refused := await self._refused():
                return refused
            await self._clock.sleep(STEP)
        return None

    async def _commit(self, group: Sequence[Settled]) -> None:
        """Store *group*, waiting for room if there is none."""
        stored = not group
        while not stored:
            try:
                await self._store.commit(self._tenant, self._run, group)
                stored = True
            except (StoreFull, StoreAway):
                if not self._patient:
                    raise
                await self._clock.sleep(FULL_WAIT)
