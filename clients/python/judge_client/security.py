"""How a client reaches a server: TLS or not, with which files, and the token that it presents.

What is not given comes from the environment: `JUDGE_TLS` (1 or 0), `JUDGE_CA`, `JUDGE_CERT`, `JUDGE_KEY` (files in PEM
format), `JUDGE_TOKEN`, and `JUDGE_TOKEN_FILE`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grpc import ChannelCredentials, ssl_channel_credentials

SWITCH = {"": None, "0": False, "false": False, "1": True, "true": True}
SOCKETS = ("unix:", "unix-abstract:")
SCHEMES = ("dns:///", "dns:", "ipv4:", "ipv6:")


@dataclass(frozen=True, kw_only=True)
class Security:
    """Whether to use TLS, the files for it, and the token. None means not given.

    *ca* holds the authorities that the server's certificate must come from; the default is gRPC's own list. *cert* and
    *key* are the client's own certificate. Any of the three means TLS. A *token* of "" means none.
    """

    tls: bool | None = None
    ca: str | Path | None = None
    cert: str | Path | None = None
    key: str | Path | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | Path | None = None

    @property
    def uses_tls(self) -> bool:
        """Whether TLS is asked for, by itself or by one of its files."""
        files = (self.ca, self.cert, self.key)
        return any(file is not None for file in files) if self.tls is None else self.tls

    def or_else(self, other: Security) -> Security:
        """Fill in what is not given from *other*, unless this says that there is no TLS, or has a token."""
        tls = self
        if self.tls is not False:
            ca = self.ca or other.ca
            cert, key = (self.cert, self.key) if self.cert or self.key else (other.cert, other.key)
            tls = Security(tls=True if self.uses_tls else other.tls, ca=ca, cert=cert, key=key)
        token = other if self.token is None and self.token_file is None else self
        return Security(
            tls=tls.tls, ca=tls.ca, cert=tls.cert, key=tls.key, token=token.token, token_file=token.token_file
        )

    def read_token(self) -> str:
        """Return the token, or "" if there is none. Raises ValueError if it cannot be read or cannot be sent."""
        token = self.token
        if token is None and self.token_file is not None:
            token = _read(self.token_file, "token_file").decode("utf-8", "replace")
        token = (token or "").strip()
        if not (token.isascii() and token.isprintable()) or " " in token:
            message = "the token has a space, a line break or another character that no token has"
            raise ValueError(message)
        return token

    def credentials(self) -> ChannelCredentials:
        """Return the credentials of a TLS channel. Raises ValueError if a file cannot be read."""
        if (self.cert is None) != (self.key is None):
            message = "a client certificate needs both its file and its key: give cert and key"
            raise ValueError(message)
        files = ((self.ca, "ca"), (self.key, "key"), (self.cert, "cert"))
        ca, key, cert = (None if file is None else _read(file, name) for file, name in files)
        return ssl_channel_credentials(ca, key, cert)


def security_of_environment(environment: Mapping[str, str], address: str) -> Security:
    """Return what the *environment* says about a connection to *address*. TLS there does not concern a Unix socket.

    >>> security_of_environment({"JUDGE_TLS": "1"}, "judge.example:50051").uses_tls
    True
    """
    token, token_file = environment.get("JUDGE_TOKEN") or None, environment.get("JUDGE_TOKEN_FILE") or None
    if address.startswith(SOCKETS):
        return Security(token=token, token_file=token_file)
    switch = environment.get("JUDGE_TLS", "").lower()
    if switch not in SWITCH:
        message = "JUDGE_TLS must be 1 or 0"
        raise ValueError(message)
    ca, cert, key = (environment.get(f"JUDGE_{name}") or None for name in ("CA", "CERT", "KEY"))
    return Security(tls=SWITCH[switch], ca=ca, cert=cert, key=key, token=token, token_file=token_file)


def is_local(address: str) -> bool:
    """Whether *address* can only be this machine: a Unix socket or a loopback address.

    >>> [is_local(address) for address in ("127.0.0.1:50051", "unix:/run/judge", "judge.example:50051")]
    [True, True, False]
    """
    if address.startswith(SOCKETS):
        return True
    host = host_and_port(address)[0]
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_and_port(address: str) -> tuple[str, str]:
    """Return the host and the port of a TCP *address*, as gRPC writes it. The port may be missing.

    >>> host_and_port("dns:///[::1]:50051")
    ('::1', '50051')
    """
    bare = next((address.removeprefix(scheme) for scheme in SCHEMES if address.startswith(scheme)), address)
    host, _, port = bare.rpartition(":")
    return (host.strip("[]"), port) if host and not bare.endswith("]") else (bare.strip("[]"), "")


def _read(file: str | Path, name: str) -> bytes:
    try:
        return Path(file).expanduser().read_bytes()
    except OSError as error:
        message = f"{name}: {file} cannot be read: {error.strerror}"
        raise ValueError(message) from None
