"""The limits of a server over a real socket: concurrent calls, deadlines, and calls without a limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from judge.api.v1 import agreement_service_pb2 as agreement_pb
from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import judge_service_pb2, ranking_service_pb2
from judge.api.v1 import run_service_pb2 as pb
from judge.app.local import running
from judge.domain.errors import DeadlinePassed, Draining
from judge.rpc import limits
from judge.rpc.errors import code_of, status_of
from judge.rpc.limits import Limit, LimitInterceptor, _LimitedHandler, limit_of
from judge_client import JudgeClient
from support.demo_data import settings


@pytest.fixture
async def address() -> Any:  # noqa: ANN401  # an async generator of one address
    async with running(settings(), store_url="sqlite://", listen=None) as bound:
        yield bound


class _Handler:
    def __init__(self, *, asks: bool, answers: bool) -> None:
        self.request_streaming, self.response_streaming = asks, answers


SERVICES = (ds, pb, judge_service_pb2, ranking_service_pb2, agreement_pb)


def test_deadlines_are_30_s_for_unary_calls_120_s_for_fits_and_60_s_without_progress_for_streams() -> None:
    """Unary calls have 30 s, fits 120 s, streams 60 s without progress; judging has the judge's deadline."""
    seconds: dict[tuple[str, float], set[str]] = {}
    for module in SERVICES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                handler = _Handler(asks=method.client_streaming, answers=method.server_streaming)
                limit = limit_of(handler, f"/{service.full_name}/{method.name}")
                seconds.setdefault((limit.kind, limit.seconds), set()).add(method.name)

    assert {kind for kind, _ in seconds} == {"unary", "fit", "judging", "judging stream", "upload", "stream"}
    assert {pair for pair in seconds if pair[0] in ("unary", "fit", "upload", "stream")} == {
        ("unary", 30.0),
        ("fit", 120.0),
        ("upload", 60.0),
        ("stream", 60.0),
    }
    assert {"RankBattles", "MeasureAgreement", "GetLeaderboard", "GetAgreement"} <= seconds["fit", 120.0]
    assert {"WatchRun", "StreamVerdicts", "ReadDataset"} <= seconds["stream", 60.0]
    assert {"CreateRun", "GetRun", "ListVerdicts"} <= seconds["unary", 30.0]


async def test_a_stream_with_no_progress_ends_and_one_that_goes_on_does_not() -> None:
    """Each message of a stream restarts its timeout."""
    seconds = 0.2

    async def replies(request: int, _: object) -> AsyncIterator[int]:
        for number in range(request):
            # Many steps that together take longer than a stream may go without progress.
            await asyncio.sleep(seconds / 4)
            yield number
        await asyncio.Event().wait()

    bounded = _LimitedHandler(grpc.unary_stream_rpc_method_handler(replies), LimitInterceptor(), Limit("s", 1, seconds))
    stream = bounded.unary_stream(8, _Context())
    seen = [await anext(stream) for _ in range(8)]

    with pytest.raises(DeadlinePassed):
        await anext(stream)
    assert seen == list(range(8))


class _Context:
    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def set_trailing_metadata(self, trailers: object) -> None:
        """Ignore the trailers."""


def test_nothing_forks() -> None:
    """No module of the service forks or uses a process pool, because a process forked next to gRPC died."""
    names = re.compile(r"multiprocessing|ProcessPoolExecutor|os\.fork")
    files = sorted((Path(limits.__file__).parents[1]).rglob("*.py"))

    assert len(files) > 100
    assert [path.name for path in files if names.search(path.read_text("utf-8"))] == []


async def test_limits_refuse_no_health_check(address: str) -> None:
    """While all upload slots are taken, another upload is refused, but other calls and health checks are answered."""
    held = asyncio.Event()

    async def rows() -> Any:  # noqa: ANN401  # an async generator of messages
        yield ds.UploadPromptsRequest(dataset="datasets/d", prompts=[ds.Prompt(prompt_id="p", turns=["q"])])
        await held.wait()

    async with JudgeClient(address) as client, grpc.aio.insecure_channel(address) as channel:
        await client.create_dataset("d")
        uploads = [client.datasets.UploadPrompts(rows()) for _ in range(limits.UPLOAD.calls)]
        # All uploads hold a slot once another upload is refused.
        async with asyncio.timeout(60):
            code = grpc.StatusCode.OK
            while code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                upload: Any = client.datasets.UploadPrompts(rows())
                done, _ = await asyncio.wait([asyncio.ensure_future(upload.code())], timeout=0.2)
                code = await upload.code() if done else grpc.StatusCode.OK
                if not done:
                    upload.cancel()
        health = health_pb2_grpc.HealthStub(channel)
        status = (await health.Check(health_pb2.HealthCheckRequest(service=""))).status
        others = [dataset.name async for dataset in client.list_datasets()]
        held.set()
        codes = {await upload.code() for upload in uploads}

    assert status == health_pb2.HealthCheckResponse.SERVING
    assert others == ["datasets/d"]
    assert codes == {grpc.StatusCode.OK}


def test_a_server_that_stops_says_unavailable_with_retry_info() -> None:
    """Calls that a stopping server ends or refuses get UNAVAILABLE with a retry delay."""
    error = Draining("the server is stopping; try again")

    kinds = {detail.type_url.rpartition(".")[2] for detail in status_of(error).details}
    assert code_of(error) is grpc.StatusCode.UNAVAILABLE
    assert kinds == {"ErrorInfo", "RetryInfo"}
