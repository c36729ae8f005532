"""A certificate authority of the tests: certificates for a server and for clients, and a server that uses them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme

from judge.app.listening import listen_options
from judge.app.local import running
from judge.config.listening import ServerSettings, TlsSettings
from support.demo_data import settings


@dataclass(frozen=True)
class Issued:
    """The files of a certificate."""

    cert: Path
    key: Path


class Authority:
    """Issues certificates into *folder*. `ca` is its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._authority = folder, trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)

    def issue(self, file: str, *names: str, days: int = 30) -> Issued:
        """Issue a certificate for host *names*, valid until *days* from now, or replace the one in *file*."""
        until = datetime.now(UTC) + timedelta(days=days)
        made = self._authority.issue_cert(*names, not_after=until, not_before=until - timedelta(days=60))
        issued = Issued(self._folder / f"{file}.pem", self._folder / f"{file}-key.pem")
        made.cert_chain_pems[0].write_to_path(issued.cert)
        made.private_key_pem.write_to_path(issued.key)
        return issued


@contextlib.asynccontextmanager
async def serving_tls(issued: Issued, client_ca: Path | None = None, **server: Any) -> AsyncIterator[str]:  # noqa: ANN401  # settings
    """Serve in memory with a certificate and other settings of *server*, and yield the address."""
    tls = TlsSettings(cert=issued.cert, key=issued.key, client_ca=client_ca)
    with_tls = settings().model_copy(update={"server": ServerSettings(tls=tls, **server)})
    options = listen_options(with_tls, "127.0.0.1:0")
    async with running(with_tls, store_url="sqlite://", listen="127.0.0.1:0", options=options) as address:
        yield address
