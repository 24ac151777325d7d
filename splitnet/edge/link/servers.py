"""Several servers in the order of preference: the first that answers is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from splitnet.edge.link.server import Server
from splitnet.errors import (
    FingerprintError,
    InvalidRequestError,
    LateError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
    UnknownError,
)
from splitnet.wire.exchange import InferenceRequest, InferenceResponse

PROBE_SECONDS = 5.0
"""Pause between two measurements of a round trip while nothing surprises."""
FIRST_CONTACT = 1.0
"""Seconds after the start in which requests wait for a server that nobody has reached yet."""
QUIET = 1.0
"""The same while a plan waits for a faster link and nothing goes over this one: seconds without an exchange."""
SOON = 0.25
"""The same after something did, and the pause between two looks at servers that are down."""


OF_NO_USE = (FingerprintError, UnknownError, PermissionDeniedError)
"""Answers of a server that works, but not for this."""


class Servers:
    """Sends each request to the first usable server, and on to the next where that one fails.

    A request that failed may be sent to another server because its answer does no harm when it comes twice; to the same
    one because it carries an id. Servers that are down are looked after by `watch`, never by requests: with none up, a
    request fails at once and can be answered elsewhere. `check` is asked of each server before it is used, and again
    when it was down: it raises ServiceError where the server does not have what this device needs. With `exploring`
    set, bandwidth is measured too where traffic does not tell it: somebody would do otherwise on a faster link.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        check: Callable[[Server], Awaitable[None]] | None = None,
        changed: Callable[[Server], None] | None = None,
        *,
        timeout: float = 10.0,
    ) -> None:
        self.servers = tuple(servers)
        self._check, self._changed, self._timeout = check, changed, timeout
        self.exploring = False
        self._begun = time.monotonic()
        self._told: dict[str, tuple[str, str]] = {}

    @property
    def current(self) -> Server | None:
        """The server that the next request goes to; None where there is none."""
        return next((one for one in self.servers if one.state != "new" and one.usable), None)

    @property
    def hopeful(self) -> bool:
        """Whether there is a server to ask, or one that may be there: nobody has reached it yet, or failed to."""
        return self.current is not None or self._first_contact

    @property
    def _first_contact(self) -> bool:
        return any(one.state == "new" for one in self.servers) and time.monotonic() - self._begun < FIRST_CONTACT

    async def infer(
        self, request: InferenceRequest, timeout: float, answer_bytes: float, *, live: bool = True
    ) -> tuple[InferenceResponse, Server]:
        """Ask within `timeout` seconds, all attempts together.

        A server that does not know the bundle of a `live` request is not asked again until it does; a frame of the
        spool may be of a bundle of yesterday.

        Raises
        ------
        InvalidRequestError
            if the request cannot be answered, here or elsewhere.
        ServiceError
            the last server's, where none answered.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while self.current is None and self._first_contact and loop.time() < until:
            await asyncio.sleep(0.005)
        failure: ServiceError = UnavailableError(self._nobody())
        for server in self.servers:
            left = until - loop.time()
            if left <= 0:
                break
            if server.state == "new" or not server.usable:
                continue
            try:
                return await server.infer(request, left, answer_bytes), server
            except InvalidRequestError:
                raise
            except LateError as error:
                # Nothing is left of the time.
                self._tell(server)
                raise error
            except ServiceError as error:
                if live and isinstance(error, OF_NO_USE):
                    await server.fail(error)
                self._tell(server)
                failure = error
        raise failure

    async def watch(self) -> None:
        """Look after all servers until cancelled: find those that are up, measure round trips."""
        await asyncio.gather(*(self._look_after(server) for server in self.servers))
        # Without servers there is nothing to look after, and yet no end.
        await asyncio.Event().wait()

    async def close(self) -> None:
        """End all connections."""
        for server in self.servers:
            await server.close()

    async def _look_after(self, server: Server) -> None:
        while True:
            if server.state in ("new", "down"):
                await asyncio.sleep(server.pause)
                await self._try(server)
            elif server.state == "up" and (not server.in_flight or server.meter.rtt is None):
                with suppress(ServiceError):
                    await self._measure(server)
            self._tell(server)
            await self._rest(server)

    async def _measure(self, server: Server) -> None:
        meter = server.meter
        silent = self._silent(server)
        await server.probe(self._timeout)
        if self.exploring and meter.payload and (meter.bounded or silent):
            await server.probe(self._timeout, meter.payload)

    def _silent(self, server: Server) -> bool:
        return server.meter.quiet(time.monotonic()) >= QUIET

    async def _rest(self, server: Server) -> None:
        begun = time.monotonic()
        while server.state == "up" and not server.meter.surprised:
            rested = time.monotonic() - begun
            if rested >= PROBE_SECONDS or (rested >= QUIET and self.exploring and self._silent(server)):
                return
            await asyncio.sleep(SOON)
        if server.state in ("up", "busy"):
            # Not more often than that, whatever surprises.
            await asyncio.sleep(SOON)

    async def _try(self, server: Server) -> None:
        try:
            await server.probe(self._timeout)
            if self._check is not None:
                await self._check(server)
        except ServiceError as error:
            await server.fail(error)
            return
        server.reached()
        if self.exploring:
            # A plan waits for it.
            with suppress(ServiceError):
                await self._measure(server)

    def _tell(self, server: Server) -> None:
        now = (server.state, server.error)
        if self._changed is not None and self._told.get(server.address) != now:
            self._told[server.address] = now
            self._changed(server)

    def _nobody(self) -> str:
        if not self.servers:
            return "no server is configured"
        told = "; ".join(f"{one.address}: {one.error or 'not reached yet'}" for one in self.servers)
        return f"no server can be asked ({told})"
