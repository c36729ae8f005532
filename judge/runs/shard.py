"""Running a shard: ask for a permit, make only the calls it grants, free a slot only when its answer has committed.

No permit, no call. A permit is void once its process has been away longer than LEASE seconds: what had not begun by
then is asked for again. Whatever was called commits, also while the run is being cancelled, and waits in memory while
the store has no room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from judge.domain.errors import JudgeUnusable, StoreFull
from judge.ports.clock import Clock
from judge.ports.store import Permit, PermitRequest, RunStore, Settled
from judge.runs.judges import JudgeAtWork
from judge.runs.worker import Work, judge_comparison, read, worst_cost

LEASE = 10.0
"""Seconds after its permit was asked for within which a call must begin."""
FULL_WAIT = 1.0
"""Seconds between two attempts to write to a store that is full."""
BUSY_WAIT = 0.05
"""Seconds between two looks at a key that another run is calling."""


class Committer:
    """Commits what is settled in groups: whatever came while the last group was being written is the next one."""

    def __init__(self, store: RunStore, tenant: str, run: int | None, clock: Clock) -> None:
        self._store, self._tenant, self._run, self._clock = store, tenant, run, clock
        self.patient = True
        """Whether to wait for room in a full store."""
        self._waiting: list[tuple[Settled, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def commit(self, settled: Settled) -> None:
        """Return once *settled* is stored."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((settled, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:1000], self._waiting[1000:]
            try:
                await self._commit([settled for settled, _ in group])
            except Exception as error:  # noqa: BLE001  # handed to whoever waits for this group
                for _, done in group:
                    if not done.cancelled():
                        done.set_exception(error)
            else:
                for _, done in group:
                    if not done.cancelled():
                        done.set_result(None)

    async def _commit(self, group: Sequence[Settled]) -> None:
        while True:
            try:
                return await self._store.commit(self._tenant, self._run, group)
            except StoreFull:
                if not self.patient:
                    raise
            await self._clock.sleep(FULL_WAIT)


class ShardRunner:
    """Runs the showings of one judge in one run, at most *concurrency* calls at once."""

    def __init__(self, store: RunStore, tenant: str, run: int, judge: JudgeAtWork, clock: Clock) -> None:
        self._store, self._tenant, self._run, self._judge, self._clock = store, tenant, run, judge, clock
        self._committer = Committer(store, tenant, run, clock)
        self._flying: set[asyncio.Task[Work | None]] = set()
        self._stopping = False

    def stop(self, *, patient: bool = True) -> None:
        """Ask for no new permit; what is in flight finishes and commits, and if *patient* waits for room to do so."""
        self._stopping, self._committer.patient = True, patient

    async def run(self, work: Sequence[Work]) -> str:
        """Judge *work*; "" when all of it is settled, else why not: STOPPED, BUDGET_STOPPED, CANCELLED, NOT_RUNNING."""
        todo = deque(work)
        refused = ""
        try:
            while (todo or self._flying) and not refused:
                if self._stopping:
                    refused = "STOPPED"
                    break
                free = self._judge.card.limits.concurrency - len(self._flying)
                if todo and free > 0:
                    refused = await self._window([todo.popleft() for _ in range(min(free, len(todo)))], todo)
                elif self._flying:
                    await self._land(todo, asyncio.FIRST_COMPLETED)
        finally:
            while self._flying:
                await self._land(todo, asyncio.ALL_COMPLETED)
        return refused

    async def _window(self, wanted: list[Work], todo: deque[Work]) -> str:
        asked = self._clock.monotonic()
        now = self._clock.now()
        worst = max(worst_cost(self._judge, work.shown) for work in wanted)
        request = PermitRequest(
            keys=[work.key for work in wanted],
            run=self._run,
            worst_micros=worst,
            now=now,
            until=now + LEASE + self._judge.card.limits.deadline_seconds,
        )
        permit = await self._store.permit(self._tenant, request)
        begun = self._begin(wanted, permit, asked, todo)
        await self._take_stored(wanted, permit)
        if not begun and permit.busy and not self._flying and not permit.refused:
            await self._clock.sleep(BUSY_WAIT)
        return permit.refused

    def _begin(self, wanted: list[Work], permit: Permit, asked: float, todo: deque[Work]) -> int:
        begun: set[int] = set()
        for work in wanted:
            attempt = permit.granted.get(work.key)
            if attempt is not None and attempt not in begun:
                begun.add(attempt)
                self._flying.add(asyncio.create_task(self._call(work, attempt, asked)))
            elif work.key not in permit.answered:
                # Busy elsewhere, being called for an equal showing here, or refused: asked for again.
                todo.append(work)
        return len(begun)

    async def _call(self, work: Work, attempt: int, asked: float) -> Work | None:
        if self._clock.monotonic() - asked > LEASE:
            return work
        try:
            settled = await judge_comparison(self._judge, work, attempt, self._clock)
        except JudgeUnusable as unusable:
            await self._committer.commit(Settled(work.key, work.item, attempt, state=unusable.state, calls=1))
            raise
        await self._committer.commit(settled)
        return None

    async def _take_stored(self, wanted: list[Work], permit: Permit) -> None:
        settled = []
        for work in wanted:
            stored = permit.answered.get(work.key)
            if stored is None:
                continue
            names = {reading.parser for reading in stored.readings}
            known = self._judge.definition.parser in names or self._judge.definition.backend == "recorded"
            reading = None if known else read(self._judge.definition, stored.reply)
            settled.append(Settled(work.key, work.item, answer=stored.answer, reply=stored.reply, reading=reading))
        if settled:
            await self._store.commit(self._tenant, self._run, settled)

    async def _land(self, todo: deque[Work], until: str) -> None:
        done, self._flying = await asyncio.wait(self._flying, return_when=until)
        failures = []
        for task in done:
            error = task.exception()
            if error is not None:
                failures.append(error)
            elif (again := task.result()) is not None:
                todo.append(again)
        if failures:
            unusable = next((e for e in failures if isinstance(e, JudgeUnusable)), failures[0])
            raise unusable
