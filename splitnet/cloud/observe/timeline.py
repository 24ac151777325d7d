"""The last minutes in short slots: what the status page draws."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from splitnet.observe.histogram import Histogram, merged, percentile

SLOT_SECONDS = 5.0
SLOTS = 60
LATENCY_BOUNDS = tuple(1e-4 * 1.2**power for power in range(66))
"""0.1 ms to 14 s in steps of a fifth: percentiles are good to a tenth."""


class Slot:
    """Counts of one slot; `number` counts slots since the clock's zero."""

    __slots__ = ("answered", "bytes_in", "bytes_out", "failed", "latency", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.answered = self.failed = self.bytes_in = self.bytes_out = 0
        self.latency = Histogram(LATENCY_BOUNDS)


class Timeline:
    """Slots of the last minutes, oldest first; a slot in which nothing happened is not kept. Not thread-safe."""

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque(maxlen=SLOTS)

    def at(self, now: float) -> Slot:
        """The slot of this reading of the clock, in seconds."""
        number = int(now / SLOT_SECONDS)
        if not self._slots or self._slots[-1].number < number:
            self._slots.append(Slot(number))
        return self._slots[-1]

    def columns(self, now: float) -> dict[str, list[float | None]]:
        """Column name -> one value a slot, oldest first, up to the last slot that is over.

        Rates are a second, latencies in milliseconds (None where nothing was answered).
        """
        last = int(now / SLOT_SECONDS) - 1
        known = {slot.number: slot for slot in self._slots}
        slots = [known.get(number) or Slot(number) for number in range(last - SLOTS + 1, last + 1)]
        columns: dict[str, list[float | None]] = {
            name: [getattr(slot, name) / SLOT_SECONDS for slot in slots]
            for name in ("answered", "failed", "bytes_in", "bytes_out")
        }
        for name, share in _SHARES:
            columns[name] = [_milliseconds(slot.latency, share) for slot in slots]
        return columns

    def recent(self, now: float, seconds: float) -> dict[str, float | None]:
        """Rates and latencies, as in `columns`, over the slots of the last `seconds` and the one that runs."""
        slots = [slot for slot in self._slots if (slot.number + 1) * SLOT_SECONDS > now - seconds]
        # From the start of the oldest slot that counts, whether anything happened in it or not.
        over = now - int((now - seconds) / SLOT_SECONDS) * SLOT_SECONDS
        found: dict[str, float | None] = {
            name: _total(slots, name) / over for name in ("answered", "failed", "bytes_in", "bytes_out")
        }
        latency = merged([slot.latency for slot in slots], LATENCY_BOUNDS)
        return found | {name: _milliseconds(latency, share) for name, share in _SHARES}


_SHARES = (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99))


def _total(slots: Sequence[Slot], name: str) -> int:
    return sum(getattr(slot, name) for slot in slots)


def _milliseconds(latency: Histogram, share: float) -> float | None:
    found = percentile(latency, share)
    return None if found is None else 1000 * found
