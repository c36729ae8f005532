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

CLOSED: Final = "the connection was closed before an answer came"
CUT: Final = "the connection was closed in the middle of the answer"
LATE: Final = "no answer in time"
UNREADABLE: Final = "the answer is not valid HTTP"
_BY_ERRNO: Final[Mapping[int, str]] = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the host",
    errno.EHOSTDOWN: "no route to the host",
    errno.ECONNRESET: CLOSED,
    errno.EPIPE: CLOSED,
    errno.ECONNABORTED: CLOSED,
    errno.ENOTCONN: CLOSED,
    errno.ESHUTDOWN: CLOSED,
    errno.ETIMEDOUT: "no connection in time",
    errno.EACCES: "the system does not permit the connection",
    errno.EPERM: "the system does not permit the connection",
    errno.EMFILE: "this process has too many open files",
    errno.ENFILE: "this machine has too many open files",
    errno.ENOENT: "there is no such socket",
    errno.EADDRNOTAVAIL: "this machine has no free port or address for the connection",
    errno.EADDRINUSE: "this machine has no free port or address for the connection",
    errno.ENETDOWN: "the network is down",
    errno.ENETRESET: CLOSED,
    errno.ENOBUFS: "this machine has no memory for the connection",
    errno.ENOMEM: "this machine has no memory for the connection",
    errno.EINVAL: "its address is not valid",
    errno.EAFNOSUPPORT: "this machine has no such network",
}
UNKNOWN: Final = "the connection failed"
"""What is said of an error that is not in the tables. The name of a class means nothing to a user."""
_BY_NAME: Final[Mapping[str, str]] = {
    "ClientConnectorDNSError": "name not resolved",
    "ClientConnectorCertificateError": "certificate not trusted",
    "ServerFingerprintMismatch": "certificate not trusted",
    "ClientSSLError": "no secure connection; is its address https?",
    "ConnectionTimeoutError": "no connection in time",
    "ConnectTimeout": "no connection in time",
    "PoolTimeout": "no free connection in time",
    "SocketTimeoutError": "no data in time",
    "ServerTimeoutError": "no data in time",
    "ReadTimeout": "no data in time",
    "WriteTimeout": "no data accepted in time",
    "TimeoutException": LATE,
    "APITimeoutError": LATE,
    "ConnectError": "no connection",
    "ProxyError": "the proxy gave no connection",
    "ClientHttpProxyError": "the proxy gave no connection",
    "ServerDisconnectedError": CLOSED,
    "ReadError": CLOSED,
    "WriteError": CLOSED,
    "CloseError": CLOSED,
    "UploadAbortedError": CLOSED,
    "IncompleteReadError": CUT,
    "ContentLengthError": CUT,
    "LineTooLong": "a header of the answer is too long",
    "InvalidHeader": "a header of the answer is not valid HTTP",
    "BadStatusLine": UNREADABLE,
    "TransferEncodingError": f"{UNREADABLE}: its chunks cannot be read",
    "ContentEncodingError": "the answer cannot be decompressed",
    "DecompressSizeError": "the answer is too large when it is decompressed",
    "DecodingError": "the answer cannot be decompressed",
    "HttpProcessingError": UNREADABLE,
    "ClientPayloadError": CUT,
    "RemoteProtocolError": CLOSED,
    "LocalProtocolError": "the request cannot be sent; are extra_headers valid?",
    "TooManyRedirects": "too many redirects",
    "InvalidURL": "its address is not valid",
    "NonHttpUrlClientError": "its address is not http or https",
    "UnsupportedProtocol": "its address is not http or https",
    "UnicodeError": "its address is not valid",
    "APIResponseValidationError": "the answer cannot be read",
    "StreamError": "the answer cannot be read",
    "ContentTypeError": "the answer cannot be read",
    "SSEError": "the answer cannot be read",
    "herror": "name not resolved",
}
"""Errors of HTTP libraries, by the names of their classes: the libraries are imported where they are used."""
_CUT_WORDS: Final = "Not enough data"
"""How a library says that an answer ended early, with the error for one whose chunks cannot be read."""
_PROXY: Final = "ClientProxyConnectionError"
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
    # Some SDKs call every failure a timeout, so only the innermost error can be one.
    unknown = LATE if isinstance(links[0], TimeoutError) else UNKNOWN
    words = next((words for link in links if (words := _words(link))), unknown)
    return f"at the proxy, {words}" if any(type(link).__name__ == _PROXY for link in links) else words


def _words(error: BaseException) -> str:
    """Return what one error of a chain says, or nothing."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _REASON.search(" ".join(map(str, error.args)))
        return "certificate not trusted" + (f" ({reason[1]})" if reason else "")
    if isinstance(error, ssl.SSLError):
        return "no secure connection; is its address https?"
    if isinstance(error, socket.gaierror):
        return "name not resolved"
    if _CUT_WORDS in str(getattr(error, "message", "")):
        return CUT
    known = next((_BY_NAME[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _BY_NAME), "")
    if not known and isinstance(error, OSError):
        known = _BY_ERRNO.get(error.errno or 0, "")
    if not known and isinstance(error, ConnectionError):
        known = CLOSED
    return known
