"""One direction of a link, without a clock or a device of its own: packets and the time go in, packets come out."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass

from benchmarks.link.loss import Direction, Fate
from benchmarks.link.settings import LinkSettings

MOST_BYTES = 64 << 20
"""Held at most, so that a flood over a long delay cannot take the machine's memory."""


@dataclass(slots=True)
class Counters:
    """What became of one direction's packets since the start.

    `passed` with `passed_bytes`, IP headers included; `lost` by the loss asked for; `overflowed` a queue; `cut` by an
    outage.
    """

    passed: int = 0
    passed_bytes: int = 0
    lost: int = 0
    overflowed: int = 0
    cut: int = 0


class Line:
    """A queue, a line that sends its packets one after the other, and the way to the other end.

    All times are seconds of one clock, which the caller reads.
    """

    def __init__(self, seed: int, direction: Direction) -> None:
        self.counters = Counters()
        self._fate = Fate(seed, direction)
        self._jitter = random.Random(f"{seed} {direction}").uniform
        # Packets with their fate and time of arrival; the first is being sent, until `_sent`.
        self._queue: deque[tuple[bytes, bool, float]] = deque()
        self._sent = 0.0
        self._waiting = 0
        # Packets on their way by the time they are due; the number keeps the order of equals.
        self._way: list[tuple[float, int, bytes]] = []
        self._number = 0
        self._flying = 0
        self._last = 0.0
        self._out: list[bytes] = []
        self._direction: Direction = direction
        self._apply(LinkSettings())

    def change(self, settings: LinkSettings, now: float) -> None:
        """New settings: what waits leaves at the new rate, also the rest of the packet being sent.

        What is on its way keeps its time, but for an outage.
        """
        self._advance(now)
        before = self._rate
        self._apply(settings)
        if self._rate:
            if self._queue:
                self._sent = now + (self._sent - now) * before / self._rate
            return
        while self._queue:
            packet, lost, _ = self._queue.popleft()
            self._depart(packet, lost, now)
        self._waiting = 0

    def take(self, packet: bytes, now: float) -> None:
        """A packet enters. Its fate is drawn first: a seed loses the same packets at any rate."""
        lost = self._fate.lost(self._channel)
        size = len(packet)
        if self._outage:
            self.counters.cut += 1
        elif self._waiting + self._flying + size > MOST_BYTES:
            self.counters.overflowed += 1
        elif not self._rate:
            self._depart(packet, lost, now)
        elif self._queue and self._waiting + size > self._limit:
            self.counters.overflowed += 1
        else:
            if not self._queue:
                self._sent = now + size * 8 / self._rate
            self._queue.append((packet, lost, now))
            self._waiting += size

    def due(self, now: float) -> list[bytes]:
        """The packets that have come out by now, in order."""
        self._advance(now)
        out, self._out = self._out, []
        return out

    def next(self) -> float:
        """When `due` has to be called again; infinity where nothing is held."""
        sent = self._sent if self._queue else math.inf
        return min(sent, self._way[0][0]) if self._way else sent

    def _apply(self, settings: LinkSettings) -> None:
        self._rate = settings.rate(self._direction)
        self._limit = settings.queue_bytes(self._direction)
        self._delay, self._spread = settings.delay, settings.jitter
        self._channel, self._reorder, self._outage = settings.channel, settings.reorder, settings.outage

    def _advance(self, now: float) -> None:
        self._send(now)
        while self._way and self._way[0][0] <= now:
            packet = heapq.heappop(self._way)[2]
            self._flying -= len(packet)
            if self._outage:
                self.counters.cut += 1
            else:
                self.counters.passed += 1
                self.counters.passed_bytes += len(packet)
                self._out.append(packet)

    def _send(self, now: float) -> None:
        while self._queue and self._sent <= now:
            packet, lost, _ = self._queue.popleft()
            self._waiting -= len(packet)
            self._depart(packet, lost, self._sent)
            if self._queue:
                # From the computed time, not the time of waking: lateness must not add up to a lower rate.
                following, _, arrived = self._queue[0]
                self._sent = max(self._sent, arrived) + len(following) * 8 / self._rate

    def _depart(self, packet: bytes, lost: bool, left: float) -> None:
        """A lost packet has had its time on the line: a radio sends it, and nobody hears it."""
        if lost:
            self.counters.lost += 1
            return
        due = left + self._delay
        if self._spread:
            due += self._jitter(-self._spread, self._spread)
        if not self._reorder:
            due = max(due, self._last)
        self._last = due
        self._number += 1
        self._flying += len(packet)
        heapq.heappush(self._way, (due, self._number, packet))
