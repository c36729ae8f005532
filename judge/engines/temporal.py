"""The engine on Temporal: one workflow per run, executed by `judge worker` processes and not by this one.

The run's row decides whether a run must be executed, never Temporal. Every few seconds each unfinished run without a
workflow gets one. So a run can be created, cancelled and resumed while Temporal is away, and a run whose workflow was
lost continues. The workflow's id is the run's id, so Temporal runs at most one at a time. A superfluous workflow reads
the row and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from judge.domain.errors import JudgeError, NotFound
from judge.domain.outcome import ItemState
from judge.domain.run import MISSING_HERE, Run, RunState, WaitReason
from judge.domain.temporal_connection import TemporalConnection
from judge.engines.workflow import NAME, SHARDS, RunAt
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.store import Store

EVERY = 5.0
"""Seconds between two checks of all unfinished runs."""
PATIENCE = 30.0
"""Seconds after which a run without a credential for its judge is tried again, and a run that is CANCELLING becomes
CANCELLED even if no worker has confirmed it: no call of it can start any more."""
ANSWER = 5.0
"""Seconds without an answer after which Temporal counts as away."""
UNAVAILABLE = WaitReason.ENGINE_UNAVAILABLE
log = logger("engine")


class TemporalEngine:
    """Makes sure that every unfinished run has a workflow."""

    asks_here = False

    def __init__(
        self,
        store: Store,
        settings: TemporalConnection,
        clock: Clock,
        *,
        every: float = EVERY,
        patience: float = PATIENCE,
        shards: int = SHARDS,
    ) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._every, self._patience, self._shards = every, patience, shards
        self._client: Client | None = None
        self._submitted: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._reconciler: asyncio.Task[None] | None = None
        self._away = False
        self._seen: dict[str, tuple[RunState, float]] = {}
        """The state of each unfinished run, and when the run was first seen in it."""

    async def start(self) -> None:
        """Continue what a dead process left, even if Temporal is away."""
        await self._store.finish_deletions()
        self._reconciler = asyncio.create_task(self._reconcile())

    async def submit(self, tenant: str, run_id: str) -> None:
        """Give the run a workflow, now or as soon as Temporal answers."""
        self._submitted.put_nowait((tenant, run_id))

    async def cancel(self, tenant: str, run_id: str) -> None:
        """Make sure that a workflow ends the run. No permit is granted to it any more."""
        await self.submit(tenant, run_id)

    async def book_lost_calls(self) -> bool:
        """Return False: any worker may make them. Those past their time are booked by permits and by set_cost."""
        return False

    async def close(self) -> None:
        """Start no more workflows. Those that run continue in the workers."""
        if self._reconciler is not None:
            self._reconciler.cancel()
            await asyncio.gather(self._reconciler, return_exceptions=True)

    async def _reconcile(self) -> None:
        while True:
            try:
                unfinished = await self._store.unfinished()
                self._seen = {run: self._seen[run] for _, run in unfinished if run in self._seen}
                await self._start_workflows(unfinished)
                async with asyncio.timeout(self._every):
                    while True:
                        await self._start_workflows([await self._submitted.get()])
            except TimeoutError:
                continue
            except JudgeError as error:
                log.warning("runs.unseen", reason=error.reason)
                await self._clock.sleep(self._every)
            except Exception:
                # Whatever the error was, the next check covers all runs again.
                log.exception("runs.unseen")
                await self._clock.sleep(self._every)

    async def _start_workflows(self, runs: Sequence[tuple[str, str]]) -> None:
        away = False
        for tenant, run_id in runs:
            with contextlib.suppress(NotFound):
                run = await self._store.run(tenant, run_id)
                if self._needs_no_workflow(run):
                    continue
                if run.state is RunState.CANCELLING and self._seen_for(run) > self._patience:
                    await self._store.move_run(run.row, RunState.CANCELLED, never_started=ItemState.CANCELLED)
                    continue
                away = away or not await self._try_start(tenant, run_id)
                await self._explain(run, away=away)

    def _needs_no_workflow(self, run: Run) -> bool:
        """Whether the run has ended, or waits for what no worker had and was tried less than PATIENCE seconds ago."""
        seconds = self._seen_for(run)
        tried = run.state is RunState.WAITING and run.reason in MISSING_HERE.values() and seconds < self._patience
        return run.state.ended or tried

    def _seen_for(self, run: Run) -> float:
        """Seconds since the run was first seen in its current state."""
        now = self._clock.monotonic()
        state, since = self._seen.get(run.run_id, (run.state, now))
        self._seen[run.run_id] = (run.state, since if state is run.state else now)
        return now - self._seen[run.run_id][1]

    async def _explain(self, run: Run, *, away: bool) -> None:
        """Store why a run has not begun, or delete that explanation."""
        if run.state is not RunState.QUEUED or away == (run.reason == UNAVAILABLE):
            return
        reason, message = "", ""
        if away:
            reason = UNAVAILABLE
            message = f"Temporal at {self._settings.address} does not answer; the run starts when it does"
        await self._store.explain_run(run.row, RunState.QUEUED, reason, message)

    async def _try_start(self, tenant: str, run_id: str) -> bool:
        """Start the run's workflow if it has none. Returns False if Temporal does not answer."""
        try:
            async with asyncio.timeout(2 * ANSWER):
                await self._start(await self._lazy_client(), tenant, run_id)
        except (RPCError, RuntimeError, TimeoutError) as error:
            if not self._away:
                log.warning("engine.unavailable", address=self._settings.address, error=str(error)[:200])
            self._away = True
            return False
        if self._away:
            log.info("engine.available", address=self._settings.address)
        self._away = False
        return True

    async def _start(self, client: Client, tenant: str, run_id: str) -> None:
        await client.start_workflow(
            NAME,
            RunAt(tenant, run_id, window=self._settings.window, shards=self._shards),
            id=run_id,
            task_queue=self._settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            rpc_timeout=timedelta(seconds=ANSWER),
        )

    async def _lazy_client(self) -> Client:
        """Return a client that connects when it is first used, and again when necessary."""
        if self._client is None:
            self._client = await Client.connect(self._settings.address, namespace=self._settings.namespace, lazy=True)
        return self._client
