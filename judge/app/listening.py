"""How `judge serve` may listen: what a network needs, and what is plain on this machine.

A loopback address and a Unix socket need neither TLS nor tokens. Any other address needs both, unless the settings
allow it to be insecure; each start then warns.
"""

from __future__ import annotations

import grpc

from judge.config.addresses import loopback
from judge.config.listening import TlsSettings
from judge.config.settings import Settings
from judge.domain.errors import InvalidInput
from judge.log.events import logger
from judge.rpc.certificates import CertificateFiles, Certificates
from judge.rpc.server import ListenOptions

SOCKETS = ("unix:", "unix-abstract:")


def is_local(address: str) -> bool:
    """Whether only this machine can reach *address*.

    >>> [is_local(address) for address in ("127.0.0.1:1", "[::1]:1", "unix:/run/judge", "0.0.0.0:1", "judge:1")]
    [True, True, True, False, False]
    """
    return address.startswith(SOCKETS) or loopback(address.rpartition(":")[0].strip("[]"))


def listen_options(settings: Settings, address: str) -> ListenOptions:
    """Return how to listen on *address*. Raises InvalidInput if that needs what the settings do not have."""
    tls = None if address.startswith(SOCKETS) else settings.server.tls
    tokens = settings.auth.tokens
    if not is_local(address):
        if tls is None:
            _require_insecure(settings, address, "TLS", "set cert and key in [server.tls]")
        if tokens is False or (tokens is None and settings.auth.allow_insecure):
            _require_insecure(settings, address, "access tokens", "leave out tokens = false in [auth]")
        elif tokens is None:
            tokens = True
    return ListenOptions(
        credentials=None if tls is None else _credentials(tls),
        health_listen=settings.server.health_listen,
        reflection=settings.server.reflection,
        tokens=tokens,
    )


def _credentials(tls: TlsSettings) -> grpc.ServerCredentials:
    files = CertificateFiles(cert=tls.cert, key=tls.key, client_ca=tls.client_ca)
    return Certificates(files).credentials()


def _require_insecure(settings: Settings, address: str, missing: str, remedy: str) -> None:
    """Warn that something is *missing* on a network. Raises InvalidInput if the settings do not allow that."""
    if not settings.auth.allow_insecure:
        raise InvalidInput(
            "listen",
            f"cannot listen on {address!r} without {missing}: other machines can reach that address. To fix it, "
            f"{remedy}; listen on 127.0.0.1:PORT or unix:PATH; or set allow_insecure = true in [auth], if the network "
            f"is private",
        )
    logger("app").warning("server.insecure", address=address, message=f"the server listens without {missing}")
