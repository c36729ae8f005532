"""The contract of an engine: it finishes, is bounded, can be cancelled, keeps budgets, and goes on where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from at_work import at_work
from clocks import QuickClock
from judge.backends.scripted import Line, Scripted
from judge.domain.dataset import Output, Prompt
from judge.domain.errors import JudgeUnusable
from judge.domain.judge import JudgeCard, JudgeDefinition, Limits, RenderedPrompt
from judge.domain.run import Budget, Pairing, Run, RunSpec, RunState
from judge.engines.local import LocalEngine
from judge.prompts.rubrics import RUBRICS
from judge.runs.judges import JudgeAtWork
from judge.runs.lifecycle import Runs
from judge.store import SqlStore

TENANT, CONCURRENCY = "default", 4
PLANNED = 10 * 3 * 2


class OneJudge:
    """One judge called `j`, which says what it is told to."""

    def __init__(self, backend: Scripted) -> None:
        definition = JudgeDefinition("j", "scripted", RUBRICS["brackets"], "brackets/1")
        self.card = JudgeCard(definition, limits=Limits(concurrency=CONCURRENCY))
        self.judge = at_work(self.card, backend, QuickClock())

    def cards(self) -> dict[str, JudgeCard]:
        return {"j": self.card}

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        return self.judge

    async def identified(self, definition: JudgeDefinition) -> JudgeDefinition:
        return definition


class House:
    """A store with a board of ten prompts and three contestants, and an engine over it with one judge."""

    def __init__(self, store: SqlStore, backend: Scripted) -> None:
        self.store, self.backend = store, backend
        judges = OneJudge(backend)
        self.engine = LocalEngine(store, judges, QuickClock())
        self.runs = Runs(store, self.engine, judges)

    async def fill(self) -> None:
        await self.store.create_dataset(TENANT, "d")
        prompts = [Prompt(f"p{n}", (f"question {n}",)) for n in range(10)]
        outputs = [Output(p.prompt_id, who, (f"{who} on {p.prompt_id}",)) for p in prompts for who in "abc"]
        await self.store.add_prompts(TENANT, "d", prompts, replace=False)
        await self.store.add_outputs(TENANT, "d", outputs, replace=False)

    async def begin(self, request_id: str = "", **said: object) -> Run:
        spec = RunSpec("d", ("j",), Pairing(), **said)  # type: ignore[arg-type]  # a budget
        return await self.runs.create(TENANT, spec, request_id, request_id.encode())

    async def begun(self) -> Run:
        """A run over the board, with a call in flight in every slot."""
        await self.fill()
        run = await self.begin()
        await self.busy()
        return run

    async def until(self, run: Run, reached: Callable[[Run], bool]) -> Run:
        """The run, once it has come so far."""
        async with asyncio.timeout(30):
            while not reached(found := await self.store.run(TENANT, run.run_id)):  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0)
        return found

    async def busy(self) -> None:
        """Wait until every slot has a call in flight."""
        async with asyncio.timeout(30):
            while self.backend.in_flight < CONCURRENCY:  # noqa: ASYNC110  # a scripted judge has no event for it
                await asyncio.sleep(0)

    async def ended(self, run: Run) -> Run:
        """The run, ended."""
        return await self.until(run, lambda now: now.state.ended)


@asynccontextmanager
async def house(
    url: str, script: Callable[[RenderedPrompt], Line] | Iterable[Line], gate: asyncio.Event | None = None
) -> AsyncIterator[House]:
    store = SqlStore.open(url, clock=QuickClock())
    made = House(store, Scripted(script, gate=gate))
    await made.engine.start()
    try:
        yield made
    finally:
        if gate is not None:
            gate.set()
        await made.engine.close()
        await store.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'judge.db'}"


def always(_: RenderedPrompt) -> str:
    return "[[A]]"


async def test_a_run_finishes_within_its_concurrency(url: str) -> None:
    """Every showing has a verdict, with a call each, and never more calls at once than the judge allows."""
    async with house(url, always) as h:
        await h.fill()

        run = await h.ended(await h.begin())

    assert (run.state, run.counts.by_status, run.counts.calls) == (RunState.DONE, {"ok": PLANNED}, PLANNED)
    assert h.backend.calls == PLANNED
    assert h.backend.max_in_flight <= CONCURRENCY


async def test_a_cancelled_run_keeps_what_it_has(url: str) -> None:
    """No call begins after the cancel; those in flight are kept; resumed, the run asks only for the rest."""
    gate = asyncio.Event()
    async with house(url, always, gate) as h:
        run = await h.begun()

        await h.runs.cancel(TENANT, run.run_id)
        gate.set()
        cancelled = await h.ended(run)
        await h.runs.resume(TENANT, run.run_id, None)
        resumed = await h.until(run, lambda now: now.state is RunState.DONE)

    assert h.backend.max_in_flight == CONCURRENCY
    assert cancelled.state is RunState.CANCELLED
    assert cancelled.counts.by_status == {"ok": CONCURRENCY}
    assert (resumed.counts.by_status, h.backend.calls) == ({"ok": PLANNED}, PLANNED)


async def test_a_budget_of_calls_is_kept_and_may_be_raised(url: str) -> None:
    """The run stops at its budget with the rest named, and goes on under a larger one without paying again."""
    async with house(url, always) as h:
        await h.fill()
        run = await h.begin(budget=Budget(calls=10))
        stopped = await h.ended(run)
        at_stop = h.backend.calls

        await h.runs.resume(TENANT, run.run_id, Budget(calls=1000))
        resumed = await h.until(run, lambda now: now.state is RunState.DONE and not now.reason)

    assert (stopped.state, stopped.reason, at_stop) == (RunState.DONE, "BUDGET_STOPPED", 10)
    assert (resumed.counts.by_status, h.backend.calls) == ({"ok": PLANNED}, PLANNED)


async def test_an_unfinished_run_is_gone_on_with_at_the_next_start(url: str) -> None:
    """An engine that stopped in the middle leaves a run that the next one finishes, with no call made again."""
    gate = asyncio.Event()
    async with house(url, always, gate) as first:
        run = await first.begun()
    async with house(url, always) as second:
        ended = await second.ended(run)

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert first.backend.calls + second.backend.calls == PLANNED
    assert ended.counts.repeated == 0


async def test_two_runs_at_once_pay_each_key_once(url: str) -> None:
    """Law 3: two runs over the same content share every call."""
    async with house(url, always) as h:
        await h.fill()
        one, two = await h.begin("one"), await h.begin("two")

        ended = [await h.ended(one), await h.ended(two)]

    assert [run.counts.by_status for run in ended] == [{"ok": PLANNED}] * 2
    assert h.backend.calls == PLANNED == sum(run.counts.calls for run in ended)
    assert sum(run.counts.reused for run in ended) == PLANNED


async def test_a_judge_that_cannot_be_asked_ends_the_run_at_once(url: str) -> None:
    """A wrong key is one clear reason after at most one window of calls, not a call for every showing."""
    async with house(url, lambda _: JudgeUnusable("the endpoint answered 401")) as h:
        await h.fill()

        run = await h.ended(await h.begin())

    assert (run.state, run.reason) == (RunState.FAILED, "JUDGE_UNUSABLE")
    assert "401" in run.message
    assert h.backend.calls <= CONCURRENCY


async def test_a_full_store_pauses_a_run_until_there_is_room(url: str) -> None:
    """Without room the run is PAUSED, STORE_FULL; with room it goes on alone, and no answer was lost or asked again."""
    gate = asyncio.Event()
    async with house(url, lambda _: "x" * 20_000 + "[[A]]", gate) as h:
        run = await h.begun()

        _room(h.store, 1)
        gate.set()
        paused = await h.until(run, lambda now: now.state is RunState.PAUSED)
        _room(h.store, 1_000_000_000)
        ended = await h.ended(run)

    assert paused.reason == "STORE_FULL"
    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    assert h.backend.calls == PLANNED


def _room(store: SqlStore, pages: int) -> None:
    connections = [store._db._engine.connect() for _ in range(5)]
    for connection in connections:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    for connection in connections:
        connection.close()
