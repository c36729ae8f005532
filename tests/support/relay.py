"""A relay between a process and a server it depends on. It can block the connection for a while or lose replies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CHUNK_BYTES = 65536
COMMITTED = b"COMMIT\0"


class Relay:
    """Passes data on in both directions. While `open` is not set, it silently holds everything back."""

    def __init__(self, onward: Callable[[], Awaitable[Connection]]) -> None:
        self._onward = onward
        self._connections: set[asyncio.Task[None]] = set()
        self.open = asyncio.Event()
        self.open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection until either side closes it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self.open.wait()
            far_reader, far_writer = await self._onward()
            directions = [
                asyncio.create_task(self.forward(reader, far_writer)),
                asyncio.create_task(self.backward(far_reader, writer)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Abort before the first await, because closing the relay may interrupt it.
                far_writer.transport.abort()
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on requests."""
        while data := await reader.read(CHUNK_BYTES):
            await self.open.wait()
            writer.write(data)
            await writer.drain()

    async def backward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on replies."""
        await self.forward(reader, writer)

    async def close(self) -> None:
        """Close every connection."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class LossyRelay(Relay):
    """A relay to PostgreSQL that drops the connection instead of confirming a commit, for a `share` of all commits."""

    def __init__(self, onward: Callable[[], Awaitable[Connection]], rng: random.Random) -> None:
        super().__init__(onward)
        self._rng = rng
        self.share = 0.0
        self.lost_commits = 0

    async def backward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on messages one by one, until the confirmation of a commit is dropped."""
        while True:
            try:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
            except asyncio.IncompleteReadError:
                return
            if head[:1] == b"C" and body == COMMITTED and self._rng.random() < self.share:
                self.lost_commits += 1
                return
            writer.write(head + body)
            await writer.drain()


@asynccontextmanager
async def relaying(address: str) -> AsyncIterator[tuple[Relay, str]]:
    """Run a relay to *address* on loopback, and yield it with its own address."""
    host, _, port = address.rpartition(":")
    relay = Relay(lambda: asyncio.open_connection(host, int(port)))
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    try:
        yield relay, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await relay.close()
        await server.wait_closed()


@asynccontextmanager
async def losing_commits(socket: Path, own_socket: Path, rng: random.Random) -> AsyncIterator[LossyRelay]:
    """Run a lossy relay to the PostgreSQL that listens at *socket*. The relay listens at *own_socket*."""
    relay = LossyRelay(lambda: asyncio.open_unix_connection(socket), rng)
    server = await asyncio.start_unix_server(relay.serve, own_socket)
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
        await server.wait_closed()
