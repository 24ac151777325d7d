"""The HTTP server of the pages, on a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from splitnet.errors import UsageError
from splitnet.wire.channels import parse_address

CONNECTIONS = 128
"""Connections at a time; one more is answered with 503."""
CONNECTION_SECONDS = 30.0
"""A connection is closed after so long, unless an answer is on its way: whoever is silent or slow holds nothing."""


class PageServer:
    """Serves an application over HTTP/1.1 until `close`; inference's own loop is not touched.

    Raises
    ------
    UsageError
        if the address cannot be listened on.
    """

    def __init__(self, app: ASGIApp, listen: str) -> None:
        self._socket = _bind(listen)
        host, port = self._socket.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=16 * 1024,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="pages", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; waits for answers under way, a second at most."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Connection(H11Protocol):
    """A connection that ends: uvicorn itself waits for ever for a request that never comes, or never ends."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._end = self.loop.call_later(CONNECTION_SECONDS, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)

    def _expire(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self._end = self.loop.call_later(CONNECTION_SECONDS, self.transport.abort)


def _bind(listen: str) -> socket.socket:
    host, _, port = parse_address(listen, what="--metrics").rpartition(":")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"cannot listen on {listen}: {error.strerror}; choose another --metrics") from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(where)
        found.listen(CONNECTIONS)
    except OSError as error:
        found.close()
        raise UsageError(f"cannot listen on {listen}: {error.strerror}; choose another --metrics") from error
    return found
