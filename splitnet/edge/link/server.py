"""One server: its stream, whether it answers, and what the way to it is like."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol

from splitnet.edge.grpc_aio_transport import SILENT
from splitnet.edge.link.meter import Exchange, Meter
from splitnet.edge.transport import AsyncTransport
from splitnet.errors import (
    FingerprintError,
    InvalidRequestError,
    LateError,
    OverloadedError,
    PermissionDeniedError,
    ServiceError,
    UnknownError,
)
from splitnet.plan.model import ANSWER_FIELDS, REQUEST_FIELDS
from splitnet.wire.exchange import DEFAULT_MAX_FRAME_BYTES, InferenceRequest, InferenceResponse, ModelInfo

State = Literal["new", "up", "busy", "down"]
LATE_IN_A_ROW = 2
"""So many exchanges without an answer, and the connection is taken for dead: it may be open at one end only."""
LONG_SILENCE = 1.0
"""Seconds without an answer that count for that; four round trips where these are longer."""


class ProbingTransport(AsyncTransport, Protocol):
    """A transport that can measure a round trip."""

    async def probe(self, timeout: float, payload: int = 0) -> float: ...


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds before a server is tried again: doubling from `first` to `longest`, each at random between half and all
    of it, so that devices that lost a server together do not come back together.
    """

    first: float = 0.2
    longest: float = 10.0
    draw: Callable[[], float] = random.random

    def after(self, failures: int) -> float:
        """The pause after so many failures in a row, at least 1."""
        pause = min(self.longest, self.first * float(2 ** min(failures - 1, 30)))
        return pause * (0.5 + 0.5 * self.draw())


class Server:
    """Asks one server and keeps count.

    `connect` makes a new transport; one that failed is not used again. Belongs to one event loop.
    """

    def __init__(self, address: str, connect: Callable[[], ProbingTransport], pauses: Pauses | None = None) -> None:
        self.address = address
        self.meter = Meter()
        self.state: State = "new"
        self.error = ""
        self._under_way: dict[int, tuple[float, float, float]] = {}
        self.most_bytes = DEFAULT_MAX_FRAME_BYTES
        self.since = time.time()
        self._connect, self._pauses = connect, pauses or Pauses()
        self._transport: ProbingTransport | None = None
        self._failures, self._late, self._asked = 0, 0, 0
        self._until = 0.0

    @property
    def in_flight(self) -> int:
        """Requests that have no answer yet."""
        return len(self._under_way)

    def listen(self) -> None:
        """Take note of how long the oldest request has waited for its answer. Called a few times a second."""
        oldest = next(iter(self._under_way.values()), None)
        if oldest is not None:
            self.meter.waiting(*oldest, time.monotonic())

    @property
    def pause(self) -> float:
        """Seconds until it may be asked again; 0 where it may be now."""
        return max(0.0, self._until - time.monotonic())

    @property
    def usable(self) -> bool:
        """Whether a request may be sent to it now."""
        return self.state in ("new", "up") or (self.state == "busy" and not self.pause)

    async def infer(self, request: InferenceRequest, timeout: float, answer_bytes: float) -> InferenceResponse:
        """Ask for an answer within `timeout` seconds; `answer_bytes` is its usual size, for the meter.

        Raises ServiceError; whatever says that this server is of no use now makes it `down`, or `busy` for a while.
        """
        if len(request.frame) > self.most_bytes:
            raise OverloadedError(
                f"a frame of {len(request.frame)} bytes is over the limit of {self.address}, {self.most_bytes}; use a"
                " smaller codec, or raise the server's limit"
            )
        transport = self._opened()
        size, sent = len(request.frame) + REQUEST_FIELDS, time.monotonic()
        ticket = self._asked = self._asked + 1
        self._under_way[ticket] = (size, answer_bytes + ANSWER_FIELDS, sent)
        try:
            response = await transport.infer(request, timeout)
        except (InvalidRequestError, FingerprintError, UnknownError, PermissionDeniedError):
            # It is about the request: the server is in order.
            self._answered()
            raise
        except OverloadedError as error:
            if error.retry_after is None:
                # A limit that this request is over, today and tomorrow.
                self._answered()
            else:
                self._busy(error)
            raise
        except LateError as error:
            if error.reason != SILENT:
                self._answered()
                raise
            self.meter.late(size, timeout)
            self._late += timeout >= max(LONG_SILENCE, 4 * (self.meter.rtt or 0.0))
            if self._late >= LATE_IN_A_ROW:
                await self._down(transport, error)
            raise
        except ServiceError as error:
            await self._down(transport, error)
            raise
        finally:
            del self._under_way[ticket]
        timing = response.timing
        self.meter.exchanged(
            Exchange(size, answer_bytes + ANSWER_FIELDS, sent, time.monotonic(), timing.total, timing.queue)
        )
        self._answered()
        return response

    async def probe(self, timeout: float, payload: int = 0) -> None:
        """Measure a round trip, or with a `payload` in bytes the bandwidth, and whether the server is there.

        That it is there does not make it `up`: see `reached`. Raises ServiceError, as `infer`.
        """
        transport, alone, sent = self._opened(), self.in_flight == 0, time.monotonic()
        try:
            seconds = await transport.probe(timeout, payload)
        except ServiceError as error:
            await self._down(transport, error)
            raise
        # Only where nothing was sent meanwhile either.
        alone = alone and self.in_flight == 0
        if not payload:
            self.meter.probed(seconds, alone=alone)
        elif alone:
            self.meter.exchanged(Exchange(payload, 0, sent, sent + seconds, 0.0, probe=True))

    def reached(self) -> None:
        """It is there and has what this device needs: requests may be sent to it."""
        self._answered()

    async def describe(self, name: str, version: str, timeout: float) -> ModelInfo:
        """What it serves under this name. Raises ServiceError."""
        return await self._opened().describe(name, version, timeout)

    async def fail(self, error: ServiceError) -> None:
        """Take it for down: it answers, but with what this device cannot use."""
        if self._transport is not None:
            await self._down(self._transport, error)

    async def close(self) -> None:
        """End the connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    def _opened(self) -> ProbingTransport:
        if self._transport is None:
            self._transport = self._connect()
        return self._transport

    def _answered(self) -> None:
        self._failures = self._late = 0
        if self.state != "up":
            self.state, self.error, self.since = "up", "", time.time()

    def _busy(self, error: OverloadedError) -> None:
        self._failures += 1
        pause = self._pauses.after(self._failures)
        self._until = time.monotonic() + max(pause, error.retry_after or 0.0)
        self.state, self.error = "busy", str(error)

    async def _down(self, transport: ProbingTransport, error: ServiceError) -> None:
        # Requests that were on their way together fail together: that is one failure.
        if transport is not self._transport:
            return
        self._transport = None
        self._failures, self._late = self._failures + 1, 0
        self._until = time.monotonic() + self._pauses.after(self._failures)
        if self.state != "down":
            self.since = time.time()
        self.state, self.error = "down", str(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await transport.aclose()
