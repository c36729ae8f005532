"""The steps of a run that engines share: begin it, execute its shards round by round, and store how it ended.

Any process may repeat any step, because the stored answers are the checkpoint. A round has one partition per judge,
which holds that judge's positions. A partition is cut into shards, each named by its first position. A shard is
executed under the number of its newest attempt, and is done once everything in it is settled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from judge.domain.errors import JudgeError, JudgeUnusable, NotFound, StoreFailed
from judge.domain.judge import RECORDED, JudgeCard
from judge.domain.outcome import ItemState
from judge.domain.run import INTERRUPTED, MISSING_HERE, PairPolicy, Run, RunState, StopReason
from judge.execution.batch_runner import BATCH, BATCH_CHARS, BatchRunner
from judge.execution.judges import JudgeAtWork, Judges
from judge.execution.missing_verdicts import missing_verdicts
from judge.execution.progress import Failures, Settlements, explain_stop
from judge.execution.quarantine import Quarantine, Turn
from judge.execution.shard_runner import ShardRunner
from judge.execution.stops import Stop, explain_no_verdicts, explain_unusable, incomplete, quarantined
from judge.execution.work_items import Keys
from judge.log.events import logger
from judge.planning.adaptive import plan_round
from judge.planning.inputs import build_plan
from judge.planning.plan import Plan
from judge.planning.rounds import Rounds, build_rounds, catch_up
from judge.planning.text_pages import TEXT_CHARS
from judge.ports.clock import Clock
from judge.ports.records import Fence, Losses
from judge.ports.store import Store

SHARD = 500
"""Positions in a shard."""
TRIES = 5
"""Attempts at a shard that raise an unexpected error, or that end their process, before it is quarantined."""
UNANSWERED_TRIES = 50
"""As many, if the judge has not answered any call of the run: its processes may have ended for other reasons."""
OPEN_RUNS = 16
"""Runs whose plans are kept in memory."""
FAILURES = frozenset(
    {StopReason.JUDGE_UNUSABLE, StopReason.TOO_MANY_FAILED, StopReason.TOO_SLOW, StopReason.NO_VERDICTS}
)
"""Reasons for which a run has failed once its other judges have finished."""
log = logger("execution")


@dataclass(frozen=True, slots=True)
class Shard:
    """The positions [first, last) of one judge."""

    judge: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class JudgePartition:
    """One judge's positions [first, last) in one round, in shards of *size* positions."""

    judge: int
    first: int
    last: int
    size: int

    def shards(self) -> Iterator[Shard]:
        """Yield the shards in the order of the plan."""
        for first in range(self.first, self.last, self.size):
            yield Shard(self.judge, first, min(first + self.size, self.last))


class _OpenRun:
    """A run that this process executes: its plan, and what the shards of each judge share."""

    def __init__(self, run: Run, plan: Plan | Rounds) -> None:
        self.run, self.plan = run, plan
        self.waited = False
        """Whether the run was WAITING when this process began it."""
        self.settlements = Settlements()
        self._failures: dict[int, Failures] = {}
        self._keys: dict[int, Keys] = {}

    def failures(self, number: int, judge: JudgeAtWork, now: Run) -> Failures:
        """The failures of judge *number*: those of this process, or of all processes if *now*, the run, has more."""
        readable = bool(self.run.counts.by_status.get("ok"))
        failures = self._failures.setdefault(number, Failures(judge, self.plan.per_judge, readable=readable))
        failures.failed = max(failures.failed, now.spent[number].failed if now.spent else 0)
        failures.answered = failures.answered or bool(now.spent and now.spent[number].output_tokens)
        return failures

    def keys(self, number: int, store: Store, tenant: str, judge: JudgeAtWork) -> Keys:
        """The keys of the presentations of judge *number*."""
        cache_tag = self.run.spec.pairing.cache_tag
        return self._keys.setdefault(
            number, Keys(store=store, tenant=tenant, definition=judge.definition, cache_tag=cache_tag)
        )


class Execution:
    """Executes shards of runs in this process, for either engine."""

    def __init__(self, store: Store, judges: Judges, clock: Clock, *, size: int = SHARD) -> None:
        self._store, self._judges, self._clock, self._size = store, judges, clock, size
        self._open: OrderedDict[str, _OpenRun] = OrderedDict()
        self._opening = asyncio.Lock()
        self._runners: dict[ShardRunner | BatchRunner | Turn, tuple[str, int]] = {}
        """What can be stopped, with the id of its run and the first position of its shard."""
        self._stopping = False
        self._quarantine = Quarantine()
        self._alive: dict[tuple[int, int], int] = {}
        """Attempts of this process whose end is not stored, by run and the shard's first position."""

    def stop(self, *, patient: bool = False) -> None:
        """Request no more permits. Calls in flight finish and commit; if *patient*, they wait for a full store."""
        self._stopping = True
        for runner in self._runners:
            runner.stop(patient=patient)

    def interrupt(self, run_id: str, shard: Shard | None = None) -> None:
        """Stop requesting permits for one run, or for one of its shards. Calls in flight finish and commit."""
        for runner, (run, first) in self._runners.items():
            if run == run_id and (shard is None or shard.first == first):
                runner.stop()

    def forget(self, run_id: str) -> None:
        """Drop what is in memory about a run, because it was begun again, here or in another process."""
        self._open.pop(run_id, None)

    async def check(self) -> None:
        """Raise StoreAway if this process cannot use the store now, or does not know its schema."""
        await self._store.check()

    async def begin(self, tenant: str, run_id: str) -> bool:
        """Set the run to RUNNING. Returns whether to execute it.

        A run that is CANCELLING becomes CANCELLED. A run whose plan differs from the stored one becomes FAILED.
        """
        self.forget(run_id)
        run = await self._store.run(tenant, run_id)
        if run.state is RunState.CANCELLING:
            await self._store.move_run(run.row, RunState.CANCELLED, never_started=ItemState.CANCELLED)
        if run.state is RunState.CANCELLING or run.state.ended:
            return False
        await self._store.move_run(run.row, RunState.RUNNING)
        opened = await self._opened(tenant, run_id)
        opened.waited = run.state is RunState.WAITING
        if opened.plan.hash != run.plan_hash:
            message = "the plan that this release builds differs from the stored one; create the run again"
            await self._store.move_run(run.row, RunState.FAILED, reason="PLAN_CHANGED", message=message)
            return False
        return True

    async def partitions(self, tenant: str, run_id: str, number: int) -> tuple[JudgePartition, ...]:
        """The partitions of round *number*, counted from 0; none after the last round."""
        opened = await self._opened(tenant, run_id)
        plan = await _round(self._store, opened, number)
        if plan is None:
            return ()
        cards = self._judges.cards()
        sizes = [
            BATCH if definition.name in cards and cards[definition.name].batch else self._size
            for definition in opened.run.judges
        ]
        return tuple(
            JudgePartition(judge=judge, first=plan.first(judge), last=plan.first(judge + 1), size=size)
            for judge, size in enumerate(sizes)
        )

    async def execute(self, tenant: str, run_id: str, shard: Shard) -> Stop:
        """Judge what is missing in a shard. Returns why the shard was not finished, or `Stop()` if it was."""
        opened = await self._opened(tenant, run_id)
        definition = opened.run.judges[shard.judge]
        for _ in range(TRIES):
            try:
                return await self._execute(tenant, opened, shard, self._judges.at_work(definition))
            except JudgeUnusable as unusable:
                reason = StopReason.__members__.get(unusable.reason, StopReason.JUDGE_UNUSABLE)
                advice = explain_unusable(definition.name, run_id) if reason is StopReason.JUDGE_UNUSABLE else ""
                return Stop(reason, f"judge {definition.name!r}: {unusable.message}{advice}")
            except JudgeError:
                raise
            except Exception:
                log.exception("shard.broken", run=run_id, first=shard.first, last=shard.last)
        return quarantined(definition, shard.first, shard.last)

    async def _execute(self, tenant: str, opened: _OpenRun, shard: Shard, judge: JudgeAtWork) -> Stop:
        run = await self._store.run(tenant, opened.run.run_id)
        if run.state.ended:
            return Stop(StopReason.NOT_RUNNING)
        alive = self._alive.get((run.row, shard.first), 0)
        waited = opened.waited or run.state is RunState.WAITING
        losses = await self._store.shard_losses(
            run.row, shard.first, shard.last, judge=shard.judge, alive=alive, waited=waited
        )
        answers = losses.answered or judge.rule is not None
        if losses.lost >= (TRIES if answers else UNANSWERED_TRIES):
            log.error("shard.quarantined", run=run.run_id, first=shard.first, last=shard.last, lost=losses.lost)
            return quarantined(judge.definition, shard.first, shard.last)
        if not losses.lost:
            return await self._make_attempt(tenant, opened, run, shard, judge, losses)
        log.warning("shard.suspected", run=run.run_id, first=shard.first, last=shard.last, lost=losses.lost)
        turn = self._quarantine.turn()
        with self._stoppable(turn, run.run_id, shard):
            if not await turn.acquire():
                return Stop(StopReason.STOPPED)
        try:
            return await self._make_attempt(tenant, opened, run, shard, judge, losses)
        finally:
            turn.release()

    async def _make_attempt(
        self, tenant: str, opened: _OpenRun, run: Run, shard: Shard, judge: JudgeAtWork, losses: Losses
    ) -> Stop:
        """Make an attempt at a shard, and store its end unless this process dies first."""
        attempt = await self._store.begin_shard(run.row, shard.first, losses)
        if attempt is None:
            return Stop()
        self._alive[run.row, shard.first] = attempt
        if run.state is RunState.WAITING:
            # The process that stored what the run waits for may have died.
            await self._store.move_run(run.row, RunState.RUNNING)
        fence = Fence(shard.first, attempt)
        failures = opened.failures(shard.judge, judge, run)
        try:
            reason = await self._run_shard(tenant, opened, shard, judge, fence, failures)
        except Exception:
            await self._leave(run.row, fence)
            raise
        if reason:
            await self._leave(run.row, fence)
            advice = ""
            if reason is StopReason.NO_VERDICTS:
                first = 0 if isinstance(opened.plan, Rounds) else opened.plan.first(shard.judge)
                advice = explain_no_verdicts(run.run_id, first)
            return Stop(reason, explain_stop(reason, judge, failures) + advice)
        await self._store.end_shard(run.row, fence)
        self._alive.pop((run.row, fence.shard), None)
        return Stop()

    async def _leave(self, row: int, fence: Fence) -> None:
        """Store that the attempt ended and was not lost. If that fails, this process remembers it in `_alive`."""
        with contextlib.suppress(StoreFailed):
            await self._store.leave_shard(row, fence)
            self._alive.pop((row, fence.shard), None)

    async def _run_shard(
        self, tenant: str, opened: _OpenRun, shard: Shard, judge: JudgeAtWork, fence: Fence, failures: Failures
    ) -> StopReason | None:
        run, plan, store = opened.run, opened.plan, self._store
        keys = opened.keys(shard.judge, store, tenant, judge)
        runner: ShardRunner | BatchRunner
        if judge.card.batch:
            runner = BatchRunner(
                store=store,
                tenant=tenant,
                run=run.row,
                run_id=run.run_id,
                judge=judge,
                clock=self._clock,
                fence=fence,
                failures=failures,
            )
        else:
            runner = ShardRunner(
                store=store,
                tenant=tenant,
                run=run.row,
                judge=judge,
                clock=self._clock,
                fence=fence,
                failures=failures,
                settlements=opened.settlements,
            )
        with self._stoppable(runner, run.run_id, shard):
            if isinstance(runner, BatchRunner):
                batches = await store.open_batches(run.row, shard.judge)
                for batch in (each for each in batches if shard.first <= each.positions[0] < shard.last):
                    work = await keys.work(plan.items(batch.positions))
                    if refused := await runner.resume(batch, work):
                        return refused
            done = await store.done_positions(run.row, shard.first, shard.last)
            missing = [position for position in range(shard.first, shard.last) if position not in done]
            chars = BATCH_CHARS if judge.card.batch else TEXT_CHARS
            async for work in keys.pages(plan.items(missing), chars=chars):
                if refused := await runner.run(work):
                    return refused
            return None

    @contextlib.contextmanager
    def _stoppable(self, runner: ShardRunner | BatchRunner | Turn, run: str, shard: Shard) -> Iterator[None]:
        """Let `stop` and `interrupt` reach *runner* while the context is open."""
        self._runners[runner] = (run, shard.first)
        if self._stopping:
            runner.stop(patient=False)
        try:
            yield
        finally:
            del self._runners[runner]

    async def _opened(self, tenant: str, run_id: str) -> _OpenRun:
        async with self._opening:
            if run_id not in self._open:
                run = await self._store.run(tenant, run_id)
                build = build_rounds if run.spec.pairing.policy is PairPolicy.ADAPTIVE else build_plan
                self._open[run_id] = _OpenRun(run, await build(self._store, tenant, run.spec, run.dataset_revision))
                while len(self._open) > OPEN_RUNS:
                    self._open.popitem(last=False)
            self._open.move_to_end(run_id)
            opened = self._open[run_id]
            if isinstance(opened.plan, Rounds):
                # Another process may have planned the round that the shard belongs to.
                await catch_up(self._store, opened.run.row, opened.plan)
            return opened

    async def end(self, tenant: str, run_id: str, stops: Sequence[Stop]) -> None:
        """Store how the run ended, given why its shards stopped."""
        self._open.pop(run_id, None)
        with contextlib.suppress(NotFound):
            # The run may have been deleted with its dataset.
            run = await self._store.run(tenant, run_id)
            await self._end(run, stops)
            log.info("run.ended", run=run_id, reasons=sorted({stop.reason for stop in stops if stop.reason}))

    async def _end(self, run: Run, stops: Sequence[Stop]) -> None:
        move, row = self._store.move_run, run.row
        reasons = {stop.reason for stop in stops}
        failed = [(stop, stop.reason) for stop in stops if stop.reason in FAILURES]
        missing = next((stop for stop in stops if stop.reason in MISSING_HERE), None)
        if run.state is RunState.WAITING and missing is None:
            await move(row, RunState.RUNNING)
        if reasons & {StopReason.CANCELLED, StopReason.NOT_RUNNING}:
            await move(row, RunState.CANCELLED, never_started=ItemState.CANCELLED)
        elif reasons & {StopReason.STOPPED, StopReason.SUPERSEDED}:
            log.info("run.interrupted", run=run.run_id)
        elif failed:
            # A judge's shards may have stopped after different failures. One of them is enough.
            messages = {stop.message.partition(": ")[0]: stop.message for stop, _ in failed}
            await move(row, RunState.FAILED, reason=failed[0][1], message="; ".join(messages.values()))
        elif missing is not None and missing.reason is not None:
            await move(row, RunState.WAITING, reason=MISSING_HERE[missing.reason], message=missing.message)
        elif not await move(
            row,
            RunState.DONE,
            **incomplete(run, stops, TRIES, await missing_verdicts(self._store, run, self._shares(run))),
        ):
            # The run was cancelled after its last permit. Everything is judged, but its state is CANCELLED.
            await move(row, RunState.CANCELLED, never_started=ItemState.CANCELLED)

    def _shares(self, run: Run) -> list[float]:
        """The share of its presentations that each judge of a run may leave without a verdict."""
        cards = self._judges.cards()
        return [
            1.0
            if judge.baseline or judge.backend == RECORDED
            else cards.get(judge.name, JudgeCard(judge)).limits.max_failed_share
            for judge in run.judges
        ]

    async def pause_interrupted(self, tenant: str, run_id: str) -> None:
        """Set a run that has not ended to PAUSED, so that no process continues it unless it is resumed."""
        with contextlib.suppress(NotFound, StoreFailed):
            run = await self._store.run(tenant, run_id)
            message = f"its command was interrupted; continue with `judge resume runs/{run_id}`"
            await self._store.move_run(run.row, RunState.PAUSED, reason=INTERRUPTED, message=message)

    async def fail(self, tenant: str, run_id: str, reason: str, message: str) -> None:
        """Set the run to FAILED, for a *reason* that has nothing to do with its judges."""
        self._open.pop(run_id, None)
        log.warning("run.failed", run=run_id, reason=reason)
        with contextlib.suppress(NotFound):
            row = (await self._store.run(tenant, run_id)).row
            await self._store.move_run(row, RunState.FAILED, reason=reason, message=message)


async def _round(store: Store, opened: _OpenRun, number: int) -> Plan | None:
    """The plan of round *number*, or None after the last. A run that is not adaptive has one round."""
    if isinstance(opened.plan, Rounds):
        return await plan_round(store, opened.run, opened.plan, number)
    return None if number else opened.plan
