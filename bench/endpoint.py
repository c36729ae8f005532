"""A cheap endpoint in a process of its own that answers every POST after a fixed time, on persistent connections.

usage: endpoint.py MILLISECONDS; prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sys

MESSAGE = {"role": "assistant", "content": "So: [[A]]"}
CHAT = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE, "logprobs": None}],
        "usage": {"prompt_tokens": 600, "completion_tokens": 5, "total_tokens": 605},
    }
).encode()
ANTHROPIC = json.dumps(
    {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "So: [[A]]"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 600, "output_tokens": 5},
    }
).encode()


class AnsweringProtocol(asyncio.Protocol):
    """One connection: reads requests by their Content-Length and answers each after a delay."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport for replies."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            body = ANTHROPIC if b"/messages" in head.split(b"\r\n", 1)[0] else CHAT
            asyncio.get_running_loop().call_later(self._seconds, self._answer, body)

    def _answer(self, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


async def main(milliseconds: float) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(
        lambda: AnsweringProtocol(milliseconds / 1000), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
