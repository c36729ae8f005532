"""The local engine: asyncio in the server's process. The stored answers are the checkpoint.

Each run is a task, each of its judges a lane of it, a lane works through its shards in order. A run that is submitted
again while it works is left alone; one that was interrupted is planned anew and asked only for what is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from judge.domain.errors import JudgeError, JudgeUnusable, NotFound, StoreFull
from judge.domain.outcome import ItemState
from judge.domain.run import Run, RunState
from judge.log import logger
from judge.ports.clock import Clock
from judge.ports.store import Store
from judge.runs.batches import BATCH, BatchRunner
from judge.runs.judges import JudgeAtWork, Judges
from judge.runs.plan import Plan
from judge.runs.shard import FULL_WAIT, ShardRunner
from judge.runs.work import Keys, build_plan

SHARD = 500
"""Positions in a shard."""
FAILURES = {
    "JUDGE_UNUSABLE": "",
    "TOO_MANY_FAILED": " was stopped: more of its showings were left without a verdict than it may fail",
}
"""What ends a run as failed once its other judges are through, and what is said of it."""
log = logger("engine")


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a judge's part of a run was not finished; without a reason it was."""

    reason: str = ""
    message: str = ""


class LocalEngine:
    """Executes runs in this process."""

    def __init__(self, store: Store, judges: Judges, clock: Clock) -> None:
        self._store, self._judges, self._clock = store, judges, clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runners: dict[str, list[ShardRunner | BatchRunner]] = {}
        self._closing = False

    async def start(self) -> None:
        """Go on with what a dead process left: deletions, calls that may have been paid, unfinished runs."""
        await self._store.finish_deletions()
        orphaned = await self._store.orphan_attempts()
        unfinished = await self._store.unfinished()
        log.info("engine.started", orphaned=orphaned, unfinished=len(unfinished))
        for tenant, run_id in unfinished:
            await self.submit(tenant, run_id)

    async def submit(self, tenant: str, run_id: str) -> None:
        """Begin or go on with a run."""
        task = self._tasks.get(run_id)
        if not self._closing and (task is None or task.done()):
            self._tasks[run_id] = asyncio.create_task(self._execute(tenant, run_id, after=task))

    async def cancel(self, tenant: str, run_id: str) -> None:
        """End a run told to cancel, if no task is at it; one that is sees it at its next permit."""
        await self.submit(tenant, run_id)

    async def close(self) -> None:
        """Issue no new permit, let calls in flight finish and commit."""
        self._closing = True
        for runners in self._runners.values():
            for runner in runners:
                runner.stop(patient=False)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _execute(self, tenant: str, run_id: str, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait([after])
        try:
            while not await self._judged(tenant, run_id):
                await self._clock.sleep(FULL_WAIT)
        except JudgeError as error:
            await self._fail(tenant, run_id, error.reason, error.message)
        except Exception:
            log.exception("run.broken", run=run_id)
            await self._fail(tenant, run_id, "INTERNAL", "an unexpected error ended the run; the server's log has it")
        finally:
            self._runners.pop(run_id, None)

    async def _fail(self, tenant: str, run_id: str, reason: str, message: str) -> None:
        log.warning("run.failed", run=run_id, reason=reason)
        with contextlib.suppress(NotFound):
            # It may have been deleted with its dataset.
            run = await self._store.run(tenant, run_id)
            await self._store.move_run(run.row, RunState.FAILED, reason=reason, message=message)

    async def _judged(self, tenant: str, run_id: str) -> bool:
        """Judge what is missing; False if the store was full, so that it is to be begun again from what is stored."""
        try:
            await self._judge(tenant, await self._store.run(tenant, run_id))
        except StoreFull as full:
            if self._closing:
                raise
            log.warning("run.paused", run=run_id, reason=full.reason)
            return False
        return True

    async def _judge(self, tenant: str, run: Run) -> None:
        if run.state is RunState.CANCELLING:
            await self._store.move_run(run.row, RunState.CANCELLED, rest=ItemState.CANCELLED)
        if run.state is RunState.CANCELLING or run.state.ended:
            return
        await self._store.move_run(run.row, RunState.RUNNING)
        plan = await build_plan(self._store, tenant, run.spec, run.dataset_revision)
        if plan.hash != run.plan_hash:
            message = "the plan rebuilt from the seed is not the one that was stored"
            await self._store.move_run(run.row, RunState.FAILED, reason="PLAN_CHANGED", message=message)
            return
        lanes = [asyncio.create_task(self._lane(tenant, run, plan, number)) for number in range(len(run.judges))]
        self._runners[run.run_id] = []
        try:
            stops = await asyncio.gather(*lanes)
        except BaseException:
            for runner in self._runners[run.run_id]:
                runner.stop()
            await asyncio.gather(*lanes, return_exceptions=True)
            raise
        await self._end(run, stops)

    async def _lane(self, tenant: str, run: Run, plan: Plan, number: int) -> Stop:
        """Run one judge's part of the plan. What stops this judge does not stop the others."""
        try:
            judge = self._judges.at_work(run.judges[number])
            return await self._shards(tenant, run, plan, number, judge)
        except JudgeUnusable as unusable:
            return Stop(unusable.reason, f"judge {run.judges[number].name!r}: {unusable.message}")

    async def _shards(self, tenant: str, run: Run, plan: Plan, number: int, judge: JudgeAtWork) -> Stop:
        keys = Keys(self._store, tenant, judge.definition, run.spec.pairing.epoch)
        runner: ShardRunner | BatchRunner
        size, planned = (BATCH if judge.card.batch else SHARD), plan.per_judge
        if judge.card.batch:
            runner = BatchRunner(self._store, tenant, run.row, run.run_id, judge, self._clock, planned=planned)
        else:
            runner = ShardRunner(self._store, tenant, run.row, judge, self._clock, planned=planned)
        self._runners[run.run_id].append(runner)
        if self._closing:
            runner.stop(patient=False)
        if isinstance(runner, BatchRunner):
            for batch in await self._store.open_batches(run.row, number):
                work = await keys.work([plan.item(position) for position in batch.positions])
                if refused := await runner.resume(batch, work):
                    return Stop(refused, f"judge {judge.definition.name!r}")
        first = number * planned
        for begin in range(first, first + planned, size):
            end = min(begin + size, first + planned)
            done = await self._store.done_positions(run.row, begin, end)
            items = [plan.item(position) for position in range(begin, end) if position not in done]
            refused = await runner.run(await keys.work(items)) if items else ""
            if refused:
                return Stop(refused, f"judge {judge.definition.name!r}")
        return Stop()

    async def _end(self, run: Run, stops: Sequence[Stop]) -> None:
        """Say how the run ended, by the first of the reasons that some judge was stopped for."""
        reasons = {stop.reason for stop in stops}
        failed = [stop for stop in stops if stop.reason in FAILURES]
        if "CANCELLED" in reasons or "NOT_RUNNING" in reasons:
            await self._store.move_run(run.row, RunState.CANCELLED, rest=ItemState.CANCELLED)
        elif "STOPPED" in reasons:
            log.info("run.interrupted", run=run.run_id)
        elif failed:
            message = "; ".join(stop.message + FAILURES[stop.reason] for stop in failed)
            await self._store.move_run(run.row, RunState.FAILED, reason=failed[0].reason, message=message)
        elif "NO_CREDENTIAL" in reasons:
            message = next(stop.message for stop in stops if stop.reason == "NO_CREDENTIAL")
            await self._store.move_run(run.row, RunState.WAITING, reason="NO_CREDENTIAL", message=message)
        elif "BUDGET_STOPPED" in reasons:
            message = "the budget was used up; resume the run with a larger one"
            await self._store.move_run(
                run.row, RunState.DONE, reason="BUDGET_STOPPED", message=message, rest=ItemState.BUDGET_STOPPED
            )
        elif not await self._store.move_run(run.row, RunState.DONE):
            # Cancelled after the last permit: everything is judged, and the run says it was cancelled.
            await self._store.move_run(run.row, RunState.CANCELLED, rest=ItemState.CANCELLED)
        log.info("run.ended", run=run.run_id, reasons=sorted(reasons - {""}))
