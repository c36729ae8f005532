"""What bounds a call: how many there are of its kind, how long it may take, and the server's own end.

Health checks and reflection are never bounded. A deadline of the caller's own holds too: gRPC sees to it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from judge.domain.errors import Busy, DeadlinePassed, Draining, JudgeError
from judge.rpc.handlers import Wrapped

OURS = "/judge.api.v1."
REQUEST_ID = "x-request-id"
REQUEST_ID_LENGTH = 128


@dataclass(frozen=True)
class Limit:
    """At most *calls* of a kind at once; each may take *seconds*, or as a stream be without progress so long."""

    kind: str
    calls: int
    seconds: float


UNARY = Limit("unary", 512, 30.0)
FIT = Limit("fit", 64, 120.0)
JUDGING = Limit("judging", 256, 150.0)
JUDGING_STREAM = Limit("judging stream", 64, 150.0)
UPLOAD = Limit("upload", 64, 60.0)
STREAM = Limit("stream", 20_000, 60.0)
BY_METHOD: Mapping[str, Limit] = {
    "GetLeaderboard": FIT,
    "RankBattles": FIT,
    "GetAgreement": FIT,
    "MeasureAgreement": FIT,
    "EstimateRun": FIT,
    "ReparseRun": FIT,
    "JudgeComparison": JUDGING,
    "JudgeComparisons": JUDGING_STREAM,
}


def limit_of(handler: Any, method: str) -> Limit:
    """The limit of a *method* by its name, else by its kind."""
    if (named := BY_METHOD.get(method.rpartition("/")[2])) is not None:
        return named
    return STREAM if handler.response_streaming else UPLOAD if handler.request_streaming else UNARY


class _Call:
    """A call at work: ends it from outside, and says why."""

    def __init__(self, seconds: float) -> None:
        self._task = asyncio.current_task()
        self._seconds = seconds
        self._timer = self._armed()
        self._sending = False
        self.why: JudgeError | None = None

    def _armed(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._seconds, self._late)

    def _late(self) -> None:
        self.end(DeadlinePassed(f"no progress for {self._seconds:g} s"), sending=True)

    def progressed(self) -> None:
        """Begin to count anew."""
        self._timer.cancel()
        self._timer = self._armed()

    def end(self, why: JudgeError, *, sending: bool = False) -> None:
        """Cancel the call's task; the caller is told *why*.

        A task cancelled while gRPC is *sending* its reply ends without a word: only a caller that takes nothing is
        left like that. Any other is told once its reply has gone.
        """
        if self.why is None and self._task is not None:
            self.why = why
            if sending or not self._sending:
                self._task.cancel()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While gRPC has the reply."""
        self._sending = True
        yield
        self._sending = False
        if self.why is not None:
            raise self.why

    def close(self) -> None:
        self._timer.cancel()


class LimitInterceptor(grpc.aio.ServerInterceptor):
    """Bounds every call of ours, gives each an id in logs and trailers, and ends streams when the server drains."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._streams: set[_Call] = set()
        self._draining = False

    def drain(self) -> None:
        """Take no new call, and end every stream; other calls may finish."""
        self._draining = True
        for call in list(self._streams):
            call.end(Draining("the server is stopping; try again"))

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler, bounded."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(OURS):
            return handler
        return _Bounded(handler, self, limit_of(handler, method))

    @contextmanager
    def call(self, limit: Limit, context: Any, *, streams: bool) -> Iterator[_Call]:
        """Count the call in, or raise what refuses it."""
        if self._draining:
            raise Draining("the server is stopping; try again")
        if self._running[limit.kind] >= limit.calls:
            raise Busy(f"{limit.calls} {limit.kind} calls are at work; try again", reason="TOO_MANY_CALLS")
        request_id = _request_id(context)
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        structlog.contextvars.bind_contextvars(request_id=request_id)
        call = _Call(limit.seconds)
        self._running[limit.kind] += 1
        if streams:
            self._streams.add(call)
        try:
            yield call
        except asyncio.CancelledError:
            if call.why is None:
                raise
            raise call.why from None
        finally:
            call.close()
            self._streams.discard(call)
            self._running[limit.kind] -= 1


class _Bounded(Wrapped):
    def __init__(self, handler: Any, limits: LimitInterceptor, limit: Limit) -> None:
        super().__init__(handler)
        self._limits, self._limit = limits, limit

    async def reply(self, behaviour: Any, request: Any, context: Any) -> Any:
        with self._limits.call(self._limit, context, streams=self.request_streaming) as call:
            return await behaviour(self._counted(request, call), context)

    async def replies(self, behaviour: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        with self._limits.call(self._limit, context, streams=True) as call:
            async for reply in behaviour(self._counted(request, call), context):
                call.progressed()
                with call.sending():
                    yield reply
                call.progressed()

    def _counted(self, request: Any, call: _Call) -> Any:
        return _counted(request, call) if self.request_streaming else request


async def _counted(requests: AsyncIterator[Any], call: _Call) -> AsyncIterator[Any]:
    async for request in requests:
        call.progressed()
        yield request


def _request_id(context: Any) -> str:
    """The caller's own id if it sent one that fits a header, else a new one."""
    said = next((value for key, value in context.invocation_metadata() or () if key == REQUEST_ID), "")
    fits = isinstance(said, str) and 0 < len(said) <= REQUEST_ID_LENGTH and said.isascii() and said.isprintable()
    return said if fits else uuid.uuid4().hex
