"""Real processes over real sockets: servers are killed, stopped or started twice, and clients disconnect."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from judge.api.v1 import run_service_pb2, verdict_pb2
from judge_client import JudgeClient, JudgeClientError
from support.service_process import Endpoint, Process, configure, environment, listening, serving, start_run

PROMPTS, CONTESTANTS, CONCURRENCY = 20, 3, 8
PLANNED = PROMPTS * CONTESTANTS * 2


async def _verdicts(client: JudgeClient, run: str) -> dict[int, str]:
    """Return the raw text of each stored verdict by position."""
    full = verdict_pb2.VERDICT_VIEW_FULL
    return {v.position: v.raw async for v in client.list_verdicts(run, view=full) if v.raw}


async def wait_for_settled(client: JudgeClient, run: str, n: int) -> None:
    async for snapshot in client.watch_run(run):
        if snapshot.counts.planned - snapshot.counts.pending >= n:
            return


async def test_law_4_a_killed_server_loses_nothing_and_repeats_only_what_was_in_flight(tmp_path: Path) -> None:
    """After kill -9 and a restart, the run finishes by itself and still has every verdict that a client saw."""
    endpoint = Endpoint(held_after=40)
    async with asyncio.timeout(90), listening(endpoint) as url:
        home = configure(tmp_path, url, concurrency=CONCURRENCY)
        async with serving(home) as first, JudgeClient(first.address) as client:
            run = await start_run(client, PROMPTS, "far")
            await endpoint.wait_until_holding(CONCURRENCY)
            await wait_for_settled(client, run, 40)
            seen = await _verdicts(client, run)
            await first.kill()
        endpoint.let_go()
        async with serving(home) as second, JudgeClient(second.address) as client:
            ended = await client.wait_run(run)
            kept = await _verdicts(client, run)

    assert len(seen) == 40
    assert seen.items() <= kept.items()
    assert (ended.state, ended.counts.by_status["ok"]) == (run_service_pb2.RUN_STATE_DONE, PLANNED)
    assert len(endpoint.calls) == PLANNED
    assert 0 < endpoint.repeated <= CONCURRENCY
    assert ended.counts.repeated == endpoint.repeated


async def test_sigterm_finishes_what_is_in_flight_and_exits_0(tmp_path: Path) -> None:
    """On SIGTERM health is NOT_SERVING, streams end as UNAVAILABLE, and calls in flight are stored and not repeated."""
    endpoint = Endpoint(held_after=40)
    async with asyncio.timeout(90), listening(endpoint) as url:
        home = configure(tmp_path, url, concurrency=CONCURRENCY)
        async with serving(home) as first, JudgeClient(first.address) as client:
            run = await start_run(client, PROMPTS, "far")
            await endpoint.wait_until_holding(CONCURRENCY)
            watched = asyncio.create_task(watch_until_error(client, run))
            await wait_for_settled(client, run, 40)
            first.child.send_signal(signal.SIGTERM)
            error = await watched
            async with _channel(first) as channel:
                asked = health_pb2.HealthCheckRequest(service="")
                ready = (await health_pb2_grpc.HealthStub(channel).Check(asked)).status
            in_flight = endpoint.holding
            endpoint.let_go()
            code = await first.wait_for_exit()
        async with serving(home) as second, JudgeClient(second.address) as client:
            ended = await client.wait_run(run)

    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert (ready, in_flight) == (health_pb2.HealthCheckResponse.NOT_SERVING, CONCURRENCY)
    assert code == 0
    assert ended.state == run_service_pb2.RUN_STATE_DONE
    assert (endpoint.repeated, len(endpoint.calls)) == (0, PLANNED)


async def watch_until_error(client: JudgeClient, run: str) -> JudgeClientError:
    with pytest.raises(JudgeClientError) as ended:
        async for _ in client.watch_run(run, reconnects=0):
            pass
    return ended.value


async def test_a_run_goes_on_when_its_client_goes_away(tmp_path: Path) -> None:
    """A run finishes although its client disconnects in the middle of WatchRun."""
    endpoint = Endpoint(held_after=10)
    async with asyncio.timeout(60), listening(endpoint) as url, serving(configure(tmp_path, url)) as server:
        async with JudgeClient(server.address) as client:
            run = await start_run(client, PROMPTS, "far")
            watching = asyncio.create_task(watch_until_error(client, run))
            await endpoint.wait_until_holding(8)
            watching.cancel()
        endpoint.let_go()
        async with JudgeClient(server.address) as client:
            ended = await client.wait_run(run)

    assert (ended.state, ended.counts.by_status["ok"]) == (run_service_pb2.RUN_STATE_DONE, PLANNED)


async def test_a_second_process_is_told_who_holds_the_store(tmp_path: Path) -> None:
    """A second server, or a command that executes a run, exits with 1 and one sentence that names the first process."""
    results = []
    async with asyncio.timeout(120), serving(configure(tmp_path)) as first:
        for command in (("serve", "--listen", "127.0.0.1:0"), ("run", "demo", "--judge", "longest")):
            second = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "judge.cli", *command),
                env=environment(tmp_path),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await second.communicate()
            results.append((second.returncode, out, err.decode()))

    for code, stdout, stderr in results:
        assert (code, stdout) == (1, b"")
        assert f"process {first.child.pid}" in stderr
        assert "--server" in stderr
        assert len(stderr.strip().splitlines()) == 1
    assert len(results) == 2


async def test_health_and_reflection_name_every_service(tmp_path: Path) -> None:
    """Health is SERVING for the empty name, liveness and each service; reflection lists the five services."""
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # noqa: PLC0415  # only here

    names = {f"judge.api.v1.{name}Service" for name in ("Dataset", "Run", "Judge", "Ranking", "Agreement")}
    async with asyncio.timeout(60), serving(configure(tmp_path)) as server, _channel(server) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        states = [
            (await health.Check(health_pb2.HealthCheckRequest(service=name))).status
            for name in ("", "liveness", *names)
        ]
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        replies = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
        listed = {service.name async for reply in replies for service in reply.list_services_response.service}

    assert set(states) == {health_pb2.HealthCheckResponse.SERVING}
    assert names <= listed


def _channel(server: Process) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(server.address)
