"""What a call can end with.

JudgeClientError        the service, or the way to it, said no: a gRPC code, a reason for programs, a sentence
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DETAILS = "grpc-status-details-bin"


class JudgeClientError(Exception):
    """A call failed: gRPC *code*, *reason* in UPPER_SNAKE (empty if the service gave none), *fields* it is about."""

    def __init__(
        self, message: str, code: grpc.StatusCode, reason: str = "", fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.fields = dict(fields or {})


def error_of(error: grpc.aio.AioRpcError) -> JudgeClientError:
    """What the service said, read from the google.rpc.Status in the trailers of *error*."""
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


@contextmanager
def translated() -> Iterator[None]:
    """Turns a gRPC error into ours."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise error_of(error) from None
