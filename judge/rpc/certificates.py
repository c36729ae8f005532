"""The server's certificate, and what reads it again when its files change.

gRPC asks for the certificate at each handshake, in a thread of its own. Files that cannot be used, such as a key that
does not yet belong to a new certificate, leave the previous ones in force, with a warning in the log.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from judge.domain.errors import InvalidInput
from judge.log.events import logger

Signature = tuple[tuple[int, int, int], ...]
log = logger("tls")


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """Files in PEM format: the *cert* with its chain, its *key*, and the authorities of clients, if they need one."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    def problem(self) -> str:
        """Return what is wrong with the files, with the setting's name; "" if they can be used."""
        for name, path in (("cert", self.cert), ("key", self.key), ("client_ca", self.client_ca)):
            if path is not None and not os.access(path, os.R_OK):
                return f"{name}: {path} cannot be read"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A key with a passphrase would otherwise ask for it on the terminal.
            context.load_cert_chain(self.cert, self.key, password=lambda: "")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                return f"key: {self.key} is not the key of the certificate in {self.cert}"
            return f"cert, key: {self.cert} and {self.key} are not a certificate and an unencrypted key in PEM format"
        try:
            context.load_verify_locations(self.client_ca or self.cert)
        except ssl.SSLError:
            return f"client_ca: {self.client_ca} holds no certificate in PEM format"
        return ""

    def signature(self) -> Signature:
        """Return what changes when a file is replaced or rewritten."""
        stats = [os.stat(path) for path in (self.cert, self.key, self.client_ca) if path is not None]  # noqa: PTH116  # quick
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)


class Certificates:
    """Reads *files* at the start, and again when they have changed.

    Raises:
        InvalidInput: The files cannot be used.

    """

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        if problem := files.problem():
            raise InvalidInput("server.tls", f"[server.tls] {problem}")
        self._signature: Signature = files.signature()

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a port, which follow the files."""
        return grpc.dynamic_ssl_server_credentials(
            self._read(),
            self.changed,  # type: ignore[arg-type]  # None keeps the certificate, which the stub does not know
            require_client_authentication=self._files.client_ca is not None,
        )

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the certificate if its files have changed and can be used; None keeps the one in use."""
        try:
            signature = self._files.signature()
            if signature == self._signature:
                return None
            problem = self._files.problem()
            certificate = None if problem else self._read()
        except OSError as error:
            log.warning("certificate.rejected", message=f"{error.filename}: {error.strerror}")
            return None
        self._signature = signature
        if certificate is None:
            log.warning("certificate.rejected", message=f"{problem}; the previous certificate stays in use")
        else:
            log.info("certificate.reloaded", cert=str(self._files.cert))
        return certificate

    def _read(self) -> grpc.ServerCertificateConfiguration:
        files = self._files
        authorities = None if files.client_ca is None else files.client_ca.read_bytes()
        return grpc.ssl_server_certificate_configuration(
            [(files.key.read_bytes(), files.cert.read_bytes())], authorities
        )
