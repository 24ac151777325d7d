"""The model of `ctx`: prediction, scale and contexts of every symbol; the reference of _native/ctx_run.h."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from featcodec.array_coders.ctx_adaptive import Mean
from featcodec.array_coders.ctx_distribution import Slot
from featcodec.array_coders.ctx_flags import Flags, Sink
from featcodec.array_coders.ctx_solver import Solver
from featcodec.array_coders.ctx_tables import FIRST, MIDDLE, eighth_octave, quarter_octave
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
class Rules:
    """Where the models of modes 3 and 4 differ from that of mode 2."""

    mixed: bool  # biases, three mixed zero contexts, the error of WW in the scale
    large: bool  # also flags for the likeliest value; channels do not share what they learn of biases and flags
    ridges: tuple[int, int]  # pixels that the prior weights are worth: spatial taps, references
    scale_limit: int
    fast: bool  # narrow mixers; weights are solved only after a quarter more pixels

    @classmethod
    def of(cls, s: Shape, mode: int) -> Rules:
        """The rules of mode 2, 3 or 4."""
        if mode == 2:
            return cls(False, False, (10, 10), 200, False)
        return cls(True, not s.small, (150, 25) if s.small else (10, 20), 100, mode > 3)


def run(s: Shape, choices: Choices, values: Array, sink: Sink, mode: int) -> None:
    """Code all of `values` (uint16, channels x rows x columns), which a decoder's sink fills."""
    model = _Pass(s, choices, values, sink, Rules.of(s, mode))
    for c in range(s.channels):
        model.channel(c)


class _Pass:
    def __init__(self, s: Shape, choices: Choices, values: Array, sink: Sink, rules: Rules) -> None:
        self._s, self._choices, self._values, self._sink, self._rules = s, choices, values, sink, rules
        self._solver = Solver(*rules.ridges, rules.fast)
        self._flags = Flags(rules.mixed, not rules.fast, rules.large, s.shift)
        self._scales = [[Mean(first, 6, rules.scale_limit) for first in FIRST] for _ in range(2)]
        self._error = np.zeros(values.shape, np.int64)
        self._innovation = np.zeros(values.shape, np.int64)
        self._mean, self._spread = [0] * s.channels, [1] * s.channels
        self._middle = np.array(MIDDLE, np.int64)
        self._global_mean, self._global_error = _TOP // 2, 64
        columns = np.arange(s.width)
        self._left, self._right = np.maximum(columns - 1, 0), np.minimum(columns + 1, s.width - 1)

    def _tap(self, x: Array) -> Array:
        wide, shift = x.astype(np.int64), self._s.shift
        return wide << shift if shift >= 0 else wide >> -shift

    def _one(self, x: int) -> int:
        return x << self._s.shift if self._s.shift >= 0 else x >> -self._s.shift

    def channel(self, c: int) -> None:
        """Code a channel, and keep what later ones need of it."""
        s = self._s
        self._c, self._refs = c, [c - distance for distance in self._choices.refs[c]]
        self._taps = np.zeros((4 + (1 if s.small else 5) * len(self._refs), s.width), np.int64)
        self._solver.start(len(self._taps))
        self._sum = self._seen = self._errors = 0
        self._above = [self._global_error] * s.width
        if self._rules.large or c == 0:
            self._biases = [Mean(0, 10, 200) for _ in range(256)]
        if self._rules.large:
            self._flags.forget()
        for y in range(s.height):
            self._flags.row(self._values, self._refs, c, y)
            self._here = [0] * s.width
            for first in range(0, s.width, BLOCK):
                self._block(y, first, min(s.width, first + BLOCK))
            self._above = self._here
        self._solver.finish()
        self._mean[c], self._spread[c] = self._sum // self._seen, self._errors // self._seen + 1
        self._global_mean += (self._mean[c] - self._global_mean) >> 2
        self._global_error = (3 * self._global_error + self._errors // self._seen + 2) >> 2

    def _block(self, y: int, first: int, last: int) -> None:
        part = slice(first, last)
        self._centre = (self._sum + 4 * self._global_mean) // (self._seen + 4)
        context = self._prepare(y)
        base = np.array(self._solver.weight[1:], np.int64) @ self._taps[1:]
        row = self._values[self._c, y]
        xs = [int(v) for v in row]
        self._pixels(y, range(first, last), xs, base.tolist(), context.tolist())
        row[part] = xs[part]
        taps = self._tap(row[part])
        self._sum += int(taps.sum())
        self._errors += sum(self._here[part])
        self._seen += last - first
        self._solver.add(self._taps[:, part], taps - self._centre)
        self._solver.refresh()

    def _prepare(self, y: int) -> Array:
        """Fill all taps but W; the scale context of a row."""
        s, c = self._s, self._c
        typical = (self._errors + 16 * self._global_error) // (self._seen + 16)
        if y:
            up = self._tap(self._values[c, y - 1]) - self._centre
            self._taps[1], self._taps[2], self._taps[3] = up, up[self._left], up[self._right]
        wide = np.array([self._above[0], *self._above, self._above[-1]], np.int64)
        shares = (1 if self._rules.mixed else 2) + (0 if self._refs else 2)
        context: Array = 2 * wide[1:-1] + wide[:-2] + wide[2:] + shares * typical
        for r, ref in enumerate(self._refs):
            if s.small:
                self._taps[4 + r] = self._innovation[ref, y]
            else:
                row, up, down = (self._values[ref, max(0, min(s.height - 1, at))] for at in (y, y - 1, y + 1))
                rows = (row, row[self._left], up, row[self._right], down)
                self._taps[4 + 5 * r : 9 + 5 * r] = [self._tap(v) - self._mean[ref] for v in rows]
            if r < 2:
                e = self._middle[self._error[ref, y]]
                local = (2 * e + e[self._left] + e[self._right]) * ((typical << 8) // self._spread[ref])
                context += np.minimum(local >> (9 if len(self._refs) == 1 else 10), 8192)
        return context

    def _pixels(self, y: int, columns: range, xs: list[int], base: list[int], context: list[int]) -> None:
        """All that needs the pixel to the left: one symbol after another."""
        rules, zeros, here, centre = self._rules, self._choices.zeros, self._here, self._centre
        ns = [int(v) for v in self._values[self._c, y - 1]] if y else None
        for x in columns:
            west = self._one(xs[x - 1]) - centre if x else int(self._taps[1, 0])
            self._taps[0, x] = west
            m = _clamped(centre * 16 + ((base[x] + self._solver.weight[0] * west + 256) >> 9))
            error = here[x - 1] if x else self._above[0]
            before = here[x - 2] if x > 1 else error
            bucket = min(63, quarter_octave(context[x] + 2 * error + (before if rules.mixed else 0)))
            if rules.mixed:
                sides = sum(1 << i for i in range(4) if self._taps[i, x] > (m >> 4) - centre)
                bias = self._biases[sides + 16 * (bucket // 4)]
                m = _clamped(m + (bias.value >> 8))
            value = self._value(m, bucket, xs, ns, x)
            xs[x] = value
            e = max(1 - _TOP, min(_TOP - 1, self._one(value) - ((m + 8) >> 4)))
            if rules.mixed:
                bias.update(max(-16 * _TOP, min(16 * _TOP, self._one(value) * 16 - m)) << 8)
            here[x] = abs(e)
            if not zeros or value > 0:
                self._scales[zeros][bucket].update(abs(e) << 8)
            self._innovation[self._c, y, x] = e
            self._error[self._c, y, x] = quarter_octave(abs(e))

    def _value(self, m: int, bucket: int, xs: list[int], ns: list[int] | None, x: int) -> int:
        zeros = self._choices.zeros
        if zeros and self._flags.zero(self._sink, xs, x, m, bucket):
            return 0
        scale = eighth_octave(self._scales[zeros][bucket].value)
        slot = Slot(m, int(zeros), self._s.levels - 1, scale, (16 if zeros else 0) + bucket // 4)
        if self._rules.large:
            slot = self._flags.likeliest(self._sink, xs, ns, x, slot)
        return slot.low if slot.low == slot.last else self._sink.symbol(slot, xs[x])


def _clamped(mean: int) -> int:
    return max(-16 * _TOP, min(32 * _TOP, mean))
