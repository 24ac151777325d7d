"""What one symbol of `ctx` is coded with; the reference of _native/ctx_distribution.h."""

from __future__ import annotations

from dataclasses import dataclass

from featcodec.array_coders.ctx_tables import CDF, HALF, INV, PROB_BITS, SCALES, TOTAL


@dataclass(frozen=True)
class Slot:
    """Mean (1/16 tap), the lowest and highest value that it can have, scale (eighths of an octave), group."""

    mean: int
    low: int
    last: int
    scale: int
    group: int


class Distribution:
    """Cumulative frequencies of one symbol's values, total 2^20."""

    def __init__(self, slot: Slot, choice: int, levels: int, shift: int) -> None:
        self._cdf, self._mean = CDF[choice & 3], slot.mean
        self.low, self.high, self._shift = slot.low, slot.last + 1, shift
        self._inv = INV[max(0, min(SCALES - 1, slot.scale + (choice >> 2) - 4))]
        self._base = self._at(self.low) if self.low else 0
        rest = (TOTAL if self.high == levels else self._at(self.high)) - self._base
        self._spread = ((TOTAL - (self.high - self.low)) << PROB_BITS) // rest if rest > 0 else 0

    def _at(self, x: int) -> int:
        up = self._shift + 3
        edge = (2 * x - 1) << up if up >= 0 else (2 * x - 1) >> -up
        z = max(-256 * HALF, min(256 * HALF - 1, ((edge - self._mean) * self._inv) >> 16)) + 256 * HALF
        low = self._cdf[z >> 8]
        return low + (((self._cdf[(z >> 8) + 1] - low) * (z & 255)) >> 8)

    def below(self, x: int) -> int:
        """Frequency of all values below x."""
        if x <= self.low:
            return 0
        if x >= self.high:
            return TOTAL
        return (((self._at(x) - self._base) * self._spread) >> PROB_BITS) + (x - self.low)

    def find(self, slot: int) -> int:
        """The value whose interval holds `slot`."""
        low, high = self.low, self.high
        while high - low > 1:
            middle = (low + high) // 2
            if self.below(middle) <= slot:
                low = middle
            else:
                high = middle
        return low
