"""The last quarter of an hour, second by second."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from splitnet.plan.candidate import Mode

SLOTS = 900
"""One a second."""
COUNTED = (
    "captured",
    "cloud",
    "local",
    "skipped",
    "failed",
    "expired",
    "spooled",
    "dropped",
    "timed",
    "frame_bytes",
    "compared_bytes",
    "jpeg_bytes",
)
"""`timed`: answers with a latency that counts; `compared_bytes`: frames of inputs whose size as JPEG is known."""


class Slot:
    """Counts of one second; `number` counts seconds since the clock's zero. `bandwidth` is the last known, in bit/s."""

    __slots__ = (*COUNTED, "bandwidth", "latency", "number")

    def __init__(self, number: int, bandwidth: float | None) -> None:
        self.number = number
        self.bandwidth = bandwidth
        self.captured = self.cloud = self.local = self.skipped = self.failed = self.expired = 0
        self.spooled = self.dropped = self.timed = 0
        self.frame_bytes = self.compared_bytes = self.jpeg_bytes = 0
        self.latency = 0.0


class Timeline:
    """Slots of the last minutes, oldest first; one in which nothing happened is not kept. Not thread-safe."""

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque(maxlen=SLOTS)

    def at(self, now: float) -> Slot:
        """The slot of this reading of the clock, in seconds."""
        number = int(now)
        if not self._slots:
            self._slots.append(Slot(number, None))
        elif self._slots[-1].number < number:
            self._slots.append(Slot(number, self._slots[-1].bandwidth))
        return self._slots[-1]

    def columns(self, now: float, after: int | None = None) -> tuple[int, dict[str, list[float | None]]]:
        """Number of the first slot, and column name -> a value a slot, oldest first, up to the last that is over.

        `after` leaves out the slots up to that one: whoever has them asks for the rest. `latency` is a mean in
        seconds, None where there is none; `bandwidth` in bit/s, None where none is known; the others are counts.
        """
        last = int(now) - 1
        first = last - SLOTS + 1
        # A slot that is still to come is of another clock: the machine was started again.
        if after is not None and after <= last:
            first = max(first, after + 1)
        known: dict[int, Slot] = {}
        bandwidth = None
        for slot in reversed(self._slots):
            if slot.number < first:
                bandwidth = slot.bandwidth
                break
            known[slot.number] = slot
        slots = []
        for number in range(first, last + 1):
            slots.append(known.get(number) or Slot(number, bandwidth))
            bandwidth = slots[-1].bandwidth
        columns: dict[str, list[float | None]] = {name: [getattr(slot, name) for slot in slots] for name in COUNTED}
        columns["latency"] = [slot.latency / slot.timed if slot.timed else None for slot in slots]
        columns["bandwidth"] = [slot.bandwidth for slot in slots]
        return first, columns

    def recent(self, now: float, seconds: int) -> dict[str, float | None]:
        """Counts a second and mean latency over the last `seconds` that are over and the one that runs."""
        first = int(now) - seconds
        slots = [slot for slot in self._slots if slot.number >= first]
        found: dict[str, float | None] = {
            name: sum(getattr(slot, name) for slot in slots) / (now - first) for name in COUNTED if name != "timed"
        }
        timed = sum(slot.timed for slot in slots)
        return found | {"latency": sum(slot.latency for slot in slots) / timed if timed else None}


class Modes:
    """Which mode was chosen when: what changed within one second counts as its last. Not thread-safe."""

    def __init__(self) -> None:
        self._runs: deque[tuple[int, Mode, str]] = deque()

    def add(self, now: float, mode: Mode, plan: str) -> None:
        """From this reading of the clock on; `plan` says more in words."""
        number = int(now)
        if self._runs and self._runs[-1][0] == number:
            self._runs.pop()
        self._runs.append((number, mode, plan))
        # The run that covers the oldest slot began before it.
        while len(self._runs) > 1 and self._runs[1][0] <= number - SLOTS:
            self._runs.popleft()

    def runs(self) -> Iterable[dict[str, Any]]:
        """Slot in which each run began, its mode and plan, oldest first; each lasts until the next."""
        return [{"slot": number, "mode": mode, "plan": plan} for number, mode, plan in self._runs]
