"""A web server that does as it is told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

from tests.cloud.certificates import Pair

PATIENCE = 20
"""Seconds after which a client that should have gone is not waited for."""


@dataclass(frozen=True)
class Answer:
    """`then` says what becomes of the connection: it stays, or is closed.

    `without`: closed without an answer; `silent`: no answer until the endpoint ends; `dripping`: an endless answer,
    byte by byte; `stuck`: an answer that is announced to be longer, and nothing more.
    """

    status: int = 204
    text: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    then: Literal["stay", "close", "without", "silent", "dripping", "stuck"] = "stay"


class _Server(ThreadingHTTPServer):
    endpoint: Endpoint
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        self.endpoint.connections += 1
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        try:
            with self.tls.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except OSError:
            return

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, most likely; the tests look at what arrived."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        endpoint = self.server.endpoint
        body = self.rfile.read(int(self.headers["Content-Length"]))
        endpoint.received.append((self.path, self.headers, body))
        answer = endpoint.answers.popleft() if endpoint.answers else Answer()
        self.close_connection = answer.then != "stay"
        if answer.then == "silent":
            endpoint.ended.wait(PATIENCE)
        elif answer.then == "dripping":
            self._drip()
        elif answer.then != "without":
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.text) + (answer.then == "stuck")))
            self.end_headers()
            self.wfile.write(answer.text)
            if answer.then == "stuck":
                self.rfile.read(1)

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        try:
            for _ in range(100 * PATIENCE):
                if self.server.endpoint.ended.wait(0.01):
                    return
                self.wfile.write(b"x")
        except OSError:
            self.server.endpoint.left.set()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


class Endpoint:
    """Serves on a free port of `host` while entered; answers as `answers` say, one each, and with 204 after them."""

    def __init__(self, *, host: str = "127.0.0.1", certificate: Pair | None = None) -> None:
        self.received: list[tuple[str, Message, bytes]] = []
        self.answers: deque[Answer] = deque()
        self.connections = 0
        self.ended, self.left = threading.Event(), threading.Event()
        self._server = _Server((host, 0), _Handler)
        self._server.endpoint = self
        if certificate is not None:
            self._server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.tls.load_cert_chain(certificate.certificate, certificate.key)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if certificate else 'http'}://{host}:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
