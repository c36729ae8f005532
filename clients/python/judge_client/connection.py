"""The channel to a service."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from grpc import aio

MESSAGE_BYTES = 16 * 1024 * 1024
"""The largest message in either direction."""
OPTIONS = (("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES))


class Connection:
    """A channel to *address* (`HOST:PORT` or `unix:/path`), which is open inside `async with`.

    *timeout* is the deadline of a single call in seconds. Streams have none.
    """

    def __init__(self, address: str, *, timeout: float | None = None) -> None:
        self.address = address
        self.timeout = timeout
        self._channel: aio.Channel | None = None

    @property
    def channel(self) -> aio.Channel:
        """The open channel. Raises RuntimeError outside of `async with`."""
        if self._channel is None:
            message = "the client is not open; use `async with JudgeClient(...)`"
            raise RuntimeError(message)
        return self._channel

    async def __aenter__(self) -> Self:
        self._channel = aio.insecure_channel(self.address, options=OPTIONS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
