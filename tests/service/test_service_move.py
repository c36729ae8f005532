"""Moving a store to another database in the middle of a run with `judge store copy`, with real processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg

from judge.api.v1 import run_service_pb2
from judge_client import JudgeClient
from support.postgres import Postgres
from support.schemas import engine_of, fill, migrate_url
from support.service_process import Endpoint, configure, environment, listening, serving, start_run

PROMPTS, CONCURRENCY = 20, 8
PLANNED = PROMPTS * 3 * 2
HOLD = 77
BLOCKED = f"""
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_lock({HOLD}); RETURN NEW; END';
    CREATE TRIGGER wait BEFORE INSERT ON tenant FOR EACH ROW EXECUTE FUNCTION wait();
"""


@asynccontextmanager
async def copying(home: Path, source: str, target: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `judge store copy`, which is killed on exit if it still runs."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "judge.cli", "store", "copy", source, target),
        env=environment(home),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def copy_store(home: Path, source: str, target: str) -> tuple[int | None, str, str]:
    """Run `judge store copy` to its end and return its exit code, stdout and stderr."""
    async with copying(home, source, target) as child:
        out, err = await child.communicate()
        return child.returncode, out.decode(), err.decode()


async def test_a_run_goes_on_after_its_store_was_moved(tmp_path: Path, server: Postgres) -> None:
    """A run killed on SQLite and moved to PostgreSQL finishes there; at most the calls in flight are repeated."""
    endpoint = Endpoint(held_after=40)
    source = f"sqlite:///{tmp_path / 'judge.db'}"
    with server.fresh() as target:
        async with asyncio.timeout(180), listening(endpoint) as url:
            home = configure(tmp_path, url, concurrency=CONCURRENCY)
            async with serving(home) as first, JudgeClient(first.address) as client:
                run = await start_run(client, PROMPTS, "far")
                await endpoint.wait_until_holding(CONCURRENCY)
                held = await copy_store(home, source, target)
                await first.kill()
            endpoint.let_go()
            moved = await copy_store(home, source, target)
            config = (home / "judge.toml").read_text("utf-8")
            (home / "judge.toml").write_text(f'store_url = "{target}"\n{config}', "utf-8")
            async with serving(home) as second, JudgeClient(second.address) as client:
                ended = await client.wait_run(run)

    assert (1, "") == held[:2]
    assert f"is held by process {first.child.pid}" in held[2]
    assert (0, "") == (moved[0], moved[2])
    assert "call_attempt" in moved[1]
    assert (run_service_pb2.RUN_STATE_DONE, PLANNED) == (ended.state, ended.counts.by_status["ok"])
    assert len(endpoint.calls) == PLANNED
    assert 0 < endpoint.repeated <= CONCURRENCY
    assert ended.counts.repeated == endpoint.repeated


async def test_a_copy_that_is_killed_half_way_leaves_nothing(tmp_path: Path, server: Postgres) -> None:
    """If a copy is killed, PostgreSQL has none of its rows, and the next copy is complete."""
    source = f"sqlite:///{tmp_path / 'judge.db'}"
    migrate_url(source)
    with engine_of(source).connect() as connection:
        fill(connection)
        connection.commit()
    home = configure(tmp_path)

    with server.fresh() as target, psycopg.connect(target, autocommit=True) as watching:
        watching.execute(BLOCKED)
        watching.execute("SELECT pg_advisory_lock(%s)", [HOLD])
        async with asyncio.timeout(120), copying(home, source, target) as child:
            assert child.stdout is not None
            lines = [await child.stdout.readline() for _ in range(15)]
            child.kill()
            await child.wait()
        others = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'judge'"
        watching.execute(f"{others} AND datname = current_database()")
        left = watching.execute("SELECT (SELECT count(*) FROM answer), (SELECT count(*) FROM run)").fetchone()
        watching.execute("DROP TRIGGER wait ON tenant")
        async with asyncio.timeout(120):
            code, out, _ = await copy_store(home, source, target)
        whole = watching.execute("SELECT (SELECT count(*) FROM answer), (SELECT count(*) FROM run)").fetchone()

    assert all(b" 2 rows" in line for line in lines)
    assert (0, 0) == left
    assert (0, (2, 2)) == (code, whole)
    assert "total" in out
