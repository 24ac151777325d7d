"""An endpoint for programs on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from splitnet.edge.capture.contract import Intake
from splitnet.edge.capture.infer import application, patience
from splitnet.edge.capture.submissions import Outcome, Submissions
from splitnet.edge.config.sources import HttpSource
from splitnet.edge.daemon.item import Item
from splitnet.edge.sources import Kind
from splitnet.errors import SourceError, UsageError
from splitnet.http.server import PageServer
from splitnet.wire.credentials import is_loopback

LAST_SECONDS = 1.0
"""So long, when the source ends, whoever waits for an answer may still get it."""
LATE_SECONDS = 5.0
"""So long after the last moment for an answer its connection is still kept, for the word that there is none."""

log = structlog.get_logger("splitnet.sources")


class HttpEndpoint:
    """A source of the photos that programs post; see `splitnet.edge.capture.infer` for the answers.

    The server has a thread and an event loop of its own, so nobody who posts holds the daemon up.

    Raises
    ------
    UsageError
        if others than this machine could reach it without a token.
    ConfigError
        if the token is not where the table says.
    """

    def __init__(self, name: str, section: HttpSource, kind: Kind = "image") -> None:
        self._name, self._section, self._kind = name, section, kind
        self._token = "" if section.token is None else section.token.reveal(f"sources.{name}.token")
        if section.listen is not None and not is_loopback(section.listen) and not self._token:
            raise UsageError(
                f"sources.{name}.listen {section.listen} can be reached from elsewhere: give a token, or listen on"
                " 127.0.0.1"
            )
        self.address = ""
        """Where it listens now, HOST:PORT or the socket's path; empty where it does not."""

    async def run(self, intake: Intake) -> None:
        """As `Source.run`; it ends only when it is cancelled. Raises SourceError where it cannot listen."""
        daemon, submissions = asyncio.get_running_loop(), Submissions(intake)

        async def submit(item: Item) -> Outcome:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(submissions.submit(item), daemon))

        # Looking a host name up may block.
        starting = asyncio.ensure_future(asyncio.to_thread(self._serve, submit))
        try:
            server = await asyncio.shield(starting)
            self.address = server.address
            log.info("listening", source=self._name, address=self.address)
            await asyncio.Event().wait()
        finally:
            self.address = ""
            await submissions.end(LAST_SECONDS)
            with contextlib.suppress(SourceError):
                await asyncio.to_thread((await starting).close)

    def _serve(self, submit: Callable[[Item], Awaitable[Outcome]]) -> PageServer:
        section = self._section
        app = application(self._name, section, self._kind, self._token, submit)
        if section.socket is not None:
            listen: str | Path = section.socket
            what = f"sources.{self._name}.socket"
        else:
            assert section.listen is not None
            listen, what = section.listen, f"sources.{self._name}.listen"
        try:
            return PageServer(app, listen, what=what, answer_seconds=patience(section) + LATE_SECONDS)
        except UsageError as error:
            raise SourceError(str(error)) from error
