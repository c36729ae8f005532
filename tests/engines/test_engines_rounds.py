"""Adaptive runs on an engine: rounds in order, the same after any interruption, until a limit ends the run."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete

from judge.backends.scripted import Line
from judge.domain.errors import CallRejected, Precondition
from judge.domain.judge import RenderedPrompt
from judge.domain.messages import turn_text, turn_texts
from judge.domain.run import Budget, Pairing, PairPolicy, Run, RunSpec, RunState
from judge.engines.local import LocalEngine
from judge.execution.run_executor import Execution
from judge.execution.stops import Stop
from judge.planning.adaptive import plan_round
from judge.planning.rounds import Ending, RoundRow, build_rounds
from judge.ports.records import VerdictQuery
from judge.runs.lifecycle import RunLifecycle
from judge.store import schema
from support.clocks import QuickClock
from support.engine_service import CONCURRENCY, TENANT, EngineService, OneJudge, Site
from support.postgres import Postgres
from support.temporal_server import TemporalServer

COUNT, ROUND = 24, 6
ADAPTIVE = Pairing(policy=PairPolicy.ADAPTIVE, count=COUNT, round_size=ROUND, seed=5)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'judge.db'}"


def by_name(prompt: RenderedPrompt) -> Line:
    """Prefer the earlier name on most prompts, in either order."""
    outputs = [turn_text(text)[0] for (text,) in (prompt.shown.first, prompt.shown.second)]
    luck = hashlib.sha256("".join([*sorted(outputs), *turn_texts(prompt.shown.prompt)]).encode()).digest()[0]
    return "[[A]]" if (outputs[0] == min(outputs)) == (luck >= 50) else "[[B]]"


async def begin(h: EngineService, pairing: Pairing = ADAPTIVE, budget: Budget = Budget(), request: str = "") -> Run:  # noqa: B008  # frozen
    return await h.runs.create(
        TENANT, RunSpec(dataset="d", judges=("j",), pairing=pairing, budget=budget), request, request.encode()
    )


async def rows(h: EngineService, run: Run) -> list[bytes]:
    return await h.store.rounds(run.row, 0)


async def test_an_adaptive_run_goes_on_to_its_count(url: str) -> None:
    """Rounds have the requested size, each presentation is judged once, and a last row stores why the run ended."""
    async with Site(url).service(by_name) as h:
        await h.fill()
        created = await begin(h)

        ended = await h.ended(created)

        rounds = [RoundRow.of(body) for body in await rows(h, ended)]
    assert (created.counts.planned, created.counts.pending) == (2 * ROUND, 2 * ROUND)
    assert (ended.state, ended.counts.by_status, ended.counts.pending) == (RunState.DONE, {"ok": 2 * COUNT}, 0)
    assert (ended.counts.planned, ended.round, h.backend.calls) == (2 * COUNT, 4, 2 * COUNT)
    assert [ROUND] * 4 + [0] == [row.drawn.pairs.n for row in rounds]
    assert [None] * 4 + [Ending.COUNT] == [row.ending for row in rounds]
    assert [2 * ROUND * n for n in range(5)] == [row.offset for row in rounds]
    assert h.backend.max_in_flight <= CONCURRENCY


async def wait_for_halt(h: EngineService, gate: asyncio.Event) -> None:
    """Wait until *gate* is closed and a call of every slot waits for it."""
    async with asyncio.timeout(60):
        while gate.is_set() or h.backend.in_flight < CONCURRENCY:  # noqa: ASYNC110  # a scripted judge has no event for it
            await asyncio.sleep(0)


async def uninterrupted_rounds(path: Path, script: Callable[[RenderedPrompt], Line] = by_name) -> list[bytes]:
    """Execute a run without interruption, and return its rounds."""
    async with Site(f"sqlite:///{path}").service(script) as h:
        await h.fill()
        return await rows(h, await h.ended(await begin(h)))


async def test_law_5_a_run_stopped_in_mid_round_continues_with_the_same_rounds(url: str, tmp_path: Path) -> None:
    """A run that is interrupted in the middle of rounds has, byte for byte, the rounds of an uninterrupted run."""
    gate = asyncio.Event()
    gate.set()
    left: list[int] = []

    def stopping(prompt: RenderedPrompt) -> Line:
        left.pop()
        if not left:
            gate.clear()
        return by_name(prompt)

    async with Site(url).service(stopping, gate) as first:
        await first.fill()
        left.extend(range(17))
        run = await begin(first)
        await wait_for_halt(first, gate)
        drained = await first.store.run(TENANT, run.run_id)
        left.extend(range(100))
        gate.set()
    left[:] = range(9)
    async with Site(url).service(stopping, gate) as second:
        await wait_for_halt(second, gate)
        left.extend(range(100))
        cut = await second.store.run(TENANT, run.run_id)
        assert isinstance(second.engine, LocalEngine)
        for task in second.engine._tasks.values():
            task.cancel()
        gate.set()
        await asyncio.gather(*second.engine._tasks.values(), return_exceptions=True)
    async with Site(url).service(by_name) as third:
        ended = await third.ended(run)
        rounds = await rows(third, run)

    assert 0 < drained.counts.settled % (2 * ROUND) < 2 * ROUND
    assert 0 < cut.counts.settled % (2 * ROUND) < 2 * ROUND
    assert (drained.round, cut.round) == (2, 3)
    assert await uninterrupted_rounds(tmp_path / "other.db") == rounds
    assert (ended.state, ended.counts.by_status, ended.round) == (RunState.DONE, {"ok": 2 * COUNT}, 4)


async def test_law_5_late_verdicts_enter_no_plan(url: str, tmp_path: Path) -> None:
    """A presentation that had failed when its round closed is judged after a resume; later rounds ignore it."""
    failing = ["question 4"]

    def script(prompt: RenderedPrompt) -> Line:
        if prompt.shown.prompt[0] in failing:
            return CallRejected("refused")
        return by_name(prompt)

    planned = await uninterrupted_rounds(tmp_path / "other.db", script)
    async with Site(url).service(script) as h:
        await h.fill()
        stopped = await h.ended(await begin(h, budget=Budget(calls=30)))
        failing.clear()
        await h.runs.resume(TENANT, stopped.run_id, Budget())
        ended = await h.until(stopped, lambda now: now.state is RunState.DONE and not now.reason)
        rounds = await rows(h, ended)
        verdicts = await h.store.verdicts(ended.row, VerdictQuery(), after=-1, limit=1000)

    assert (stopped.reason, stopped.round) == ("BUDGET_STOPPED", 3)
    assert 0 < stopped.counts.by_status["rejected"]
    assert planned[:3] == rounds[:3]
    assert ended.counts.by_status == {"ok": ended.counts.planned}
    assert {verdict.state for verdict in verdicts} == {None}
    # The third round closed after the resume, so its row counts the late verdicts; the first two rows do not.
    assert [RoundRow.of(body).before.judged.tolist() for body in planned[:3]] == [
        RoundRow.of(body).before.judged.tolist() for body in rounds[:3]
    ]
    assert any(0 in RoundRow.of(body).before.judged for body in rounds[1:3])
    assert 0 not in RoundRow.of(rounds[3]).before.judged


async def test_the_first_writer_of_a_round_wins(url: str) -> None:
    """Two processes that plan the same round get the same plan: the row that the first of them stored."""
    async with Site(url).service(by_name) as h:
        await h.fill()
        run = await h.ended(await begin(h, budget=Budget(calls=2 * ROUND)))
        plans_of_processes = [await build_rounds(h.store, TENANT, run.spec, run.dataset_revision) for _ in range(2)]
        before = await rows(h, run)
        second = delete(schema.run_round).where(schema.run_round.c.round == 1)
        await h.store._db.write(lambda c: c.execute(second))

        plans = await asyncio.gather(
            *(plan_round(h.store, run, rounds_of_process, 1) for rounds_of_process in plans_of_processes)
        )
        stored = await h.store.add_round(run.row, 1, b"\1 another", 999)

        now = await h.store.run(TENANT, run.run_id)
        rounds = await rows(h, run)
    assert (len(before), now.counts.planned, now.round) == (2, 4 * ROUND, 2)
    assert before == rounds
    assert before[1] == stored
    assert [plan.items(range(12, 24)) for plan in plans if plan] == [plans_of_processes[0].items(range(12, 24))] * 2


async def test_no_round_is_planned_before_the_last_one_has_closed(url: str) -> None:
    """While presentations of the last round are not settled, ROUND_OPEN says how many are missing."""
    async with Site(url).service(by_name) as h:
        await h.fill()
        run = await h.ended(await begin(h, budget=Budget(calls=5)))
        rounds = await build_rounds(h.store, TENANT, run.spec, run.dataset_revision)

        with pytest.raises(Precondition, match="7 presentations are not settled") as refused:
            await plan_round(h.store, run, rounds, 1)

    assert (run.state, run.reason, run.counts.settled) == (RunState.DONE, "BUDGET_STOPPED", 5)
    assert refused.value.reason == "ROUND_OPEN"


@pytest.mark.parametrize(
    ("pairing", "ending", "presentations"),
    [
        (replace(ADAPTIVE, precision=5000.0), Ending.REACHED, 24),
        (replace(ADAPTIVE, precision=1.0), Ending.COUNT, 48),
        (replace(ADAPTIVE, count=100, round_size=13), Ending.EXHAUSTED, 60),
    ],
)
async def test_a_run_ends_at_the_first_of_its_limits(
    url: str, pairing: Pairing, ending: Ending, presentations: int
) -> None:
    """A run ends at its precision, at its count, or when everything is compared; nothing stays pending."""
    async with Site(url).service(by_name) as h:
        await h.fill()

        ended = await h.ended(await begin(h, pairing))

        last = RoundRow.of((await rows(h, ended))[-1])
    assert (ended.state, ended.counts.planned, ended.counts.pending) == (RunState.DONE, presentations, 0)
    assert last.ending is ending


async def test_a_budget_of_calls_ends_an_adaptive_run_in_mid_round_and_may_be_raised(url: str, tmp_path: Path) -> None:
    """A run that its budget stopped in mid-round continues under a larger one with the rounds of an unlimited run."""
    async with Site(url).service(by_name) as h:
        await h.fill()
        stopped = await h.ended(await begin(h, budget=Budget(calls=20)))
        await h.runs.resume(TENANT, stopped.run_id, Budget(calls=1000))
        ended = await h.until(stopped, lambda now: now.state is RunState.DONE and not now.reason)
        rounds = await rows(h, ended)

    assert (stopped.reason, stopped.counts.calls, stopped.counts.planned) == ("BUDGET_STOPPED", 20, 24)
    assert (ended.counts.calls, h.backend.calls) == (2 * COUNT, 2 * COUNT)
    assert await uninterrupted_rounds(tmp_path / "other.db") == rounds


class Idle:
    """An engine that executes nothing, because the test does."""

    asks_here = True

    async def start(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def submit(self, tenant: str, run_id: str) -> None:
        return None

    async def cancel(self, tenant: str, run_id: str) -> None:
        return None

    async def book_lost_calls(self) -> bool:
        return False


async def test_a_process_executes_shards_of_rounds_that_another_planned(url: str) -> None:
    """Law 5: two processes that take turns in planning and executing make the rounds of a single process."""
    async with Site(url).service(by_name) as h:
        await h.fill()
        judges = OneJudge(h.backend)
        whole = await rows(h, await h.ended(await begin(h)))
        calls = h.backend.calls
        spec = RunSpec("d", ("j",), ADAPTIVE)
        run = await RunLifecycle(h.store, Idle(), judges).create(TENANT, spec, "", b"")
        here, there = Execution(h.store, judges, QuickClock()), Execution(h.store, judges, QuickClock())
        begun_here = await here.begin(TENANT, run.run_id)
        number, stops = 0, []

        while partitions := await here.partitions(TENANT, run.run_id, number):
            assert partitions == await there.partitions(TENANT, run.run_id, number)
            stops += [
                await there.execute(TENANT, run.run_id, shard)
                for partition in partitions
                for shard in partition.shards()
            ]
            here, there, number = there, here, number + 1

        await here.end(TENANT, run.run_id, stops)
        ended = await h.store.run(TENANT, run.run_id)
        rounds = await rows(h, run)
    assert begun_here
    assert whole == rounds
    assert [Stop()] * 4 == stops
    assert (ended.state, ended.counts.reused, h.backend.calls) == (RunState.DONE, 2 * COUNT, calls)


async def test_law_5_both_engines_plan_the_same_rounds(
    server: Postgres, temporal_server: TemporalServer, tmp_path: Path
) -> None:
    """Temporal with PostgreSQL and small shards makes, byte for byte, the rounds of one process on SQLite."""
    with server.fresh() as shared:
        async with Site(shared, temporal_server.address).service(by_name, size=5) as h:
            await h.fill()
            ended = await h.ended(await begin(h))
            rounds = await rows(h, ended)

    assert await uninterrupted_rounds(tmp_path / "other.db") == rounds
    assert (ended.state, ended.counts.by_status, ended.round) == (RunState.DONE, {"ok": 2 * COUNT}, 4)
