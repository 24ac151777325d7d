"""When a request is sent again, and after what pause."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from splitnet.errors import OverloadedError, ServiceError, UnavailableError

REQUEST_ID_BYTES = 16
Answer = TypeVar("Answer")


def new_request_id() -> bytes:
    """What makes a repeat recognisable: 16 random bytes, of which no two clients ever draw the same."""
    return secrets.token_bytes(REQUEST_ID_BYTES)


@dataclass(frozen=True)
class RetryPolicy:
    """Sends a request again where that can help and cannot hurt.

    Only after UNAVAILABLE, and after RESOURCE_EXHAUSTED where the service says when to come back: everything else would
    fail again, or has used up its time. It is safe because the request carries an id: a repeat joins the work in
    flight or gets the kept answer. The n-th pause lies, at random, between half and all of `first * factor ** (n - 1)`
    seconds, at most `longest`: devices that failed together do not come back together. A service's own hint is waited
    for in full, the random pause on top.

    Parameters
    ----------
    attempts
        How often a request is sent at most; 1 never sends it again.
    first, factor, longest
        The pauses, in seconds.
    draw
        Random numbers in [0, 1).
    """

    attempts: int = 4
    first: float = 0.05
    factor: float = 3.0
    longest: float = 2.0
    draw: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first < 0 or self.factor < 1 or self.longest < 0:
            raise ValueError(f"{self}: attempts and factor are at least 1, pauses at least 0")

    def pause(self, sent: int, error: ServiceError) -> float | None:
        """Seconds to wait after the request was sent `sent` times and met `error`; None: give up."""
        hint = error.retry_after
        can_help = isinstance(error, UnavailableError) or (isinstance(error, OverloadedError) and hint is not None)
        if sent >= self.attempts or not can_help:
            return None
        backoff = min(self.longest, self.first * self.factor ** (sent - 1))
        return (hint or 0.0) + backoff * (0.5 + 0.5 * self.draw())

    def call(
        self,
        send: Callable[[float | None], Answer],
        timeout: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> Answer:
        """`send` the request, given the seconds left, until it is answered; `timeout` covers it all.

        Raises
        ------
        ServiceError
            the last one, as soon as no further attempt would fit into `timeout`.
        """
        until = None if timeout is None else clock() + timeout
        sent, left = 0, timeout
        while True:
            try:
                return send(left)
            except ServiceError as error:
                sent += 1
                pause = self.pause(sent, error)
                if pause is None or (until is not None and clock() + pause >= until):
                    raise
            sleep(pause)
            left = None if until is None else max(0.001, until - clock())

    async def acall(
        self,
        send: Callable[[float | None], Awaitable[Answer]],
        timeout: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> Answer:
        """As `call`, for asyncio."""
        until = None if timeout is None else clock() + timeout
        sent, left = 0, timeout
        while True:
            try:
                return await send(left)
            except ServiceError as error:
                sent += 1
                pause = self.pause(sent, error)
                if pause is None or (until is not None and clock() + pause >= until):
                    raise
            await sleep(pause)
            left = None if until is None else max(0.001, until - clock())


NO_RETRIES = RetryPolicy(attempts=1)
"""Every error is the caller's."""
