"""What a link is asked to be."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.link.loss import Direction, GilbertElliott
from splitnet.errors import UsageError

MTU = 1500
"""Bytes of the largest packet, IP header included."""

LEAST_QUEUE = 16 * MTU
"""Bytes that every queue holds: a shorter one loses TCP's first flight of ten packets on a slow link."""

RING = 10_000
"""Packets that a device holds for the shuttle: a burst of a whole queue must not be lost in front of it."""

_RATES = (1e3, 10e9)
_LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """A link between a client and a server; up is from the client to the server.

    Attributes
    ----------
    rate_up, rate_down
        bit/s of IP packets, headers included; None for no limit.
    delay
        seconds one way, the same both ways; a packet's time on the line (size / rate) and in the queue comes on top.
    jitter
        seconds: every packet's delay is uniform in delay - jitter to delay + jitter.
    reorder
        whether jitter may change the order of packets; otherwise one that would overtake waits.
    loss
        the share of packets lost independently, 0 to 1, or a GilbertElliott channel for losses in bursts.
    queue
        seconds of traffic that wait in front of the line at most, though always LEAST_QUEUE bytes; more is lost.
    outage
        nothing passes: what enters or would come out meanwhile is lost.

    Raises
    ------
    UsageError
        in one line, where a value cannot be.
    """

    rate_up: float | None = None
    rate_down: float | None = None
    delay: float = 0.0
    jitter: float = 0.0
    loss: float | GilbertElliott = 0.0
    reorder: bool = False
    queue: float = 0.2
    outage: bool = False

    def __post_init__(self) -> None:
        for name in ("rate_up", "rate_down"):
            rate = getattr(self, name)
            if rate is not None and not _RATES[0] <= rate <= _RATES[1]:
                raise UsageError(f"{name} is {rate}: give {_RATES[0]:g} to {_RATES[1]:g} bit/s, or None for no limit")
        for name in ("delay", "queue"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= _LONGEST):
                raise UsageError(f"{name} is {value}: give 0 to {_LONGEST:g} seconds")
        if not 0 <= self.jitter <= self.delay:
            raise UsageError(f"jitter is {self.jitter}: give 0 to the delay, {self.delay} seconds")
        if not isinstance(self.loss, GilbertElliott) and not 0 <= self.loss <= 1:
            raise UsageError(f"loss is {self.loss}: give a share between 0 and 1, or a GilbertElliott channel")

    @property
    def channel(self) -> GilbertElliott:
        """What loses packets, as the one model that a line knows."""
        return self.loss if isinstance(self.loss, GilbertElliott) else GilbertElliott(good=self.loss)

    def rate(self, direction: Direction) -> float:
        """bit/s of one direction, 0 for no limit."""
        return (self.rate_up if direction == "up" else self.rate_down) or 0.0

    def queue_bytes(self, direction: Direction) -> int:
        """What waits in front of one direction's line at most, the packet being sent included."""
        return max(LEAST_QUEUE, int(self.queue * self.rate(direction) / 8))

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> LinkSettings:
        """From what `to_json` gave."""
        loss = values["loss"]
        return LinkSettings(**values | {"loss": GilbertElliott(**loss) if isinstance(loss, dict) else loss})
