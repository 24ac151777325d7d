"""Counts of values by size, cheap enough to be kept for every request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Histogram:
    """How many values are at most each of `bounds` (ascending), with a last place for those above. Not thread-safe."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus's form: upper bound as text -> values up to it, the last of them `+Inf`."""
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        return list(zip(names, (float(number) for number in accumulate(self.counts)), strict=True))


def merged(histograms: Sequence[Histogram], bounds: Sequence[float]) -> Histogram:
    """The sum of histograms with the same bounds."""
    total = Histogram(bounds)
    total.counts = [sum(counts) for counts in zip(total.counts, *(one.counts for one in histograms), strict=True)]
    total.sum = sum(one.sum for one in histograms)
    return total


def percentile(histogram: Histogram, share: float) -> float | None:
    """The value that `share` (0 to 1) of the values do not exceed, interpolated within its place; None without values.

    What lies above the last bound counts as the last bound.
    """
    target, below = share * histogram.count, 0
    if not target:
        return None
    for place, number in enumerate(histogram.counts):
        if number and below + number >= target:
            low = histogram.bounds[place - 1] if place else 0.0
            high = histogram.bounds[min(place, len(histogram.bounds) - 1)]
            return low + (high - low) * (target - below) / number
        below += number
    return histogram.bounds[-1]
