"""Translates the service's errors into gRPC statuses with google.rpc details, by one table."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from judge.domain import errors
from judge.log.events import logger
from judge.rpc.handlers import Wrapped
from judge.rpc.texts import check_texts
from judge.stats.errors import StatisticsError

DOMAIN = "judge.api.v1"
CODES: dict[type[errors.JudgeError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Precondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    errors.Busy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Draining: grpc.StatusCode.UNAVAILABLE,
    errors.StoreFailed: grpc.StatusCode.UNAVAILABLE,
    errors.CallFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TransportFailed: grpc.StatusCode.UNAVAILABLE,
}
RETRY_SECONDS = 1
log = logger("rpc")


class _Undecodable:
    """Stands for a request body that could not be decoded."""


UNDECODABLE = _Undecodable()


def code_of(error: errors.JudgeError) -> grpc.StatusCode:
    """Return the status code of *error*: that of its nearest ancestor in the table."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), grpc.StatusCode.INTERNAL)


def status_of(error: errors.JudgeError) -> status_pb2.Status:
    """Return *error* as a google.rpc.Status with its details."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.fields)
    details = [_pack(info)]
    if isinstance(error, errors.InvalidInput):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        details.append(_pack(error_details_pb2.BadRequest(field_violations=[violation])))
    if isinstance(error, (errors.Busy, errors.StoreFailed, errors.Draining)):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromSeconds(RETRY_SECONDS)
        details.append(_pack(retry))
    return status_pb2.Status(code=code_of(error).value[0], message=error.message, details=details)


def _pack(message: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: errors.JudgeError) -> NoReturn:
    """End a call with *error*."""
    status = status_of(error).SerializeToString()
    # Keep the trailers that are already set, such as the request id.
    trailers = (*(context.trailing_metadata() or ()), ("grpc-status-details-bin", status))
    await context.abort(code_of(error), error.message, trailers)
    raise AssertionError


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Translates errors, answers an undecodable body with INVALID_ARGUMENT, and never lets a traceback out."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler with its errors translated."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        return _TranslatingHandler(handler, handler_call_details.method)


class _TranslatingHandler(Wrapped):
    def __init__(self, handler: Any, method: str) -> None:
        super().__init__(handler)
        self.request_deserializer = _lenient_deserializer(handler.request_deserializer)
        self._method = method

    async def reply(self, behaviour: Any, request: Any, context: Any) -> Any:
        async with _translate_errors(context, self._method):
            return await behaviour(self._decoded(request), context)

    async def replies(self, behaviour: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        async with _translate_errors(context, self._method):
            made = behaviour(self._decoded(request), context)
            if inspect.isawaitable(made):
                # It writes its replies itself, like Watch of the health service.
                await made
                return
            async for reply in made:
                yield reply

    def _decoded(self, request: Any) -> Any:
        if self.request_streaming:
            return _check_requests(request)
        check_texts(_check_request(request))
        return request


@contextlib.asynccontextmanager
async def _translate_errors(context: Any, method: str) -> AsyncIterator[None]:
    """End the call with the status of an error that is raised inside. Unexpected errors are logged."""
    try:
        yield
    except errors.JudgeError as error:
        await abort(context, error)
    except StatisticsError as error:
        await abort(context, errors.InvalidInput("request", str(error)))
    except (asyncio.CancelledError, grpc.aio.AbortError):
        raise
    except Exception:
        log.exception("call.failed", method=method)
        await abort(context, errors.JudgeError("an unexpected error; see the server's log"))


async def _check_requests(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _check_request(request)


def _check_request(request: Any) -> Any:
    if request is UNDECODABLE:
        raise errors.InvalidInput(
            "body", "the request body is not a valid message of this method", reason="UNDECODABLE"
        )
    return request


def _lenient_deserializer(deserialize: Any) -> Any:
    def attempt(body: bytes) -> Any:
        try:
            return deserialize(body)
        except Exception:  # noqa: BLE001  # whatever the decoder raises, the body is invalid
            return UNDECODABLE

    return attempt if deserialize else None
