"""A base class for interceptors: a method's handler, wrapped."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc


class Wrapped(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # a plain class at run time
    """Wraps the *handler* of a method; subclasses implement `reply` and `replies`."""

    def __init__(self, handler: Any) -> None:
        self.request_streaming = handler.request_streaming
        self.response_streaming = handler.response_streaming
        self.request_deserializer = handler.request_deserializer
        self.response_serializer = handler.response_serializer
        self.unary_unary = handler.unary_unary and partial(self.reply, handler.unary_unary)
        self.stream_unary = handler.stream_unary and partial(self.reply, handler.stream_unary)
        self.unary_stream: Any = handler.unary_stream and partial(self.replies, handler.unary_stream)
        self.stream_stream: Any = handler.stream_stream and partial(self.replies, handler.stream_stream)

    @abstractmethod
    async def reply(self, behaviour: Any, request: Any, context: Any) -> Any:
        """Return the reply of *behaviour* to a request or to a stream of requests."""

    @abstractmethod
    def replies(self, behaviour: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        """Yield the replies of *behaviour* to a request or to a stream of requests."""
