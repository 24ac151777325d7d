"""The process between two TUN devices: `python -m benchmarks.link.shuttle CLIENT SERVER OWNER SEED`.

The first two are the devices' file descriptors. Commands come by standard input, JSON, one a line:

- ``{"at": seconds, "set": settings}``: both directions get these settings at a time of the monotonic clock;
- ``"clear"``: forget the settings that are not yet due;
- ``"counters"``: answers one line, the counters of up and of down.

It ends with standard input, or with the process that owns the link.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import math
import os
import sys
from dataclasses import asdict
from itertools import count
from select import select
from time import monotonic
from typing import Any

from benchmarks.link.line import Line
from benchmarks.link.settings import RING, LinkSettings

_BATCH = 32
"""Packets taken from one device in a row: more would make those that are due wait."""

_LARGEST = 65536


class Shuttle:
    """Moves packets between two devices, as two lines say."""

    def __init__(self, client: int, server: int, seed: int) -> None:
        self._lines = Line(seed, "up"), Line(seed, "down")
        self._ways = (client, server, self._lines[0]), (server, client, self._lines[1])
        self._changes: list[tuple[float, int, LinkSettings]] = []
        self._numbers = count()
        self._text = b""

    def run(self, owner: int) -> None:
        """Until standard input ends, or the owner, a descriptor of a process, does."""
        watched = [0, owner, *(source for source, _, _ in self._ways)]
        while True:
            wait = self._move()
            ready, _, _ = select(watched, [], [], wait)
            # Packets sent before a command was given have met the settings before it, however late we are.
            most = RING if 0 in ready else _BATCH
            for source, _, line in self._ways:
                if source in ready or 0 in ready:
                    self._read(source, line, most)
            if owner in ready or (0 in ready and not self._commands()):
                return

    def _read(self, source: int, line: Line, most: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(most):
                line.take(os.read(source, _LARGEST), monotonic())

    def _move(self) -> float | None:
        """Do what is due; the seconds until there is something again, None for never."""
        now = monotonic()
        while self._changes and self._changes[0][0] <= now:
            settings = heapq.heappop(self._changes)[2]
            for line in self._lines:
                line.change(settings, now)
        for _, target, line in self._ways:
            # A device that is being taken down refuses; its packets are nobody's any more.
            with contextlib.suppress(OSError):
                for packet in line.due(now):
                    os.write(target, packet)
        soonest = min(self._lines[0].next(), self._lines[1].next())
        if self._changes:
            soonest = min(soonest, self._changes[0][0])
        return None if soonest == math.inf else max(0.0, soonest - monotonic())

    def _commands(self) -> bool:
        """Obey what has come; False at the end."""
        read = os.read(0, _LARGEST)
        *lines, self._text = (self._text + read).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(read)

    def _obey(self, command: Any) -> None:
        if command == "clear":
            self._changes.clear()
        elif command == "counters":
            self._move()
            print(json.dumps([asdict(line.counters) for line in self._lines]), flush=True)
        else:
            # Numbered, so that of two at one time the later one wins.
            change = command["at"], next(self._numbers), LinkSettings.from_json(command["set"])
            heapq.heappush(self._changes, change)


def main() -> None:
    """Set the process up, and run."""
    # Copies have the lowest free numbers: select takes none above 1023, and the owner may have many files open.
    client, server = (os.dup(int(word)) for word in sys.argv[1:3])
    for device in (client, server):
        os.set_blocking(device, False)
    # Busy cores must not become delay. Without the right to it the shuttle works, but less exactly.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    # Nothing here makes cycles, and a collection would be a pause.
    gc.disable()
    # A fork of the owner may keep our standard input open, so the owner itself is watched too.
    with contextlib.suppress(ProcessLookupError):
        Shuttle(client, server, int(sys.argv[4])).run(os.pidfd_open(int(sys.argv[3])))


if __name__ == "__main__":
    main()
