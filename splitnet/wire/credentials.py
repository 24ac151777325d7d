"""What a client shows to its server, and how it knows the server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from splitnet.errors import UsageError

if TYPE_CHECKING:
    import grpc


@dataclass(frozen=True)
class Credentials:
    """A bearer token, a client certificate with its key, and the authority that the server's certificate is from.

    Parameters
    ----------
    token
        A bearer token. It never crosses the network in plain text, unless the server is on this machine.
    token_file
        A file that holds it instead; read again for each new stream, so a token may be replaced under a running client.
    ca
        PEM file of the authority (or of the server's own certificate); those of the system without it.
    certificate, key
        PEM files, for servers that ask for a client certificate.
    secure
        Speak TLS; `ca` and `certificate` imply it.
    application
        Which application of a Ray Serve cluster is meant, where it has several.
    """

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    secure: bool = False
    application: str = ""

    def tls(self, address: str) -> grpc.ChannelCredentials | None:
        """For a secure channel to HOST:PORT; None for plain text.

        Raises
        ------
        UsageError
            if a token would cross the network in plain text, or a file cannot be read.
        """
        if (self.certificate is None) != (self.key is None):
            raise UsageError("a client certificate needs its key, and a key its certificate; give both")
        if not (self.secure or self.ca or self.certificate):
            if (self.token or self.token_file) and not is_loopback(address):
                raise UsageError(f"a token would travel to {address} in plain text; use TLS: give --ca FILE, or --tls")
            return None
        # Both halves in one process need no gRPC.
        import grpc

        roots, key, chain = (None if path is None else _read(path) for path in (self.ca, self.key, self.certificate))
        return grpc.ssl_channel_credentials(roots, key, chain)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call. Raises UsageError where the token file cannot be read or holds no token."""
        token = self.token
        if self.token_file is not None:
            token = _read(self.token_file).decode("utf-8", "replace").strip()
            if not token:
                raise UsageError(f"{self.token_file} is empty; it should hold a token")
        route = (("application", self.application),) if self.application else ()
        if not token:
            return route
        if not token.isascii() or not token.isprintable() or " " in token:
            raise UsageError("the token is not one line of printable ASCII; copy it again")
        return (*route, ("authorization", f"Bearer {token}"))


NO_CREDENTIALS = Credentials()


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT is on this machine."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
