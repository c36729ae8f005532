"""A run of 10,000 comparisons in both orders, with an instant judge, beside a bare asyncio loop that writes its rows.

The judge is a yardstick, once as it is, a rule that is asked at once for all that a permit grants, and once as if it
were far away: rendered, in a task of its own, with a deadline, tries and an account for every call.

The bare loop has the rows ready: for each it makes a task that awaits a judge, and commits them in groups with the
driver, in a thread, into the same tables with the same indexes and the same sync. It renders, reads and checks nothing,
and asks for no permits.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from figures import Figure, interleaved, told

from judge.app.judges import ConfiguredJudges
from judge.config.settings import load
from judge.domain.dataset import Output, Prompt
from judge.domain.judge import JudgeDefinition
from judge.domain.run import RunSpec
from judge.engines.local import LocalEngine
from judge.execution.judges import JudgeAtWork
from judge.ports.clock import SystemClock
from judge.runs.lifecycle import RunLifecycle
from judge.runs.watch import Watcher
from judge.store.sql_store import SqlStore

PROMPTS, CONTESTANTS = 1_000, 5
VERDICTS = PROMPTS * (CONTESTANTS * (CONTESTANTS - 1) // 2) * 2
ROUNDS, GROUP, AT_ONCE = 5, 256, 256
GOAL = 2.0
TABLES = ("call_attempt", "answer", "parsed_verdict", "run_item")
TENANT = "default"


def figures() -> Iterator[Figure]:
    """Seconds of the run in units of the bare loop's."""
    told(f"runs: {VERDICTS} verdicts of an instant judge, beside a bare loop over the same rows")
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as folder:
        home = Path(folder)
        asyncio.run(_run(home / "rows.db"))
        rows = _rows(home / "rows.db")
        numbers = iter(range(3 * ROUNDS))
        mine, awaited, bare = interleaved(
            ROUNDS,
            lambda: asyncio.run(_run(home / f"{next(numbers)}.db")),
            lambda: asyncio.run(_run(home / f"{next(numbers)}.db", awaited=True)),
            lambda: asyncio.run(_bare(home / "rows.db", home / f"{next(numbers)}.db", rows)),
        )
    ratio = mine / bare
    yield Figure(
        "runs",
        "local engine on SQLite",
        VERDICTS / mine,
        "verdicts/s",
        f"a bare asyncio loop: {VERDICTS / bare:.0f}/s",
        ratio,
        f"<= {GOAL} x its time",
        ratio <= GOAL,
    )
    yield Figure(
        "runs",
        "the same, each call awaited by itself",
        VERDICTS / awaited,
        "verdicts/s",
        f"a bare asyncio loop: {VERDICTS / bare:.0f}/s",
        awaited / bare,
    )


class _Awaited(ConfiguredJudges):
    """Judges that are asked as if they were far away, also those that compute."""

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        return replace(super().at_work(definition), rule=None)


async def _run(file: Path, *, awaited: bool = False) -> float:
    """Seconds from CreateRun to the end that the run has; its watcher hears of that up to half a second later."""
    clock = SystemClock()
    store = SqlStore.open(f"sqlite:///{file}", clock=clock)
    judges = (_Awaited if awaited else ConfiguredJudges)(load(None), clock)
    engine = LocalEngine(store, judges, clock)
    await _fill(store)
    begun = clock.now()
    run = await RunLifecycle(store, engine, judges).create(TENANT, RunSpec("bench", ("longest",)), "", b"")
    watcher = Watcher(store, clock)
    async for now, _ in watcher.watch(TENANT, run.run_id, 0):
        run = now
    seconds = (run.end_time or math.inf) - begun
    await watcher.close()
    await engine.close()
    await judges.close()
    await store.close()
    if run.counts.by_status != {"ok": VERDICTS}:
        message = f"the run ended with {dict(run.counts.by_status)}"
        raise RuntimeError(message)
    return seconds


async def _fill(store: SqlStore) -> None:
    await store.create_dataset(TENANT, "bench")
    prompts = [Prompt(f"p{n}", (f"What is {n}? " * 10,)) for n in range(PROMPTS)]
    outputs = [
        Output(one.prompt_id, f"m{who}", (f"It is {one.prompt_id}, says {who}. " * (10 + who),))
        for one in prompts
        for who in range(CONTESTANTS)
    ]
    await store.add_prompts(TENANT, "bench", prompts, replace=False)
    for begin in range(0, len(outputs), 1000):
        await store.add_outputs(TENANT, "bench", outputs[begin : begin + 1000], replace=False)


def _rows(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What a run wrote, table by table, in its order."""
    with sqlite3.connect(file) as database:
        return {table: database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES}  # noqa: S608  # our own


async def _bare(schema: Path, file: Path, rows: dict[str, list[tuple[Any, ...]]]) -> float:
    """Seconds to judge and write as many rows with nothing around it."""
    thread = ThreadPoolExecutor(1)
    loop = asyncio.get_running_loop()
    database = await loop.run_in_executor(thread, _empty, schema, file)
    slots = asyncio.Semaphore(AT_ONCE)
    waiting: list[tuple[int, asyncio.Future[None]]] = []
    writing: asyncio.Task[None] | None = None

    async def judge_one(number: int) -> None:
        nonlocal writing
        async with slots:
            await asyncio.sleep(0)
            done = loop.create_future()
            waiting.append((number, done))
            if writing is None or writing.done():
                writing = loop.create_task(written())
            await done

    async def written() -> None:
        while waiting:
            group, waiting[:] = waiting[:GROUP], waiting[GROUP:]
            await loop.run_in_executor(thread, _write, database, rows, [number for number, _ in group])
            for _, done in group:
                done.set_result(None)

    begun = perf_counter()
    await asyncio.gather(*(judge_one(number) for number in range(VERDICTS)))
    seconds = perf_counter() - begun
    await loop.run_in_executor(thread, database.close)
    thread.shutdown()
    return seconds


def _empty(schema: Path, file: Path) -> sqlite3.Connection:
    with sqlite3.connect(schema) as source:
        made = [
            sql
            for (sql,) in source.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            )
        ]
    database = sqlite3.connect(file, isolation_level=None)
    for sql in made:
        database.execute(sql)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    return database


def _write(database: sqlite3.Connection, rows: dict[str, list[tuple[Any, ...]]], numbers: Sequence[int]) -> None:
    database.execute("BEGIN IMMEDIATE")
    for table, columns in rows.items():
        marks = ",".join("?" * len(columns[0]))
        database.executemany(f"INSERT INTO {table} VALUES ({marks})", [columns[number] for number in numbers])  # noqa: S608  # our own
    database.execute("COMMIT")
