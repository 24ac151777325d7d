"""The model of `ctx`: prediction, scale and contexts of every symbol; the reference of _native/ctx_run.h."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from featcodec.array_coders.ctx_solver import Solver
from featcodec.array_coders.ctx_tables import (
    CDF,
    FIRST,
    HALF,
    INV,
    MIDDLE,
    PROB_BITS,
    RATE,
    SCALES,
    SQUASH,
    STRETCH,
    TOTAL,
    eighth_octave,
    quarter_octave,
)
from featcodec.contract import Array

TAP_BITS, BLOCK, SMALL, WINDOW, MAX_REFS = 11, 256, 1024, 128, 7
_TOP = 1 << TAP_BITS


@dataclass(frozen=True)
class Shape:
    """Channels, rows, columns, and how many values a symbol can have."""

    channels: int
    height: int
    width: int
    levels: int

    @property
    def area(self) -> int:
        return self.height * self.width

    @property
    def small(self) -> bool:
        return self.area <= SMALL

    @property
    def max_refs(self) -> int:
        return 0 if self.area < 16 else MAX_REFS if self.small else 3

    @property
    def shift(self) -> int:
        return TAP_BITS - (self.levels - 1).bit_length()


@dataclass
class Choices:
    """What the encoder decides and the header states."""

    zeros: bool = False
    shapes: list[int] = field(default_factory=lambda: [16] * 32)
    refs: list[list[int]] = field(default_factory=list)  # distances, for every channel


@dataclass(frozen=True)
class Slot:
    """What a symbol is coded with: mean (1/16 tap), scale (eighths of an octave), group, known not to be 0."""

    mean: int
    scale: int
    group: int
    above: bool


class Sink(Protocol):
    """Codes one symbol, either way; the value is read by encoders only."""

    def zero(self, p: int, value: int) -> bool: ...
    def symbol(self, slot: Slot, value: int) -> int: ...


class Distribution:
    """Cumulative frequencies of one symbol's values, total 2^20."""

    def __init__(self, slot: Slot, choice: int, levels: int, shift: int) -> None:
        self._cdf, self._mean = CDF[choice & 3], slot.mean
        self.low, self.high, self._shift = int(slot.above), levels, shift
        self._inv = INV[max(0, min(SCALES - 1, slot.scale + (choice >> 2) - 4))]
        self._base = self._at(1) if slot.above else 0
        rest = TOTAL - self._base
        self._spread = ((TOTAL - (levels - self.low)) << PROB_BITS) // rest if rest > 0 else 0

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


def _moved(state: list[int], target: int, most: int) -> None:
    state[0] += ((target - state[0]) * RATE[state[1]]) >> 16
    state[1] += state[1] < most


def run(s: Shape, choices: Choices, values: Array, sink: Sink) -> None:
    """Code all of `values` (uint16, channels x rows x columns), which a decoder's sink fills."""
    width, height, shift = s.width, s.height, s.shift

    def tap(x: Array) -> Array:
        wide = x.astype(np.int64)
        return wide << shift if shift >= 0 else wide >> -shift

    def one(x: int) -> int:
        return x << shift if shift >= 0 else x >> -shift

    solver = Solver()
    near = [[32768, 2] for _ in range(84)]
    far = [[32768, 2] for _ in range(256)]
    scales = [[[first, 6] for first in FIRST] for _ in range(2)]
    error = np.zeros(values.shape, np.int64)
    innovation = np.zeros(values.shape, np.int64)
    mean, spread = [0] * s.channels, [1] * s.channels
    middle = np.array(MIDDLE, np.int64)
    global_mean, global_error = _TOP // 2, 64
    columns = np.arange(width)
    left, right = np.maximum(columns - 1, 0), np.minimum(columns + 1, width - 1)
    for c in range(s.channels):
        refs = [c - distance for distance in choices.refs[c]]
        per = 1 if s.small else 5
        taps = np.zeros((4 + per * len(refs), width), np.int64)
        solver.start(len(taps))
        total = seen = errors = 0
        above = [global_error] * width
        for y in range(height):
            row = values[c, y]
            xs = [int(v) for v in row]
            north = values[c, y - 1] if y else None
            ns = [int(v) for v in north] if north is not None else [1] * width
            here = [0] * width
            for first in range(0, width, BLOCK):
                last = min(width, first + BLOCK)
                part = slice(first, last)
                centre = (total + 4 * global_mean) // (seen + 4)
                typical = (errors + 16 * global_error) // (seen + 16)
                if north is not None:
                    up = tap(north) - centre
                    taps[1], taps[2], taps[3] = up, up[left], up[right]
                context = np.zeros(width, np.int64)
                wide = np.array([above[0], *above, above[-1]], np.int64)
                context += 2 * wide[1:-1] + wide[:-2] + wide[2:] + (2 if refs else 4) * typical
                for r, ref in enumerate(refs):
                    at = 4 + per * r
                    if s.small:
                        taps[at] = innovation[ref, y]
                    else:
                        middle_row = tap(values[ref, y]) - mean[ref]
                        taps[at], taps[at + 1] = middle_row, middle_row[left]
                        taps[at + 2] = tap(values[ref, max(y - 1, 0)]) - mean[ref]
                        taps[at + 3] = middle_row[right]
                        taps[at + 4] = tap(values[ref, min(y + 1, height - 1)]) - mean[ref]
                    if r > 1:
                        continue
                    e = middle[error[ref, y]]
                    local = (2 * e + e[left] + e[right]) * ((typical << 8) // spread[ref])
                    context += np.minimum(local >> (9 if len(refs) == 1 else 10), 8192)
                weights = np.array(solver.weight[1:], np.int64)
                base: list[int] = (weights @ taps[1:]).tolist()
                contexts: list[int] = context.tolist()
                for x in range(first, last):
                    west = one(xs[x - 1]) - centre if x else int(taps[1, 0])
                    taps[0, x] = west
                    predicted = centre * 16 + ((base[x] + solver.weight[0] * west + 256) >> 9)
                    predicted = max(-16 * _TOP, min(32 * _TOP, predicted))
                    bucket = min(63, quarter_octave(contexts[x] + 2 * (here[x - 1] if x else above[0])))
                    value = -1
                    if choices.zeros:
                        nz = ns[x] == 0
                        at = (xs[x - 1] == 0 if x else nz) + 2 * nz
                        at += 4 * ((x > 0 and ns[x - 1] == 0) + (x + 1 < width and ns[x + 1] == 0))
                        kind = 1 + int(values[refs[0], y, x] == 0) if refs else 0
                        if len(refs) > 1:
                            kind = 1 + 2 * kind + int(values[refs[1], y, x] == 0)
                        a = near[at + 12 * kind]
                        ratio = max(0, min(23, quarter_octave(abs(predicted)) - bucket + 8))
                        b = far[32 * (bucket // 8) + (8 + ratio if predicted >= 0 else 7 - min(7, ratio // 3))]
                        mixed = (5 * (STRETCH[a[0] >> 4] + STRETCH[b[0] >> 4])) >> 3
                        zero = sink.zero(SQUASH[max(-4096, min(4096, mixed)) + 4096], xs[x])
                        _moved(a, 65535 if zero else 0, 90)
                        _moved(b, 65535 if zero else 0, 90)
                        value = 0 if zero else -1
                    scale = scales[choices.zeros][bucket]
                    if value < 0:
                        group = (16 if choices.zeros else 0) + bucket // 4
                        value = sink.symbol(Slot(predicted, eighth_octave(scale[0]), group, choices.zeros), xs[x])
                    xs[x] = value
                    e_x = max(1 - _TOP, min(_TOP - 1, one(value) - ((predicted + 8) >> 4)))
                    here[x] = abs(e_x)
                    if not choices.zeros or value > 0:
                        _moved(scale, abs(e_x) << 8, 200)
                    errors += abs(e_x)
                    total += one(value)
                    innovation[c, y, x] = e_x
                    error[c, y, x] = quarter_octave(abs(e_x))
                row[part] = xs[part]
                seen += last - first
                solver.add(taps[:, part], tap(row[part]) - centre)
                solver.solve()
            above = here
        solver.finish()
        mean[c], spread[c] = total // seen, errors // seen + 1
        global_mean += (total // seen - global_mean) >> 2
        global_error = (3 * global_error + errors // seen + 2) >> 2
