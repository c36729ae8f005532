"""The error of a failed call, and how a gRPC error becomes one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from judge_client.channel import Method
from judge_client.connection_problems import find_problem

DETAILS = "grpc-status-details-bin"
CONNECTION_REFUSED = "CONNECTION_REFUSED"
"""The reason of an error about TLS between the client and the server, which no retry can help."""


class JudgeClientError(Exception):
    """A call failed.

    *code* is gRPC's. *reason* is the service's, in UPPER_SNAKE, and empty if it gave none. *fields* says what the
    error is about.
    """

    def __init__(
        self, message: str, code: grpc.StatusCode, reason: str = "", fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.fields = dict(fields or {})


def error_of(error: grpc.aio.AioRpcError) -> JudgeClientError:
    """Convert a gRPC error, with the reason and fields of the google.rpc.Status in its trailers."""
    message = error.details() or error.code().name
    reason, fields = "", dict[str, str]()
    for key, value in error.trailing_metadata() or ():
        if key != DETAILS or not isinstance(value, bytes):
            continue
        try:
            status = status_pb2.Status.FromString(value)
        except DecodeError:
            continue
        message = status.message or message
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Is(info.DESCRIPTOR):
                detail.Unpack(info)
                reason, fields = info.reason, dict(info.metadata)
    return JudgeClientError(message, error.code(), reason, fields)


@asynccontextmanager
async def translate_errors(method: object) -> AsyncIterator[None]:
    """Convert a gRPC error of *method* that is raised inside to a JudgeClientError.

    If the connection failed, the error says what is wrong with TLS, when that is why.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        problem = ""
        translated = error_of(error)
        if error.code() is grpc.StatusCode.UNAVAILABLE and not translated.reason and isinstance(method, Method):
            problem = await asyncio.to_thread(find_problem, method.endpoint)
        raise JudgeClientError(problem, error.code(), CONNECTION_REFUSED) if problem else translated from None
