"""The clients that the service knows at this moment; the file they come from may change at any time."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from splitnet.cloud.access.clients_file import CertificateEntry, ClientsFile, TokenEntry, read_clients, token_hash
from splitnet.errors import ConfigError

log = structlog.get_logger("splitnet.access")
CHECK_SECONDS = 1.0
"""How often the file is looked at, at most."""

Stamp = tuple[int, int, int]


class Clients:
    """Finds tokens and certificates; `generation` grows with each change, so whoever keeps a client knows when to ask
    again.

    Parameters
    ----------
    path
        The file; it has to be in order now. Later, a broken one is logged and what was read before stays.
    clock
        Seconds, for how often the file is looked at.

    Raises
    ------
    ConfigError
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        # Of this process alone: where in the table a token is searched for tells nobody outside anything about it.
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._loading = False
        self._checked = clock()
        self.generation = 0
        self._stamp = _stamp(path)
        self._take(read_clients(path))

    def token(self, token: str) -> TokenEntry | None:
        """The entry of a bearer token, in a time that does not depend on how much of it is right."""
        digest = token_hash(token)
        found = self._tokens.get(self._place(digest))
        return found if found is not None and hmac.compare_digest(found.sha256, digest) else None

    def certificate(self, name: str) -> CertificateEntry | None:
        """The entry of a verified certificate's name."""
        return self._certificates.get(name)

    def refresh(self) -> None:
        """Look whether the file has changed, at most every `CHECK_SECONDS`; a changed one is read on a thread."""
        now = self._clock()
        if now - self._checked < CHECK_SECONDS or self._loading:
            return
        self._checked = now
        if _stamp(self._path) != self._stamp:
            self._loading = True
            threading.Thread(target=self.load, name="clients", daemon=True).start()

    def load(self) -> None:
        """Read the file now, on the caller's thread; a broken one is logged and changes nothing."""
        with self._lock:
            try:
                stamp = _stamp(self._path)
                if stamp == self._stamp:
                    return
                self._stamp = stamp
                self._take(read_clients(self._path))
                log.info("clients read", path=str(self._path), clients=len(self._tokens) + len(self._certificates))
            except ConfigError as error:
                log.error("clients not read; those read before stay", reason=str(error))
            finally:
                self._loading = False

    def _place(self, digest: str) -> bytes:
        return hmac.digest(self._key, digest.encode(), "sha256")

    def _take(self, clients: ClientsFile) -> None:
        self._tokens = {self._place(entry.sha256): entry for entry in clients.token}
        self._certificates = {entry.subject or entry.name: entry for entry in clients.certificate}
        self.generation += 1


def _stamp(path: Path) -> Stamp | None:
    """What differs once a file was written or replaced; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
