"""Why a connection gave no answer, in words. Every backend over HTTP asks here, whatever its SDK calls the error.

An SDK wraps the error of its HTTP client, and that the error of the library below it. Some report every failure as a
timeout, so the whole chain of causes is searched, from the innermost outwards.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Final

_BY_ERRNO: Final[Mapping[int, str]] = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the host",
    errno.EHOSTDOWN: "no route to the host",
    errno.ECONNRESET: "the connection was closed before an answer came",
    errno.EPIPE: "the connection was closed before an answer came",
    errno.ECONNABORTED: "the connection was closed before an answer came",
    errno.ETIMEDOUT: "no connection in time",
    errno.EACCES: "the system does not permit the connection",
    errno.EPERM: "the system does not permit the connection",
    errno.EMFILE: "this process has too many open files",
    errno.ENOENT: "there is no such socket",
}
_BY_NAME: Final[Mapping[str, str]] = {
    "ClientConnectorDNSError": "name not resolved",
    "ClientConnectorCertificateError": "certificate not trusted",
    "ConnectionTimeoutError": "no connection in time",
    "ConnectTimeout": "no connection in time",
    "PoolTimeout": "no free connection in time",
    "SocketTimeoutError": "no data in time",
    "ReadTimeout": "no data in time",
    "WriteTimeout": "no data accepted in time",
    "ServerDisconnectedError": "the connection was closed before an answer came",
    "ClientPayloadError": "the connection was closed in the middle of the answer",
    "RemoteProtocolError": "the connection was closed before an answer came",
    "TooManyRedirects": "too many redirects",
    "InvalidURL": "its address is not valid",
}
"""Errors of HTTP libraries, by the names of their classes: the libraries are imported where they are used."""
_REASON: Final = re.compile(r"certificate verify failed: (.*?)(?: \(_ssl|$)")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error*, and then each cause behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def cause_of(error: BaseException) -> str:
    """Return why a connection failed with *error*. It contains neither the request nor the key.

    >>> cause_of(ConnectionRefusedError(111, "Connect call failed"))
    'connection refused'
    """
    links = list(chain(error))[::-1]
    return next((words for link in links if (words := _words(link))), type(links[0]).__name__)


def _words(error: BaseException) -> str:
    """Return what one error of a chain says, or nothing."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _REASON.search(str(error))
        return "certificate not trusted" + (f" ({reason[1]})" if reason else "")
    if isinstance(error, ssl.SSLError):
        return "no secure connection; is its address https?"
    if isinstance(error, socket.gaierror):
        return "name not resolved"
    known = next((_BY_NAME[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _BY_NAME), "")
    if not known and isinstance(error, OSError):
        known = _BY_ERRNO.get(error.errno or 0, "")
    if not known and isinstance(error, ConnectionError):
        known = "the connection was closed before an answer came"
    return known
