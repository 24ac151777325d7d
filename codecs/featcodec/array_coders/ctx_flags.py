"""Flags of `ctx` that come before a symbol: whether it is 0, the likeliest value, or above; see _native/ctx_flags.h."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from featcodec.array_coders.ctx_adaptive import Bit, Mixer, WideMixer, squashed
from featcodec.array_coders.ctx_distribution import Slot
from featcodec.array_coders.ctx_tables import eighth_octave, quarter_octave
from featcodec.contract import Array


class Sink(Protocol):
    """Codes one flag or symbol, either way; the value is read by encoders only."""

    def flag(self, p: int, value: bool) -> bool: ...
    def symbol(self, slot: Slot, value: int) -> int: ...


def _bits(count: int) -> list[Bit]:
    return [Bit() for _ in range(count)]


def _code(sink: Sink, mixer: Mixer, bits: list[Bit], value: bool) -> bool:
    inputs = [bit.stretched() for bit in bits]
    p = mixer.mix(inputs)
    one = sink.flag(p, value)
    mixer.update(inputs, p, one)
    for bit in bits:
        bit.update(65535 if one else 0)
    return one


class Flags:
    """Contexts of the flags, with what they have learned."""

    def __init__(self, mixed: bool, wide: bool, large: bool, shift: int) -> None:
        mixer = WideMixer if wide else Mixer
        self._mixed, self._step = mixed, shift
        self._step_scale = eighth_octave(256 << shift) if large and shift >= 0 else -1000
        self._near, self._far, self._third, self._zero_mixer = _bits(84), _bits(256), _bits(256), mixer()
        self._place, self._around, self._level = _bits(288), _bits(225), _bits(288)
        self._mixers = [mixer() for _ in range(5)]
        self._side_place, self._side_around, self._side_level = _bits(408), _bits(225), _bits(288)
        self._side_mixer = mixer()

    def forget(self) -> None:
        """A new channel, of a large map."""
        self._third, self._level, self._side_level = _bits(256), _bits(288), _bits(288)

    def row(self, values: Array, refs: list[int], c: int, y: int) -> None:
        """Zero contexts of a row, as far as they need no left neighbour."""
        width = values.shape[2]
        none = np.zeros(width, np.int64)
        n = (values[c, y - 1] == 0).astype(np.int64) if y else none
        far = (values[c, y - 2] == 0).astype(np.int64) if y > 1 else n
        nw, ne = none.copy(), none.copy()
        nw[1:], ne[:-1] = n[:-1], n[1:]
        zero = [(values[r] == 0).astype(np.int64) for r in refs[:2]]
        kind = none
        if len(zero) == 1:
            kind = 1 + zero[0][y]
        elif zero:
            kind = 3 + 2 * zero[0][y] + zero[1][y]
        self._near_row: list[int] = (2 * n + 4 * (nw + ne) + 12 * kind).tolist()
        of = none + 7
        if zero:
            east = np.append(zero[0][y][1:], zero[0][y][-1])
            of = zero[0][y] + 2 * east + 4 * zero[0][min(y + 1, len(zero[0]) - 1)]
        self._third_row: list[int] = (2 * n + 4 * ne + 16 * far + 32 * of).tolist()

    def zero(self, sink: Sink, xs: list[int], x: int, mean: int, bucket: int) -> bool:
        """Code whether the symbol at `x` is 0."""
        w = int(xs[x - 1] == 0) if x else self._near_row[x] >> 1 & 1
        ww = int(xs[x - 2] == 0) if x > 1 else w
        ratio = max(0, min(23, quarter_octave(abs(mean)) - bucket + 8))
        a = self._near[self._near_row[x] + w]
        b = self._far[32 * (bucket // 8) + (8 + ratio if mean >= 0 else 7 - min(7, ratio // 3))]
        if self._mixed:
            return _code(sink, self._zero_mixer, [a, b, self._third[self._third_row[x] + w + 8 * ww]], xs[x] == 0)
        zero = sink.flag(squashed((5 * (a.stretched() + b.stretched())) >> 3), xs[x] == 0)
        for bit in (a, b):
            bit.update(65535 if zero else 0)
        return zero

    def likeliest(self, sink: Sink, xs: list[int], ns: list[int] | None, x: int, slot: Slot) -> Slot:
        """Where one value is likely, code whether the symbol is that, else on which side; what is left to code."""
        relative = self._step_scale - slot.scale + 8
        if relative < 0 or slot.low == slot.last:
            return slot
        g = max(slot.low, min(slot.last, (slot.mean + (8 << self._step)) >> (self._step + 4)))
        n = ns[x] if ns else g
        w = xs[x - 1] if x else n
        nw = ns[x - 1] if ns and x else n
        ne = ns[x + 1] if ns and x + 1 < len(ns) else n

        def side(v: int, most: int) -> int:
            return max(-most, min(most, v - g)) + most

        off = (slot.mean - (g << (self._step + 4))) >> self._step
        away, row = abs(off), min(23, relative // 4)
        place = away if away <= 8 else 9 if away < 16 else 10 if away < 32 else 11
        around = (side(w, 2) * 5 + side(n, 2)) * 9 + side(nw, 1) * 3 + side(ne, 1)
        level = min(g, 31) * 9 + side(n, 1) * 3 + side(w, 1)
        bits = [self._place[row * 12 + place], self._around[around], self._level[level]]
        if _code(sink, self._mixers[[w, n, nw, ne].count(g)], bits, xs[x] == g):
            return replace(slot, low=g, last=g)
        up = g == slot.low
        if not up and g != slot.last:
            where = row * 17 + max(-8, min(8, off)) + 8
            bits = [self._side_place[where], self._side_around[around], self._side_level[level]]
            up = _code(sink, self._side_mixer, bits, xs[x] > g)
        return replace(slot, low=g + 1) if up else replace(slot, last=g - 1)
