"""Records as POST requests."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from splitnet.edge.daemon.record import Record
from splitnet.edge.sinks.payload import json_bytes
from splitnet.edge.sinks.tls import trusting
from splitnet.edge.watchdog import Watchdog
from splitnet.errors import OutputError, UsageError
from splitnet.wire.credentials import is_loopback

_PORTS = {"http": 80, "https": 443}
_READ_BYTES = 1 << 16
_SHOWN = 200


class Webhook:
    """One request a record, over one connection while the server keeps it; only a status of 2xx is success.

    The id goes along as `Idempotency-Key`: after an error, records that had arrived come again. Redirects are not
    followed, and no proxy is used. `timeout` in seconds, of each exchange; making a connection may take as long again.

    Raises
    ------
    UsageError
        if the URL, the token or `ca` cannot be used, or if records would leave this machine in plain text.
    """

    def __init__(self, url: str, *, token: str = "", timeout: float = 10.0, ca: Path | None = None) -> None:
        parts = _parts(url)
        # Without the query, which may hold a secret.
        self._shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._token, self._timeout = _checked(token), timeout
        self._connection = self._connect_to(parts, ca)
        self._watchdog = Watchdog()

    @property
    def mark(self) -> str:
        """Empty: the server knows its ids."""
        return ""

    def resume(self, mark: str) -> Iterable[str]:
        """Nothing is left of a crash."""
        return ()

    def write(self, records: Sequence[Record]) -> None:
        """Post these in order, up to the first that fails. Raises OutputError; the next call connects anew then."""
        for record in records:
            try:
                status, answer = self._post(record)
            except (OSError, HTTPException) as error:
                self._connection.close()
                late = isinstance(error, TimeoutError)
                reason = f"no answer within {self._timeout:g} s" if late else _reason(error)
                raise OutputError(f"cannot post to {self._shown}: {reason}") from error
            if not 200 <= status < 300:
                self._connection.close()
                hint = "; redirects are not followed, give the URL that it leads to" if 300 <= status < 400 else ""
                raise OutputError(f"{self._shown} answered {status}: {self._line(answer)}{hint}")

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
        self._watchdog.close()

    def _connect_to(self, parts: SplitResult, ca: Path | None) -> HTTPConnection:
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        if parts.scheme == "https":
            return HTTPSConnection(host, port, timeout=self._timeout, context=trusting(ca))
        if not is_loopback(f"{host}:{port}"):
            what = "records and the token" if self._token else "records"
            raise UsageError(f"{what} would travel to {self._shown} in plain text; give an https:// URL")
        return HTTPConnection(host, port, timeout=self._timeout)

    def _post(self, record: Record) -> tuple[int, bytes]:
        """Status, and the beginning of the answer."""
        connection = self._connection
        if connection.sock is not None and _has_news(connection.sock):
            # The server closed it while there was nothing to send.
            connection.close()
        if connection.sock is None:
            connection.connect()
        headers = {"Content-Type": "application/json", "Idempotency-Key": record.id}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with self._limit(connection.sock):
            connection.request("POST", self._target, json_bytes(record), headers)
            with connection.getresponse() as response:
                answer = response.read(_READ_BYTES)
                whole = response.isclosed()
        if not whole:
            connection.close()
        return response.status, answer

    @contextlib.contextmanager
    def _limit(self, connection: socket.socket) -> Iterator[None]:
        """One timeout for all of the block: the socket's own begins anew with every byte."""
        end = time.monotonic() + self._timeout
        try:
            with self._watchdog.limit(end, partial(_end, connection)):
                yield
        finally:
            # What was cut off may look like an answer.
            if time.monotonic() >= end:
                raise TimeoutError

    def _line(self, answer: bytes) -> str:
        text = answer.decode("utf-8", "replace")
        if self._token:
            # A server that repeats what it was sent must not bring the token into a log.
            text = text.replace(self._token, "***")
        return _printable(text) or "no text"


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:
        usable = False
    # It is not repeated: a password may be in it.
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError("the url cannot be used; write https://HOST[:PORT]/PATH in ASCII, other characters as %XX")
    if "@" in parts.netloc:
        raise UsageError("a user or password does not belong into the url; use token")
    return parts


def _checked(token: str) -> str:
    if not token.isascii() or (token and not token.isprintable()) or " " in token:
        raise UsageError("the token is not one line of printable ASCII; copy it again")
    return token


def _has_news(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # The plain one: that of a TLS socket would change what the other thread is reading from.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _reason(error: OSError | HTTPException) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return _printable(text) or type(error).__name__


def _printable(text: str) -> str:
    """At most 200 characters of it, in one line."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:_SHOWN]
