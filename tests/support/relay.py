"""A way between a process and what it stands on, which can be closed for a while, or lose an answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MANY = 65536
COMMITTED = b"COMMIT\0"


class Relay:
    """Passes on what comes, both ways. While it is not `open` it keeps everything, and nobody is told why."""

    def __init__(self, onward: Callable[[], Awaitable[Way]]) -> None:
        self._onward = onward
        self._ways: set[asyncio.Task[None]] = set()
        self.open = asyncio.Event()
        self.open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on between whoever came and where the way leads, until one of them ends it."""
        mine = asyncio.current_task()
        assert mine is not None
        self._ways.add(mine)
        try:
            await self.open.wait()
            far_reader, far_writer = await self._onward()
            ways = [
                asyncio.create_task(self.there(reader, far_writer)),
                asyncio.create_task(self.back(far_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Before anything is waited for: whoever closes the relay may interrupt that.
                far_writer.transport.abort()
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._ways.discard(mine)

    async def there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what is asked."""
        while data := await reader.read(MANY):
            await self.open.wait()
            writer.write(data)
            await writer.drain()

    async def back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what is answered."""
        await self.there(reader, writer)

    async def close(self) -> None:
        """End every way."""
        ways = list(self._ways)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


class Unheard(Relay):
    """The way to a PostgreSQL: of a `share` of all commits nobody hears, for there the connection is lost."""

    def __init__(self, onward: Callable[[], Awaitable[Way]], rng: random.Random) -> None:
        super().__init__(onward)
        self._rng = rng
        self.share = 0.0
        self.unheard = 0

    async def back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on message after message, until one is lost."""
        while True:
            try:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
            except asyncio.IncompleteReadError:
                return
            if head[:1] == b"C" and body == COMMITTED and self._rng.random() < self.share:
                self.unheard += 1
                return
            writer.write(head + body)
            await writer.drain()


@asynccontextmanager
async def relayed(address: str) -> AsyncIterator[tuple[Relay, str]]:
    """A way to *address* over loopback, and its own address."""
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
async def unheard(socket: Path, mine: Path, rng: random.Random) -> AsyncIterator[Unheard]:
    """A way to the PostgreSQL that listens at *socket*, at a socket *mine* of its own."""
    relay = Unheard(lambda: asyncio.open_unix_connection(socket), rng)
    server = await asyncio.start_unix_server(relay.serve, mine)
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
        await server.wait_closed()
