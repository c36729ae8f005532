"""One call over the channel, with its errors translated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, TypeVar

from grpc import aio

from judge_client.errors import translated

Q = TypeVar("Q")
R = TypeVar("R")
BROKEN = "Internal error from Core"
"""What gRPC says of a write that met a call already ended, before it has heard how the call ended."""
PATIENCE = 100
"""How often, each 10 ms, the ending is asked for."""


async def unary(method: aio.UnaryUnaryMultiCallable[Q, R], request: Q, timeout: float | None) -> R:  # noqa: ASYNC109  # gRPC's own deadline
    """The reply to *request*."""
    with translated():
        return await method(request, timeout=timeout)


async def pages(method: aio.UnaryUnaryMultiCallable[Any, R], request: Any, timeout: float | None) -> AsyncIterator[R]:  # noqa: ANN401, ASYNC109  # any List request; gRPC's own deadline
    """The replies to *request* page by page, until one has no next page."""
    while True:
        page = await unary(method, request, timeout)
        yield page
        request.page_token = getattr(page, "next_page_token")  # noqa: B009  # every List reply has it, no base class says so
        if not request.page_token:
            return


async def stream(method: aio.UnaryStreamMultiCallable[Q, R], request: Q) -> AsyncIterator[R]:
    """The replies to *request*; leaving early cancels the call."""
    call = method(request)
    try:
        with translated():
            async for reply in call:
                yield reply
    finally:
        call.cancel()


async def duplex(method: aio.StreamStreamMultiCallable[Q, R], requests: AsyncIterable[Q]) -> AsyncIterator[R]:
    """The replies to *requests*, which are written while replies are read; leaving early cancels the call."""
    call: Any = method()

    async def write() -> None:
        async for request in requests:
            await call.write(request)
        await call.done_writing()

    writing = asyncio.ensure_future(write())
    try:
        with translated():
            async for reply in call:
                yield reply
        if not writing.done() or writing.exception() is None:
            return
        # Reading the requests failed, and not the call: it would wait for more of them for ever.
        raise writing.exception() or AssertionError
    finally:
        writing.cancel()
        call.cancel()


async def upload(method: aio.StreamUnaryMultiCallable[Q, R], requests: AsyncIterable[Q]) -> R:
    """The reply to all *requests*, each sent when the one before it was taken.

    They are written one by one, and not handed to gRPC as an iterator, so that an error in reading the rows comes
    out as itself and not as a cancelled call.
    """
    call: Any = method()
    try:
        with translated():
            try:
                reply: R = await _sent(call, requests)
            except aio.AioRpcError as error:
                raise (await _told(call) if error.details() == BROKEN else error) from None
            return reply
    finally:
        call.cancel()


async def _sent(call: Any, requests: AsyncIterable[Any]) -> Any:  # noqa: ANN401  # gRPC's call objects are untyped
    try:
        async for request in requests:
            await call.write(request)
        await call.done_writing()
    except asyncio.InvalidStateError:
        # The service ended the call already; its answer says why.
        if not call.done():
            raise
    return await call


async def _told(call: Any) -> aio.AioRpcError:  # noqa: ANN401  # as above
    """How *call* ended, once gRPC has heard it."""
    for _ in range(PATIENCE):
        if await call.details() != BROKEN:
            break
        await asyncio.sleep(0.01)
    return aio.AioRpcError(
        await call.code(), aio.Metadata(), await call.trailing_metadata() or aio.Metadata(), await call.details()
    )
