"""The sections `[server]` and `[auth]`: how a server listens, and who may call it."""

from __future__ import annotations

from pathlib import Path

from judge.config.strict import Strict


class TlsSettings(Strict):
    """The section `[server.tls]`: files in PEM format. They are read again when they change."""

    cert: Path
    """The server's certificate, followed by those of intermediate authorities."""
    key: Path
    client_ca: Path | None = None
    """The authorities of clients. With it, a client without a certificate of theirs cannot connect."""

    def below(self, folder: Path) -> TlsSettings:
        """Return the settings with relative paths taken from *folder*."""
        client_ca = self.client_ca and folder / self.client_ca
        return TlsSettings(cert=folder / self.cert, key=folder / self.key, client_ca=client_ca)


class ServerSettings(Strict):
    """The section `[server]`."""

    tls: TlsSettings | None = None
    health_listen: str = ""
    """A further address that answers health checks alone, without TLS and tokens, for probes of an orchestrator."""
    reflection: bool = True
    """Whether the server describes its API to tools such as grpcurl."""


class AuthSettings(Strict):
    """The section `[auth]`."""

    tokens: bool | None = None
    """Whether calls need an access token. By default they do on an address that other machines can reach, unless it may
    be insecure, and anywhere else as soon as the store has a token."""
    allow_insecure: bool = False
    """Whether the server may listen on a network without TLS or without tokens."""
