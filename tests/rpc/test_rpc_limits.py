"""The limits of calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from judge.api.v1 import run_service_pb2 as pb
from judge.domain.errors import Busy, DeadlinePassed, Draining
from judge.rpc.limits import REQUEST_ID, Limit, LimitInterceptor, _LimitedHandler
from judge_client import JudgeClient


class _Context:
    """The part of a call's context that the limits use."""

    def __init__(self) -> None:
        self.trailers: tuple[tuple[str, str], ...] = ()

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((REQUEST_ID, "mine"),)

    def set_trailing_metadata(self, trailers: tuple[tuple[str, str], ...]) -> None:
        self.trailers = trailers


async def _forever(limits: LimitInterceptor, limit: Limit, begun: asyncio.Event, *, streams: bool = False) -> None:
    with limits.call(limit, _Context(), streams=streams):
        begun.set()
        await asyncio.Event().wait()


async def test_a_call_that_takes_too_long_is_ended() -> None:
    """After its time limit a call ends as DeadlinePassed, and its slot is free again."""
    limits, limit = LimitInterceptor(), Limit("unary", 1, 0.001)

    for _ in range(2):
        with pytest.raises(DeadlinePassed):
            await _forever(limits, limit, asyncio.Event())


async def test_patience_multiplies_the_time_of_a_call() -> None:
    """The message names the time that the call had."""
    with pytest.raises(DeadlinePassed, match=r"no progress for 0\.002 s"):
        await _forever(LimitInterceptor(patience=20.0), Limit("unary", 1, 0.0001), asyncio.Event())


async def test_one_call_too_many_is_refused() -> None:
    """While all slots of a kind are taken, another call of that kind is refused; other kinds have their own slots."""
    limits, begun = LimitInterceptor(), asyncio.Event()
    first = asyncio.create_task(_forever(limits, Limit("unary", 1, 60), begun))
    await begun.wait()

    with pytest.raises(Busy, match="1 unary calls are already running"):
        await _forever(limits, Limit("unary", 1, 60), asyncio.Event())
    with pytest.raises(DeadlinePassed):
        await _forever(limits, Limit("fit", 1, 0.001), asyncio.Event())
    first.cancel()


async def test_draining_ends_streams_and_refuses_calls() -> None:
    """Draining ends a running stream, lets a running call go on, and refuses a new call."""
    limits, limit = LimitInterceptor(), Limit("any", 9, 60)
    begun = [asyncio.Event(), asyncio.Event()]
    stream = asyncio.create_task(_forever(limits, limit, begun[0], streams=True))
    call = asyncio.create_task(_forever(limits, limit, begun[1]))
    await asyncio.gather(*(event.wait() for event in begun))

    limits.drain()

    with pytest.raises(Draining):
        await stream
    with pytest.raises(Draining):
        await _forever(limits, limit, asyncio.Event())
    assert not call.done()
    call.cancel()


async def test_a_stream_that_is_sending_is_drained_after_it_has_sent() -> None:
    """Draining does not cancel gRPC's write of a reply: the stream raises Draining in place of the next reply."""

    async def replies(request: str, _: object) -> AsyncIterator[str]:
        yield request
        yield request

    handler: Any = grpc.unary_stream_rpc_method_handler(replies)
    limits = LimitInterceptor()
    stream = _LimitedHandler(handler, limits, Limit("stream", 1, 60)).unary_stream("said", _Context())
    first = await anext(stream)

    limits.drain()
    await asyncio.sleep(0)

    assert first == "said"
    with pytest.raises(Draining):
        await anext(stream)


async def test_a_caller_that_goes_away_is_no_error_of_ours() -> None:
    """A call that its caller cancels ends as cancelled, not as an error."""
    limits, begun = LimitInterceptor(), asyncio.Event()
    call = asyncio.create_task(_forever(limits, Limit("unary", 1, 60), begun))
    await begun.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("name", ["runs/none", "nonsense"])
async def test_every_answer_carries_its_request_id(client: JudgeClient, name: str) -> None:
    """The request id that the caller sent comes back in the trailers, also with the details of an error."""
    call: Any = client.runs.GetRun(pb.GetRunRequest(name=name), metadata=((REQUEST_ID, "mine"),))

    trailers = dict(await call.trailing_metadata())

    assert trailers[REQUEST_ID] == "mine"
    assert "grpc-status-details-bin" in trailers
    assert await call.code() != grpc.StatusCode.OK


async def test_a_call_without_a_request_id_gets_one(client: JudgeClient) -> None:
    call: Any = client.runs.ListRuns(pb.ListRunsRequest())

    assert len(dict(await call.trailing_metadata())[REQUEST_ID]) == 32
