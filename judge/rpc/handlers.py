"""What an interceptor gives back: a method's handler with something around its behaviour."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc


class Wrapped(grpc.RpcMethodHandler):  # type: ignore[type-arg]  # a plain class at run time
    """The *handler* of a method, called through *reply* or *replies*."""

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
        """The one reply of *behaviour* to a request, or to a stream of them."""

    @abstractmethod
    def replies(self, behaviour: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        """The stream of replies of *behaviour* to a request, or to a stream of them."""
