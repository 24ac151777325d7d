"""TLS for the gRPC server: certificates that may be replaced while it runs."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any

import grpc
import structlog

from splitnet.errors import ConfigError

log = structlog.get_logger("splitnet.server")
Stamp = tuple[tuple[int, int, int], ...]


class ServerCertificate:
    """A certificate chain, its key and, for mutual TLS, the authority of the clients' certificates: PEM files.

    Each new connection looks whether a file has changed, and gets what it holds now; open connections stay. Files that
    do not fit together, as half way through a replacement, are logged and leave the old ones in use.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._stamp: Stamp = ()
        self._lock = threading.Lock()

    @property
    def mutual(self) -> bool:
        """Whether clients need a certificate."""
        return self._client_ca is not None

    def credentials(self) -> grpc.ServerCredentials:
        """For `add_secure_port`. Raises ConfigError where the files cannot be used."""
        # The stubs do not know that None means no change.
        fetch: Any = self._changed
        return grpc.dynamic_ssl_server_credentials(self._read(), fetch, self.mutual)

    def check(self) -> None:
        """Raises ConfigError where the files cannot be used."""
        self._read()

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        # On a thread of gRPC's; an exception would end the connection.
        with self._lock:
            try:
                if self._now() == self._stamp:
                    return None
                read = self._read()
            except ConfigError as error:
                log.error("certificate not replaced; the old one stays", reason=str(error))
                return None
            log.info("certificate replaced", certificate=str(self._certificate))
            return read

    def _read(self) -> grpc.ServerCertificateConfiguration:
        self._stamp = self._now()
        certificate, key = _bytes(self._certificate), _bytes(self._key)
        roots = None if self._client_ca is None else _bytes(self._client_ca)
        # gRPC itself would say no more than that it failed.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(
                f"{self._certificate} and {self._key} are no PEM certificate with its unencrypted key: "
                f"{getattr(error, 'reason', None) or error}"
            ) from error
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (ssl.SSLError, OSError) as error:
                raise ConfigError(f"{self._client_ca} holds no PEM certificate of an authority: {error}") from error
        return grpc.ssl_server_certificate_configuration([(key, certificate)], roots)

    def _now(self) -> Stamp:
        files = [self._certificate, self._key] + ([] if self._client_ca is None else [self._client_ca])
        return tuple(_stamp(path) for path in files)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def _no_password() -> str:
    raise OSError("the key is encrypted; store it without a password, readable by this service alone")
