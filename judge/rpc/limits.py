"""Limits on calls: how many of a kind run at once, and how long one may take.

Health checks and reflection have no limits. The caller's own deadline applies too; gRPC enforces it.
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

from judge.access.tokens import CALLER
from judge.domain.errors import Busy, DeadlinePassed, Draining, JudgeError
from judge.domain.token import TOKEN, Token
from judge.rpc.handlers import Wrapped

OURS = "/judge.api.v1."
REQUEST_ID = "x-request-id"
REQUEST_ID_LENGTH = 128


@dataclass(frozen=True)
class Limit:
    """At most *calls* of a kind run at once. Each may take *seconds*; a stream may make no progress for that long."""

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
    """Return the limit of a *method*, by its name or else by its kind."""
    if (named := BY_METHOD.get(method.rpartition("/")[2])) is not None:
        return named
    return STREAM if handler.response_streaming else UPLOAD if handler.request_streaming else UNARY


class _Call:
    """A running call, which can be ended from outside with a reason."""

    def __init__(self, seconds: float) -> None:
        self._task = asyncio.current_task()
        self._seconds = seconds
        self._timer = self._start_timer()
        self._sending = False
        self.caller = CALLER.get()
        self.why: JudgeError | None = None

    def _start_timer(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._seconds, self._late)

    def _late(self) -> None:
        self.end(DeadlinePassed(f"no progress for {self._seconds:g} s"), sending=True)

    def note_progress(self) -> None:
        """Restart the timer."""
        self._timer.cancel()
        self._timer = self._start_timer()

    def end(self, why: JudgeError, *, sending: bool = False) -> None:
        """Cancel the call's task, and tell the caller *why*.

        A task that is cancelled while gRPC is *sending* its reply cannot say why. Only a caller that reads nothing ends
        like that; for others, the call ends after the reply has been sent.
        """
        if self.why is None and self._task is not None:
            self.why = why
            if sending or not self._sending:
                self._task.cancel()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Mark the time during which gRPC sends a reply."""
        self._sending = True
        yield
        self._sending = False
        if self.why is not None:
            raise self.why

    def close(self) -> None:
        self._timer.cancel()


class LimitInterceptor(grpc.aio.ServerInterceptor):
    """Applies limits, gives each call an id in logs and trailers, and ends streams when the server drains."""

    def __init__(self, patience: float = 1.0) -> None:
        """*patience* multiplies the seconds of each limit."""
        self._patience = patience
        self._running: Counter[str] = Counter()
        self._streams: set[_Call] = set()
        self._draining = False

    def drain(self) -> None:
        """Refuse new calls and end all streams; other calls may finish."""
        self._draining = True
        for call in list(self._streams):
            call.end(Draining("the server is shutting down; try again"))

    def end_streams(self, problem: Callable[[Token | None], JudgeError | None]) -> None:
        """End each stream whose caller has a *problem* by now."""
        for call in list(self._streams):
            if (why := problem(call.caller)) is not None:
                call.end(why)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler with its limit."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(OURS):
            return handler
        return _LimitedHandler(handler, self, limit_of(handler, method))

    @contextmanager
    def call(self, limit: Limit, context: Any, *, streams: bool) -> Iterator[_Call]:
        """Count a running call. Raises Busy or Draining if it is refused."""
        if self._draining:
            raise Draining("the server is shutting down; try again")
        if self._running[limit.kind] >= limit.calls:
            raise Busy(f"{limit.calls} {limit.kind} calls are already running; try again", reason="TOO_MANY_CALLS")
        identity = request_id(context)
        context.set_trailing_metadata(((REQUEST_ID, identity),))
        structlog.contextvars.bind_contextvars(request_id=identity)
        call = _Call(limit.seconds * self._patience)
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


class _LimitedHandler(Wrapped):
    def __init__(self, handler: Any, limits: LimitInterceptor, limit: Limit) -> None:
        super().__init__(handler)
        self._limits, self._limit = limits, limit

    async def reply(self, behaviour: Any, request: Any, context: Any) -> Any:
        with self._limits.call(self._limit, context, streams=self.request_streaming) as call:
            return await behaviour(self._count_progress(request, call), context)

    async def replies(self, behaviour: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        with self._limits.call(self._limit, context, streams=True) as call:
            async for reply in behaviour(self._count_progress(request, call), context):
                call.note_progress()
                with call.sending():
                    yield reply
                call.note_progress()

    def _count_progress(self, request: Any, call: _Call) -> Any:
        return _count_progress(request, call) if self.request_streaming else request


async def _count_progress(requests: AsyncIterator[Any], call: _Call) -> AsyncIterator[Any]:
    async for request in requests:
        call.note_progress()
        yield request


def request_id(context: Any) -> str:
    """Return the caller's request id if it is valid in a header and holds no token, else a new one."""
    sent = next((value for key, value in context.invocation_metadata() or () if key == REQUEST_ID), "")
    fits = isinstance(sent, str) and 0 < len(sent) <= REQUEST_ID_LENGTH and sent.isascii() and sent.isprintable()
    return sent if fits and not TOKEN.search(sent) else uuid.uuid4().hex
