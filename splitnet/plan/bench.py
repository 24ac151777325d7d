"""How long a call takes: warm, repeated, one photo after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from splitnet.plan.energy import EnergyMeter
from splitnet.plan.profile import Times

_WARM_UPS = 2
_ROUNDS = 4

Call = Callable[[int], object]
"""Called with the number of a photo."""


@dataclass(frozen=True)
class Bench:
    """Times calls: `repeats` of each, times multiplied by `slowdown`; energy where there is a `meter`.

    A device emulated F times slower computes and then waits F - 1 times as long; so does this, since after a pause
    caches are cold and the first of its stages takes longer than in a loop. `clock` returns seconds, `pause` waits for
    some.
    """

    repeats: int = 20
    slowdown: float = 1.0
    meter: EnergyMeter | None = None
    clock: Callable[[], float] = time.perf_counter
    pause: Callable[[float], object] = time.sleep

    def time(self, call: Call, count: int, before: Call | None = None) -> Times:
        """Median and 95th percentile of `call(i)`, i going through 0 ... count - 1 again and again.

        `before(i)` runs before each and is not timed: what comes first in use. What a graph leaves in the caches, a
        coder finds there; in a loop of its own it would seem to take half the time.
        """
        return self.compare({"": lambda: call}, count, before)[""]

    def compare(
        self, makers: Mapping[str, Callable[[], Call]], count: int, before: Call | None = None
    ) -> dict[str, Times]:
        """The same for several calls in turns, so that other work on the machine hits all of them alike.

        A call is made anew in each of a few rounds, and dropped after: one of them is in memory at a time.
        """
        seconds: dict[str, list[float]] = {name: [] for name in makers}
        joules = dict.fromkeys(makers, 0.0)
        for start, stop in self._rounds():
            for name, make in makers.items():
                call = make()
                for index in range(_WARM_UPS):
                    call(index % count)
                for index in range(start, stop):
                    first = began = self.clock()
                    if before is not None:
                        before(index % count)
                        began = self.clock()
                    call(index % count)
                    seconds[name].append(self.clock() - began)
                    if self.slowdown > 1:
                        self.pause((self.slowdown - 1) * (self.clock() - first))
                if self.meter is not None:
                    joules[name] += self._energy(self.meter, call, range(start, stop), count)
        return {name: self._times(found, joules[name]) for name, found in seconds.items()}

    @staticmethod
    def _energy(meter: EnergyMeter, call: Call, numbers: range, count: int) -> float:
        before = meter.read()
        for index in numbers:
            call(index % count)
        return meter.since(before)

    def _rounds(self) -> list[tuple[int, int]]:
        edges = [self.repeats * part // _ROUNDS for part in range(_ROUNDS + 1)]
        return [(start, stop) for start, stop in pairwise(edges) if stop > start]

    def _times(self, seconds: list[float], joules: float) -> Times:
        median, p95 = (1000 * self.slowdown * float(np.percentile(seconds, share)) for share in (50, 95))
        mean = None if self.meter is None else joules / self.repeats
        return Times(median_ms=round(median, 6), p95_ms=round(p95, 6), joules=mean)
