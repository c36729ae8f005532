"""Calls over a channel. Errors of gRPC become JudgeClientError."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, TypeVar

from grpc import aio

from judge_client.errors import translate_errors

Q = TypeVar("Q")
R = TypeVar("R")
BROKEN = "Internal error from Core"
"""The details of gRPC's error for a write to a call that has ended, until gRPC knows how the call ended."""
PATIENCE = 100
"""How often the end of a call is asked for, once every 10 ms."""


async def unary(method: aio.UnaryUnaryMultiCallable[Q, R], request: Q, timeout: float | None) -> R:  # noqa: ASYNC109  # gRPC's own deadline
    """Return the reply to *request*. *timeout* is in seconds; None means no deadline."""
    async with translate_errors(method):
        return await method(request, timeout=timeout)


async def pages(method: aio.UnaryUnaryMultiCallable[Any, R], request: Any, timeout: float | None) -> AsyncIterator[R]:  # noqa: ANN401, ASYNC109  # any List request; gRPC's own deadline
    """Yield the pages of a List request. *timeout* is in seconds and applies to each page."""
    while True:
        page = await unary(method, request, timeout)
        yield page
        request.page_token = getattr(page, "next_page_token")  # noqa: B009  # every List reply has it, no base class says so
        if not request.page_token:
            return


async def stream(method: aio.UnaryStreamMultiCallable[Q, R], request: Q) -> AsyncIterator[R]:
    """Yield the replies to *request*. Leaving early cancels the call."""
    call = method(request)
    try:
        async with translate_errors(method):
            async for reply in call:
                yield reply
    finally:
        call.cancel()


async def duplex(method: aio.StreamStreamMultiCallable[Q, R], requests: AsyncIterable[Q]) -> AsyncIterator[R]:
    """Yield the replies to *requests*, which are sent while replies are read. Leaving early cancels the call."""
    call: Any = method()

    async def write() -> None:
        async for request in requests:
            await call.write(request)
        await call.done_writing()

    writing = asyncio.ensure_future(write())
    try:
        async with translate_errors(method):
            async for reply in call:
                yield reply
        if not writing.done() or writing.exception() is None:
            return
        # Reading the requests failed, not the call, which would wait for further requests forever.
        raise writing.exception() or AssertionError
    finally:
        writing.cancel()
        call.cancel()


async def upload(method: aio.StreamUnaryMultiCallable[Q, R], requests: AsyncIterable[Q]) -> R:
    """Send *requests* one after another and return the reply to all of them.

    They are not passed to gRPC as an iterator, so an error in reading them is raised as it is, not as a cancelled call.
    """
    call: Any = method()
    try:
        async with translate_errors(method):
            try:
                reply: R = await _send(call, requests)
            except aio.AioRpcError as error:
                raise (await _final_error(call) if error.details() == BROKEN else error) from None
            return reply
    finally:
        call.cancel()


async def _send(call: Any, requests: AsyncIterable[Any]) -> Any:  # noqa: ANN401  # gRPC's call objects are untyped
    try:
        async for request in requests:
            await call.write(request)
        await call.done_writing()
    except asyncio.InvalidStateError:
        # The service has ended the call; its reply says why.
        if not call.done():
            raise
    return await call


async def _final_error(call: Any) -> aio.AioRpcError:  # noqa: ANN401  # as above
    """Wait until gRPC knows how *call* ended, and return that error."""
    for _ in range(PATIENCE):
        if await call.details() != BROKEN:
            break
        await asyncio.sleep(0.01)
    return aio.AioRpcError(
        await call.code(), aio.Metadata(), await call.trailing_metadata() or aio.Metadata(), await call.details()
    )
