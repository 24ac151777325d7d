"""The HTTP server, on a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from splitnet.http.sockets import bind_tcp, bind_unix, inode_of

CONNECTIONS = 128
"""Connections at a time; one more is answered with 503."""
CONNECTION_SECONDS = 30.0
"""A connection is closed after so long, unless an answer is on its way: whoever is silent or slow holds nothing."""


class PageServer:
    """Serves an application over HTTP/1.1 until `close`; inference's own loop is not touched.

    `listen` is HOST:PORT, or the path of a Unix socket, which only this user may connect to; `what`, an option or a
    key, names it in messages. An answer may take `answer_seconds`, by default as long as a connection.

    Raises
    ------
    UsageError
        if the address cannot be listened on.
    """

    def __init__(
        self, app: ASGIApp, listen: str | Path, *, what: str = "--metrics", answer_seconds: float | None = None
    ) -> None:
        self._path = listen if isinstance(listen, Path) else None
        if isinstance(listen, Path):
            self._socket = bind_unix(listen, what, CONNECTIONS)
            self._inode = inode_of(listen)
            self.address = str(listen)
        else:
            self._socket = bind_tcp(listen, what, CONNECTIONS)
            host, port = self._socket.getsockname()[:2]
            self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        config = uvicorn.Config(
            app,
            http=_connection(answer_seconds),
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
        # By now the name may be another's.
        if self._path is not None and inode_of(self._path) == self._inode:
            self._path.unlink(missing_ok=True)

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

    answer_seconds: float | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._end = self.loop.call_later(CONNECTION_SECONDS, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)

    def _expire(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
            return
        # The answer under way is the last one.
        self.cycle.keep_alive = False
        wait = CONNECTION_SECONDS if self.cycle.more_body else self.answer_seconds or CONNECTION_SECONDS
        self._end = self.loop.call_later(wait, self.transport.abort)


def _connection(seconds: float | None) -> type[_Connection]:
    class Connection(_Connection):
        answer_seconds = seconds

    return Connection
