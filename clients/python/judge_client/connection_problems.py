"""Why a connection failed, where gRPC often says only that the socket was closed.

After a failed call, a connection of our own tries the same: with TLS if the client uses it, or else to see whether the
server expects it.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from judge_client.security import SOCKETS, Security, host_and_port

SECONDS = 3.0
"""How long each step may take."""
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""How a client of gRPC begins. A server that refuses the client's certificate says so only afterwards."""
EXPIRED, NOT_YET = 10, 9
WRONG_NAMES = (62, 64)
"""OpenSSL's codes for a certificate of another host name or address."""
PLAINTEXT = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
"""OpenSSL's reasons when what answers does not speak TLS."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The address of a server and how it is reached. *security* is None for credentials of the caller's own."""

    address: str
    security: Security | None


def find_problem(endpoint: Endpoint) -> str:
    """Return in a sentence what is wrong with TLS at *endpoint*; "" if that is not the problem. It may block."""
    if endpoint.security is None:
        return ""
    try:
        with _connect(endpoint.address) as raw:
            if endpoint.security.uses_tls:
                return _tls_problem(raw, endpoint.address, endpoint.security)
            return _plaintext_problem(raw, endpoint.address)
    except (OSError, ValueError):
        # The server cannot be reached at all, and gRPC says why.
        return ""


def _connect(address: str) -> socket.socket:
    if address.startswith(SOCKETS):
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(SECONDS)
        try:
            raw.connect(address.removeprefix("unix:").removeprefix("//"))
        except OSError:
            raw.close()
            raise
        return raw
    host, port = host_and_port(address)
    return socket.create_connection((host, int(port or 443)), SECONDS)


def _plaintext_problem(raw: socket.socket, address: str) -> str:
    """Return a sentence if the server expects TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent: it only matters whether the server answers in TLS.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        context.wrap_socket(raw).close()
    except ssl.SSLError as error:
        if "ALERT" not in (error.reason or ""):
            return ""
    return f"{address} expects TLS, and this client does not use it: use --tls, or tls=True"


def _tls_problem(raw: socket.socket, address: str, security: Security) -> str:
    """Return a sentence if the handshake fails, or the server refuses the client's certificate."""
    context = ssl.create_default_context(cafile=security.ca)
    context.set_alpn_protocols(["h2"])
    if security.cert is not None:
        context.load_cert_chain(security.cert, security.key)
    host = host_and_port(address)[0] if not address.startswith(SOCKETS) else "localhost"
    try:
        with context.wrap_socket(raw, server_hostname=host) as encrypted:
            encrypted.sendall(HTTP2)
            answered = encrypted.recv(1) != b""
    except ssl.SSLCertVerificationError as error:
        return _certificate_problem(address, host, error)
    except ssl.SSLError as error:
        return _handshake_problem(address, security, error.reason or "")
    except ConnectionError:
        answered = False
    # gRPC's servers close the connection of a client that they do not accept, and send no alert.
    return "" if answered else _refusal(address, security)


def _certificate_problem(address: str, host: str, error: ssl.SSLCertVerificationError) -> str:
    """Return what is wrong with the server's certificate."""
    if error.verify_code in WRONG_NAMES:
        return (
            f"the certificate of {address} is not for {host}: use a name that it is for, or have it issued for {host}"
        )
    if error.verify_code == EXPIRED:
        return f"the certificate of {address} has expired: it must be renewed on the server"
    if error.verify_code == NOT_YET:
        return f"the certificate of {address} is not valid yet: compare the clocks of both machines"
    return (
        f"the certificate of {address} is not trusted ({error.verify_message}): give the certificate of the authority "
        f"that issued it with --ca FILE, or ca=..."
    )


def _handshake_problem(address: str, security: Security, reason: str) -> str:
    """Return what OpenSSL's *reason* for a failed handshake means; "" if it means nothing to us."""
    if reason in PLAINTEXT:
        return f"{address} does not use TLS, and this client does: leave out --tls and its files, or set tls=False"
    return _refusal(address, security) if "ALERT" in reason else ""


def _refusal(address: str, security: Security) -> str:
    if security.cert is None:
        return f"{address} requires a client certificate: give --cert FILE and --key FILE, or cert=... and key=..."
    why = "it has expired, or is not from an authority that the server trusts"
    return f"{address} refused the client certificate {security.cert}: {why}"
