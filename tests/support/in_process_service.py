"""A store, an engine and configured judges without a server, on the test's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from judge.app.judges import ConfiguredJudges
from judge.domain.dataset import Output, Prompt
from judge.domain.run import Budget, Pairing, Run, RunSpec
from judge.engines.local import LocalEngine
from judge.ports.clock import Clock
from judge.runs.lifecycle import RunLifecycle
from judge.store.sql_store import SqlStore

TENANT = "default"
PLANNED = 10 * 3 * 2


class InProcessService:
    """A store in a file, a dataset of ten prompts and three contestants, and configured judges, one called `far`."""

    def __init__(self, file: Path, judges: ConfiguredJudges, clock: Clock) -> None:
        self.store = SqlStore.open(f"sqlite:///{file}", clock=clock)
        self.judges = judges
        self.engine = LocalEngine(self.store, judges, clock)
        self.runs = RunLifecycle(self.store, self.engine, judges)

    async def begin(self, budget: Budget = Budget()) -> Run:  # noqa: B008  # frozen
        await self.store.create_dataset(TENANT, "d")
        prompts = [Prompt(f"p{n}", (f"question {n}",)) for n in range(10)]
        outputs = [Output(p.prompt_id, who, (f"{who} on {p.prompt_id}",)) for p in prompts for who in "abc"]
        await self.store.add_prompts(TENANT, "d", prompts, replace=False)
        await self.store.add_outputs(TENANT, "d", outputs, replace=False)
        return await self.runs.create(
            TENANT, RunSpec(dataset="d", judges=("far",), pairing=Pairing(), budget=budget), "", b""
        )

    async def until(self, run: Run, reached: Callable[[Run], bool]) -> Run:
        async with asyncio.timeout(30):
            while not reached(current := await self.store.run(TENANT, run.run_id)):  # there is no event to wait for
                await asyncio.sleep(0)
        return current

    async def ended(self, run: Run) -> Run:
        return await self.until(run, lambda now: now.state.ended)

    async def die(self) -> None:
        """Stop everything at once, as when a process is killed: nothing more is written."""
        for task in self.engine._tasks.values():
            task.cancel()
        await asyncio.gather(*self.engine._tasks.values(), return_exceptions=True)
        await self.store.close()
        await self.judges.close()
