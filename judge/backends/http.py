"""What backends over HTTP share: the endpoint, the headers that are sent, and how much of an answer is read.

Nothing here depends on one vendor's API. The environment adds no headers. The body of an answer is bounded before and
after decompression, so that neither a large answer nor a compressed bomb fills the memory.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from judge.backends.causes import cause_of, chain
from judge.backends.failures import no_reply
from judge.domain.errors import NO_ANSWER, CallFailed, ReplyTooLarge, TransportFailed
from judge.ports.reply_memory import LARGE_BYTES, reserve_memory

CONNECT_SECONDS: Final = 10.0
"""How long a connection may take to be made, by default."""
_UNSENT: Final = frozenset(("ClientConnectorError", "ConnectionTimeoutError", "ClientHttpProxyError"))
"""The errors of aiohttp, by name as in causes.py, after which nothing was sent."""
REPLY_BYTES: Final = 4 << 20
"""The most bytes of an answer to one call that are read, decompressed."""
RESULTS_BYTES: Final = 256 << 20
"""The most bytes of the results of a batch that are read, decompressed."""
ACCEPT_ENCODING: Final = "gzip, deflate"
"""The encodings that can be bounded while they are decompressed."""
_KEPT_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "accept", "connection"})
_ANY_ZLIB, _RAW_DEFLATE = 47, -15
_GZIP = b"\x1f\x8b"
"""What zlib calls a stream with a header of gzip or zlib, and one without."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a judge's API, its key (may be empty), and limits.

    *timeout_seconds* is how long a connection may be silent.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    timeout_seconds: float = 120.0
    connect_timeout_seconds: float = CONNECT_SECONDS
    max_connections: int = 1000
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers of each request."""
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Further fields of each request for a reply."""
    api_version: str = ""
    """Azure's version of the API, which also takes the key in a header of its own."""
    further_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Secrets in *headers* and *body*."""
    proxy: str = field(default="", repr=False)
    """The address of the HTTP proxy through which requests go. It may have a password."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may contain."""
        return tuple(secret for secret in (self.api_key, *self.further_secrets, self.proxy) if secret)


def own_headers(headers: Mapping[str, str]) -> Callable[[Any], Awaitable[None]]:
    """Return a hook for an HTTP client that sends only *headers* and what HTTP itself needs.

    It removes the telemetry of SDKs and headers from the environment.
    """

    async def hook(request: Any) -> None:  # noqa: ANN401  # either SDK's request
        for name in list(request.headers):
            if name.lower() not in _KEPT_HEADERS:
                del request.headers[name]
        request.headers.update({**headers, "Accept-Encoding": ACCEPT_ENCODING})

    return hook


def silence_loggers(*loggers: str) -> None:
    """Turn an SDK's *loggers* off, whatever the environment sets: at debug level they print judged texts."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def request_errors() -> tuple[type[BaseException], ...]:
    """Return the errors with which aiohttp says that a request got no answer that it can read."""
    import aiohttp  # noqa: PLC0415  # imported only if there is such a judge

    return aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError


def no_answer(error: BaseException) -> CallFailed:
    """Return our error for a call that got no answer because of *error*, or the error of ours behind it.

    The call may have been paid, unless a cause of the error is in _UNSENT: then the request was never sent, as if the
    connection was refused, or the name or the certificate of the host is wrong.
    """
    for link in chain(error):
        if isinstance(link, CallFailed):
            return link
    # The HTTP client may report a connection that was cut after sending as a failed connect. So the whole chain of
    # causes is searched for an error of the library below it, which reports this correctly.
    sent = not any(kind.__name__ in _UNSENT for link in chain(error) for kind in type(link).__mro__)
    return TransportFailed(f"{NO_ANSWER}{cause_of(error)}", maybe_paid=sent, unsent=not sent)


async def bounded(chunks: AsyncIterator[bytes], encoding: str, most: int) -> AsyncIterator[bytes]:
    """Yield the body in *chunks*, decompressed from the content-encoding *encoding*, up to *most* bytes.

    A body that turns out to be large waits until there is memory for it.

    Raises:
        ReplyTooLarge: The body is larger, compressed or not.
        TransportFailed: The body is damaged or cut, or has an encoding that was not asked for.
    """
    decode = _decoder(encoding.strip().lower())
    received = given = 0
    async for chunk in chunks:
        received += len(chunk)
        data = decode(chunk, most - given + 1)
        if given <= LARGE_BYTES < given + len(data):
            await reserve_memory(most)
        given += len(data)
        if received > most or given > most:
            raise too_large(most)
        yield data
    if decode(b"", 1):
        raise no_reply("the endpoint's answer is cut off")


def too_large(most: int) -> ReplyTooLarge:
    """Return the error for a body of more than *most* bytes."""
    return ReplyTooLarge(f"the endpoint's answer is larger than {most >> 20} MiB, so it was not read to its end")


def _decoder(encoding: str) -> Callable[[bytes, int], bytes]:
    """Return a function that decompresses a chunk to at most so many bytes.

    Given an empty chunk at the end of the body, it returns a byte if the compressed stream is not complete.
    """
    if encoding in ("", "identity"):
        return lambda chunk, _: chunk
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise no_reply("the endpoint's answer is compressed in a way that was not asked for")
    inflaters = [zlib.decompressobj(_ANY_ZLIB)]
    started = False

    def decode(chunk: bytes, most_bytes: int) -> bytes:
        nonlocal started
        if not chunk:
            return b"" if inflaters[0].eof or not started else b"?"
        try:
            data = inflaters[0].decompress(chunk, most_bytes)
            # A gzip file may have several members, one after the other.
            while (rest := inflaters[0].unused_data) and rest.startswith(_GZIP) and len(data) < most_bytes:
                inflaters[0] = zlib.decompressobj(_ANY_ZLIB)
                data += inflaters[0].decompress(rest, most_bytes - len(data))
        except zlib.error:
            if started or encoding != "deflate":
                raise no_reply("the endpoint's answer cannot be decompressed") from None
            inflaters[0] = zlib.decompressobj(_RAW_DEFLATE)
            data = _raw(inflaters[0], chunk, most_bytes)
        started = True
        return data

    return decode


def _raw(inflater: zlib._Decompress, chunk: bytes, most_bytes: int) -> bytes:
    """Return the first chunk of a stream without a header, decompressed."""
    try:
        return inflater.decompress(chunk, most_bytes)
    except zlib.error:
        raise no_reply("the endpoint's answer cannot be decompressed") from None


def encodable(text: str) -> str:
    """Return *text* without lone surrogates, which JSON can escape but UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()


def storable(text: str) -> str:
    """Return *text* without lone surrogates and NUL, which some databases cannot store."""
    return encodable(text).replace("\0", "\N{REPLACEMENT CHARACTER}")
