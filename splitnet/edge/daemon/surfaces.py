"""Where the daemon is looked at: a Unix socket in its state folder, and the page where one is configured."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog

from splitnet.edge.config.schema import EdgeConfig
from splitnet.edge.observe.tally import EdgeTally
from splitnet.errors import ConfigError
from splitnet.wire.credentials import is_loopback

log = structlog.get_logger()

SOCKET = "status.sock"


def socket_of(state: Path) -> Path:
    """Where `splitnet edge status` asks."""
    return state / SOCKET


class Surfaces:
    """Serves both from `open` to `close`. Raises ConfigError where others would reach the page without a token."""

    def __init__(self, config: EdgeConfig, tally: EdgeTally, ready: Callable[[], bool]) -> None:
        page = config.page
        self._token = "" if page is None or page.token is None else page.token.reveal("page.token")
        if page is not None and not is_loopback(page.listen) and not self._token:
            raise ConfigError(f"page.listen {page.listen} can be reached from elsewhere: set page.token, or 127.0.0.1")
        self._config, self._tally, self._ready = config, tally, ready
        self._open = ExitStack()

    def open(self) -> None:
        """Listen and answer. Raises UsageError where an address is taken."""
        # Only here: checking a configuration needs no web server.
        from splitnet.edge.observe.pages import pages
        from splitnet.http.server import PageServer

        with ExitStack() as opened:
            app = pages(self._tally, self._ready)
            opened.enter_context(PageServer(app, socket_of(self._config.state), what="state"))
            page = self._config.page
            if page is not None:
                app = pages(self._tally, self._ready, self._token, page.hosts)
                server = opened.enter_context(PageServer(app, page.listen, what="page.listen"))
                log.info("page", address=f"http://{server.address}/")
            self._open = opened.pop_all()

    def close(self) -> None:
        """Answer no longer."""
        self._open.close()
