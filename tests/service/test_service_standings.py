"""Watching a run with its standings, which are marked as interim until the run has ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

from judge.api.v1 import run_service_pb2
from judge_client import JudgeClient
from support.service_process import Endpoint, configure, listening, serving, start_run

PROMPTS, CONCURRENCY = 20, 8
PLANNED = PROMPTS * 3 * 2
HELD = 40


async def test_standings_are_interim_until_the_run_has_ended(tmp_path: Path) -> None:
    """Interim standings use the verdicts so far; the last snapshot's standings equal GetLeaderboard's."""
    endpoint = Endpoint(held_after=HELD)
    async with asyncio.timeout(90), listening(endpoint) as url:
        home = configure(tmp_path, url, concurrency=CONCURRENCY)
        async with serving(home) as process, JudgeClient(process.address) as client:
            run = await start_run(client, PROMPTS, "far", "longest")
            seen = []
            async for snapshot in client.watch_standings(run):
                seen.append(snapshot)
                if HELD + PLANNED <= snapshot.run.counts.planned - snapshot.run.counts.pending:
                    endpoint.let_go()
            final = [
                await client.leaderboard("d", f"run:{run.removeprefix('runs/')}/{name}") for name in ("far", "longest")
            ]

    *before, last = seen
    interim = [leaderboard for snapshot in before for leaderboard in snapshot.interim]
    assert interim
    assert {leaderboard.interim for leaderboard in interim} == {True}
    assert any(0 < leaderboard.coverage.usable < leaderboard.coverage.planned for leaderboard in interim)
    assert last.run.state == run_service_pb2.RUN_STATE_DONE
    assert [leaderboard.interim for leaderboard in last.interim] == [False, False]
    assert list(last.interim) == final
