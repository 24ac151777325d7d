"""How much each client may ask for: a rate with bursts, and requests in flight.

The rate is the generic cell rate algorithm of ITU-T I.371 (1996), the token bucket that needs a single number a
client: the time at which its bucket would be full again.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from splitnet.cloud.access.caller import Caller, ClientLimits
from splitnet.errors import OverloadedError

_BUSY_RETRY = 0.1
"""Seconds that a client waits for one of its own answers, as nobody knows when it comes."""


@dataclass(slots=True)
class _Use:
    """What one client has used: `full` is when its bucket is full again, on the limiter's clock."""

    full: float = 0.0
    running: int = 0


class Limiter:
    """Counts by `Caller.identity`; at most `entries` clients are remembered. Belongs to one event loop.

    A client with a full bucket and nothing running is as good as unknown and is forgotten first. Where more clients
    than `entries` are under way, the one that asked longest ago is forgotten, and begins with a full bucket; those with
    requests in flight are always kept, and the waiting line bounds these.
    """

    def __init__(self, entries: int = 65_536, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries, self._clock = entries, clock
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    def __len__(self) -> int:
        return len(self._uses)

    def admit(self, caller: Caller) -> Callable[[], None] | None:
        """Count a request; what is returned is to be called once it is answered, None: nothing is.

        Raises
        ------
        OverloadedError
            with the seconds after which it may be tried again.
        """
        limits = caller.limits
        if limits.rate is None and limits.concurrency is None:
            return None
        now = self._clock()
        use = self._uses.get(caller.identity)
        if use is None:
            use = self._uses[caller.identity] = _Use(now)
            self._make_room(now)
        else:
            self._uses.move_to_end(caller.identity)
        if limits.concurrency is not None and use.running >= limits.concurrency:
            raise OverloadedError(
                f"this client has {use.running} requests in flight and may have {limits.concurrency}; wait for answers",
                retry_after=_BUSY_RETRY,
                reason="concurrency",
            )
        if limits.rate is not None:
            _spend(use, limits, now)
        if limits.concurrency is None:
            return None
        use.running += 1
        return lambda: self._ended(caller.identity, use)

    def _ended(self, identity: str, use: _Use) -> None:
        use.running -= 1
        if not use.running and use.full <= self._clock() and self._uses.get(identity) is use:
            del self._uses[identity]

    def _make_room(self, now: float) -> None:
        # From the one that asked longest ago, a few steps a request: the cost stays even, and more leave than come.
        for identity in [identity for identity, _ in zip(self._uses, range(4), strict=False)][:-1]:
            use = self._uses[identity]
            if use.running:
                self._uses.move_to_end(identity)
            elif use.full <= now or len(self._uses) > self._entries:
                del self._uses[identity]


def _spend(use: _Use, limits: ClientLimits, now: float) -> None:
    rate = limits.rate
    assert rate is not None
    if math.isinf(rate):
        return
    burst = limits.burst if limits.burst is not None else max(1, math.floor(rate))
    interval = 1.0 / rate
    # An answer may be late by a rounding error of the clock's, not a client early by a whole request.
    wait = use.full - now - (burst - 1) * interval
    if wait > 1e-9:
        raise OverloadedError(
            f"this client may send {rate:g} requests a second; wait {wait:.3f} s", retry_after=wait, reason="rate"
        )
    use.full = max(use.full, now) + interval
