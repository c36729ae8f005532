"""A store with a small dataset, an engine over it, and one judge: the same service for every engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import make_url

from judge.backends.scripted import Line, Scripted
from judge.domain.dataset import Output, Prompt
from judge.domain.errors import JudgeUnusable
from judge.domain.judge import JudgeCard, JudgeDefinition, Limits, RenderedPrompt
from judge.domain.run import Pairing, Run, RunSpec
from judge.domain.temporal_connection import TemporalConnection
from judge.engines.local import LocalEngine
from judge.engines.temporal import TemporalEngine
from judge.engines.worker import run_worker
from judge.engines.workflow import SHARDS
from judge.execution.judges import JudgeAtWork, Judges
from judge.execution.run_executor import SHARD
from judge.ports.clock import SystemClock
from judge.ports.engine import Engine
from judge.prompts.rubrics import RUBRICS
from judge.runs.lifecycle import RunLifecycle
from judge.store.sql_store import SqlStore
from support.clocks import QuickClock
from support.judge_at_work import at_work

TENANT, CONCURRENCY = "default", 4
PLANNED = 10 * 3 * 2
LOOK = 0.01
"""Seconds between two looks at a run."""


class OneJudge:
    """One judge called `j` with scripted replies. If *without* is true, it is unusable for lack of a credential."""

    def __init__(self, backend: Scripted, *, without: bool = False) -> None:
        definition = JudgeDefinition(name="j", backend="scripted", rubric=RUBRICS["brackets"], parser="brackets/2")
        missing = "there is no key" if without else ""
        self.card = JudgeCard(definition, limits=Limits(concurrency=CONCURRENCY), unavailable_reason=missing)
        self.judge, self.without = at_work(self.card, backend, QuickClock()), without

    def cards(self) -> dict[str, JudgeCard]:
        return {"j": self.card}

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        if self.without:
            raise JudgeUnusable("there is no key", reason="NO_CREDENTIAL")
        return self.judge

    async def identified(self, definition: JudgeDefinition) -> JudgeDefinition:
        return definition


class EngineService:
    """A store with a dataset of ten prompts and three contestants, and an engine over it with one judge."""

    def __init__(self, store: SqlStore, backend: Scripted, engine: Engine, judges: Judges) -> None:
        self.store, self.backend, self.engine = store, backend, engine
        self.runs = RunLifecycle(store, engine, judges)

    async def fill(self) -> None:
        await self.store.create_dataset(TENANT, "d")
        prompts = [Prompt(f"p{n}", (f"question {n}",)) for n in range(10)]
        outputs = [Output(p.prompt_id, who, (f"{who} on {p.prompt_id}",)) for p in prompts for who in "abc"]
        await self.store.add_prompts(TENANT, "d", prompts, replace=False)
        await self.store.add_outputs(TENANT, "d", outputs, replace=False)

    async def begin(self, request_id: str = "", pairing: Pairing = Pairing(), **options: object) -> Run:  # noqa: B008  # frozen
        spec = RunSpec("d", ("j",), pairing, **options)  # type: ignore[arg-type]  # a budget
        return await self.runs.create(TENANT, spec, request_id, request_id.encode())

    async def start_busy_run(self) -> Run:
        """Start a run over the dataset and wait until every slot has a call in flight."""
        await self.fill()
        run = await self.begin()
        await self.busy()
        return run

    async def until(self, run: Run, reached: Callable[[Run], bool]) -> Run:
        """Wait until the run satisfies *reached* and return it."""
        async with asyncio.timeout(60):
            while not reached(current := await self.store.run(TENANT, run.run_id)):  # there is no event to wait for
                await asyncio.sleep(LOOK)
        return current

    async def busy(self) -> None:
        """Wait until every slot has a call in flight."""
        async with asyncio.timeout(60):
            while self.backend.in_flight < CONCURRENCY:  # a scripted judge has no event for it
                await asyncio.sleep(0)

    async def ended(self, run: Run) -> Run:
        """Wait until the run has ended and return it."""
        return await self.until(run, lambda now: now.state.ended)


@dataclass(frozen=True)
class Site:
    """Where services run: the URL of a store, and the address of Temporal if Temporal hands out the shards."""

    url: str
    address: str = ""

    @property
    def settings(self) -> TemporalConnection:
        """The connection to Temporal. Each store has a task queue of its own, so its runs reach only its workers."""
        return TemporalConnection(address=self.address, task_queue=make_url(self.url).database or "judge")

    @asynccontextmanager
    async def service(
        self,
        script: Callable[[RenderedPrompt], Line] | Iterable[Line],
        gate: asyncio.Event | None = None,
        *,
        without: bool = False,
        shards: int = SHARDS,
        size: int = SHARD,
    ) -> AsyncIterator[EngineService]:
        """Run an engine. On exit it stops, and calls in flight finish and commit.

        *script* gives the judge's replies, which wait for *gate* if there is one. If *without* is true, the worker
        lacks the judge's credential. On Temporal a history has at most *shards* shards of *size* presentations.
        """
        async with AsyncExitStack() as stack:
            store = SqlStore.open(self.url, clock=QuickClock())
            stack.push_async_callback(store.close)
            backend = Scripted(script, gate=gate)
            known = OneJudge(backend, without=without)
            engine: Engine = LocalEngine(store, known, QuickClock())
            if self.address:
                clock = SystemClock()
                await stack.enter_async_context(run_worker(store, known, self.settings, clock, others=2, size=size))
                engine = TemporalEngine(store, self.settings, clock, every=0.5, patience=0.5, shards=shards)
            await engine.start()
            stack.push_async_callback(engine.close)
            if gate is not None:
                stack.callback(gate.set)
            yield EngineService(store=store, backend=backend, engine=engine, judges=known)
