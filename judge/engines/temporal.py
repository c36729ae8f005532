"""The engine on Temporal: one workflow per run, which `judge worker` processes execute; this process executes none.

Whether a run is to be executed stands in its row, never in Temporal: every few seconds each unfinished run gets a
workflow, if none runs. So a run may be created, cancelled and resumed while Temporal is away, and one whose workflow
was lost goes on. The workflow's id is the run's: Temporal runs at most one at a time, and one started too many looks at
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
from judge.domain.run import Run, RunState, WaitReason
from judge.engines.temporal_connection import TemporalConnection
from judge.engines.workflow import NAME, SHARDS, RunAt
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.store import Store

EVERY = 5.0
"""Seconds between two looks at all unfinished runs."""
PATIENCE = 30.0
"""Seconds after which a run whose judge no worker could ask is tried again, and one that is being cancelled is said to
be though no worker has told: nobody begins a call."""
ANSWER = 5.0
"""Seconds in which Temporal answers, or is away."""
UNAVAILABLE = WaitReason.ENGINE_UNAVAILABLE
log = logger("engine")


class TemporalEngine:
    """Sees to it that every unfinished run has a workflow."""

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
        self._asked: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._reconciler: asyncio.Task[None] | None = None
        self._away = False
        self._seen: dict[str, tuple[RunState, float]] = {}
        """The state of each unfinished run, and when it was first seen in it."""

    async def start(self) -> None:
        """Go on with what a dead process left, whether or not Temporal is there."""
        await self._store.finish_deletions()
        self._reconciler = asyncio.create_task(self._reconcile())

    async def submit(self, tenant: str, run_id: str) -> None:
        """Give the run a workflow, now or as soon as there can be one."""
        self._asked.put_nowait((tenant, run_id))

    async def cancel(self, tenant: str, run_id: str) -> None:
        """See to it that somebody ends the run; permits know already."""
        await self.submit(tenant, run_id)

    async def close(self) -> None:
        """Start no more workflows. Those that run are no matter of this process."""
        if self._reconciler is not None:
            self._reconciler.cancel()
            await asyncio.gather(self._reconciler, return_exceptions=True)

    async def _reconcile(self) -> None:
        while True:
            try:
                unfinished = await self._store.unfinished()
                self._seen = {run: self._seen[run] for _, run in unfinished if run in self._seen}
                await self._see_to(unfinished)
                async with asyncio.timeout(self._every):
                    while True:
                        await self._see_to([await self._asked.get()])
            except TimeoutError:
                continue
            except JudgeError as error:
                log.warning("runs.unseen", reason=error.reason)
                await self._clock.sleep(self._every)
            except Exception:
                # Whatever it was: the next look is at all runs anew.
                log.exception("runs.unseen")
                await self._clock.sleep(self._every)

    async def _see_to(self, runs: Sequence[tuple[str, str]]) -> None:
        away = False
        for tenant, run_id in runs:
            with contextlib.suppress(NotFound):
                run = await self._store.run(tenant, run_id)
                if self._is_quarantined(run):
                    continue
                if run.state is RunState.CANCELLING and self._seen_for(run) > self._patience:
                    await self._store.move_run(run.row, RunState.CANCELLED, never_started=ItemState.CANCELLED)
                    continue
                away = away or not await self._started(tenant, run_id)
                await self._explain(run, away=away)

    def _is_quarantined(self, run: Run) -> bool:
        seconds = self._seen_for(run)
        tried = run.state is RunState.WAITING and run.reason == WaitReason.NO_CREDENTIAL and seconds < self._patience
        return run.state.ended or tried

    def _seen_for(self, run: Run) -> float:
        """Seconds since the run was first seen in the state that it is in."""
        now = self._clock.monotonic()
        state, since = self._seen.get(run.run_id, (run.state, now))
        self._seen[run.run_id] = (run.state, since if state is run.state else now)
        return now - self._seen[run.run_id][1]

    async def _explain(self, run: Run, *, away: bool) -> None:
        """Say why a run is not begun, or no longer say so."""
        if run.state is not RunState.QUEUED or away == (run.reason == UNAVAILABLE):
            return
        reason, message = "", ""
        if away:
            reason = UNAVAILABLE
            message = f"Temporal at {self._settings.address} does not answer; the run begins when it does"
        await self._store.explain_run(run.row, RunState.QUEUED, reason, message)

    async def _started(self, tenant: str, run_id: str) -> bool:
        """Whether the run has a workflow now."""
        try:
            async with asyncio.timeout(2 * ANSWER):
                await self._start(await self._connected(), tenant, run_id)
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

    async def _connected(self) -> Client:
        """A client, which connects when it is first used, and again when it has to."""
        if self._client is None:
            self._client = await Client.connect(self._settings.address, namespace=self._settings.namespace, lazy=True)
        return self._client
