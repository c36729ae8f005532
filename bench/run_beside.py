"""A run of 10,000 comparisons in both orders with an instant judge, next to a bare asyncio loop that writes its rows.

The judge is a baseline judge. It runs once as usual, as a rule that judges all granted presentations at once, and
once like a remote judge: each call is rendered and has a task, a deadline, retries and a rate limit.

The bare loop starts with the finished rows. For each row it makes a task that awaits a judge, and it commits rows in
groups with the driver, in a thread, into the same tables with the same indexes and the same sync. It does not render,
parse or check anything, and needs no permits.
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

from figures import Figure, interleaved, progress

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
    """Measure the time of the run relative to the bare loop."""
    progress(f"runs: {VERDICTS:,} verdicts of an instant judge, next to a bare loop over the same rows")
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
        bench="runs",
        figure="local engine on SQLite",
        value=VERDICTS / mine,
        unit="verdicts/s",
        peer=f"a bare asyncio loop: {VERDICTS / bare:.0f}/s",
        ratio=ratio,
        goal=f"<= {GOAL} x its time",
        met=ratio <= GOAL,
    )
    yield Figure(
        bench="runs",
        figure="the same, each call awaited by itself",
        value=VERDICTS / awaited,
        unit="verdicts/s",
        peer=f"a bare asyncio loop: {VERDICTS / bare:.0f}/s",
        ratio=awaited / bare,
    )


class _RemoteJudges(ConfiguredJudges):
    """Judges that are all called like remote judges, even those that only compute."""

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        return replace(super().at_work(definition), rule=None)


async def _run(file: Path, *, awaited: bool = False) -> float:
    """Return the seconds from CreateRun to the run's end time. A watcher sees the end up to half a second later."""
    clock = SystemClock()
    store = SqlStore.open(f"sqlite:///{file}", clock=clock)
    judges = (_RemoteJudges if awaited else ConfiguredJudges)(load(None), clock)
    engine = LocalEngine(store, judges, clock)
    await _fill(store)
    begin = clock.now()
    run = await RunLifecycle(store, engine, judges).create(TENANT, RunSpec("bench", ("longest",)), "", b"")
    watcher = Watcher(store, clock)
    async for now, _ in watcher.watch(TENANT, run.run_id, 0):
        run = now
    seconds = (run.end_time or math.inf) - begin
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
        Output(prompt.prompt_id, f"m{who}", (f"It is {prompt.prompt_id}, says {who}. " * (10 + who),))
        for prompt in prompts
        for who in range(CONTESTANTS)
    ]
    await store.add_prompts(TENANT, "bench", prompts, replace=False)
    for begin in range(0, len(outputs), 1000):
        await store.add_outputs(TENANT, "bench", outputs[begin : begin + 1000], replace=False)


def _rows(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that a run wrote, by table and in order."""
    with sqlite3.connect(file) as database:
        return {table: database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES}  # noqa: S608  # our own


async def _bare(schema: Path, file: Path, rows: dict[str, list[tuple[Any, ...]]]) -> float:
    """Return the seconds that a bare loop needs to judge and write the same rows."""
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
                writing = loop.create_task(write_groups())
            await done

    async def write_groups() -> None:
        while waiting:
            group, waiting[:] = waiting[:GROUP], waiting[GROUP:]
            await loop.run_in_executor(thread, _write, database, rows, [number for number, _ in group])
            for _, done in group:
                done.set_result(None)

    begin = perf_counter()
    await asyncio.gather(*(judge_one(number) for number in range(VERDICTS)))
    seconds = perf_counter() - begin
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
