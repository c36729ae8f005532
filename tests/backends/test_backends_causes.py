"""Why an endpoint gave no answer is said in words, the same for every backend over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType

import anthropic
import httpx2
import openai
import pytest
from aiohttp import client_exceptions, http_exceptions

from judge.backends.anthropic import Anthropic
from judge.backends.causes import cause_of
from judge.backends.http import Endpoint
from judge.backends.openai import OpenAI
from judge.backends.vllm import Vllm
from judge.domain.errors import TransportFailed
from judge.ports.backend import Backend
from support.example_prompts import prompt

MAKE: Mapping[str, Callable[[Endpoint], Backend]] = {
    "anthropic": lambda endpoint: Anthropic("m", endpoint),
    "openai": lambda endpoint: OpenAI("m", endpoint),
    "vllm": lambda endpoint: Vllm("m", endpoint),
}


async def failure_at(vendor: str, url: str) -> TransportFailed:
    """Return the error of a call to *url*."""
    backend = MAKE[vendor](Endpoint(url, api_key="k", timeout_seconds=0.2, connect_timeout_seconds=5))
    try:
        with pytest.raises(TransportFailed) as caught:
            await backend.reply(prompt())
    finally:
        await backend.close()
    return caught.value


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()


async def keep_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("vendor", MAKE)
async def test_a_refused_connection_is_called_so(vendor: str) -> None:
    """Some SDKs call it a timeout."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

    failure = await failure_at(vendor, f"http://127.0.0.1:{port}/v1")

    assert failure.message == "the endpoint gave no answer: connection refused"
    assert (failure.maybe_paid, failure.unsent) == (False, True)


@pytest.mark.parametrize("vendor", MAKE)
@pytest.mark.parametrize(
    ("behavior", "cause"),
    [
        (hang_up, "the connection was closed before an answer came"),
        (keep_silent, "no data in time"),
    ],
)
async def test_a_server_that_does_not_answer(
    vendor: str,
    behavior: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    cause: str,
) -> None:
    """It is said whether the connection was closed or stayed silent."""
    connections: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())  # type: ignore[arg-type]  # this task
        await behavior(reader, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        failure = await failure_at(vendor, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        await asyncio.gather(*connections)

    assert failure.message == f"the endpoint gave no answer: {cause}"


def verification_error() -> ssl.SSLCertVerificationError:
    """Return the error for a certificate that nobody signed."""
    return ssl.SSLCertVerificationError(
        1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)"
    )


@pytest.mark.parametrize(
    ("innermost", "cause"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name not resolved"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to the host"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "no route to the host"),
        (verification_error(), "certificate not trusted (self-signed certificate)"),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "no secure connection; is its address https?",
        ),
        (ValueError("a surprise"), "the connection failed"),
        (TimeoutError(), "no answer in time"),
        (OSError(errno.EADDRNOTAVAIL, "no port"), "this machine has no free port or address for the connection"),
    ],
)
def test_the_innermost_error_names_the_cause(innermost: Exception, cause: str) -> None:
    """Whatever wraps it, and as a cause or a context."""
    try:
        try:
            raise innermost
        except Exception as error:
            raise TimeoutError("Request timed out.") from error
    except TimeoutError as outermost:
        words = cause_of(outermost)

    assert cause == words


def errors_of(*libraries: ModuleType) -> list[type[BaseException]]:
    """Return all classes of errors in *libraries*."""
    classes = [each for library in libraries for each in list(vars(library).values()) if isinstance(each, type)]
    errors = {each for each in classes if issubclass(each, BaseException)}
    return sorted(errors, key=lambda each: (each.__module__, each.__qualname__))


LIBRARIES = (client_exceptions, http_exceptions, httpx2, openai, anthropic, ssl, socket, asyncio, zlib)


@pytest.mark.parametrize("kind", errors_of(*LIBRARIES), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_error_of_a_library_is_called_by_the_name_of_its_class(kind: type[BaseException]) -> None:
    """Every error that a client of HTTP can raise has words, alone and behind the one of an SDK."""
    error = kind.__new__(kind)
    wrapped = openai.APIConnectionError(request=httpx2.Request("POST", "http://127.0.0.1"))
    wrapped.__cause__ = error

    for words in (cause_of(error), cause_of(wrapped)):
        assert words
        assert not re.search(r"[a-z][A-Z]|Error|Exception|Timeout", words)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (http_exceptions.BadHttpMessage("x"), "the answer is not valid HTTP"),
        (http_exceptions.BadStatusLine("x"), "the answer is not valid HTTP"),
        (http_exceptions.LineTooLong("x"), "a header of the answer is too long"),
        (http_exceptions.InvalidHeader("x"), "a header of the answer is not valid HTTP"),
        (http_exceptions.TransferEncodingError("zz"), "the answer is not valid HTTP: its chunks cannot be read"),
        (
            http_exceptions.TransferEncodingError("Not enough data to satisfy transfer length header."),
            "the connection was closed in the middle of the answer",
        ),
        (http_exceptions.ContentEncodingError("x"), "the answer cannot be decompressed"),
        (client_exceptions.ServerFingerprintMismatch(b"", b"", "h", 1), "certificate not trusted"),
        (httpx2.UnsupportedProtocol("x"), "its address is not http or https"),
        (httpx2.LocalProtocolError("x"), "the request cannot be sent; are extra_headers valid?"),
    ],
)
def test_what_an_answer_that_is_not_http_is_called(error: Exception, cause: str) -> None:
    """Whatever raises it, it says what is wrong with the answer."""
    assert cause_of(error) == cause


def test_a_failure_of_the_proxy_is_called_so() -> None:
    """Otherwise the endpoint would be looked for in vain."""
    error = client_exceptions.ClientProxyConnectionError.__new__(client_exceptions.ClientProxyConnectionError)
    error.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    assert cause_of(error) == "at the proxy, connection refused"
