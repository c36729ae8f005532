"""The methods of the API by their descriptors, and calls of any of them with raw bodies."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from judge.api.v1 import (
    agreement_service_pb2,
    dataset_service_pb2,
    judge_service_pb2,
    ranking_service_pb2,
    run_service_pb2,
)

_FILES = (dataset_service_pb2, run_service_pb2, judge_service_pb2, ranking_service_pb2, agreement_service_pb2)
_SERVICES: list[ServiceDescriptor] = [
    service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()
]
METHODS: list[MethodDescriptor] = [method for service in _SERVICES for method in service.methods]
"""All methods of the API."""


def path_of(method: MethodDescriptor) -> str:
    """Return the path by which gRPC calls a method."""
    return f"/{method.containing_service.full_name}/{method.name}"


def request_of(method: MethodDescriptor, texts: dict[str, str]) -> Message:
    """Return a request whose text fields have the values that *texts* has for their names."""
    request = GetMessageClass(method.input_type)()
    for field in method.input_type.fields:
        if field.name in texts and field.type == field.TYPE_STRING and not field.is_repeated:
            setattr(request, field.name, texts[field.name])
    return request


async def call(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    request: Message,
    metadata: Any = (),  # noqa: ANN401  # as gRPC has it
) -> grpc.aio.AioRpcError | None:
    """Call a method of any kind with one request, and return its error; None if it succeeds."""
    make: Any = getattr(
        channel,
        f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}",
    )
    requests = iter([request]) if method.client_streaming else request
    answer = make(path_of(method), request_serializer=lambda message: message.SerializeToString())(
        requests, metadata=metadata, timeout=20
    )
    try:
        if method.server_streaming:
            _ = [reply async for reply in answer]
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error
    return None
