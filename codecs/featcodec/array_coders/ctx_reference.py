"""Header and rANS of `ctx`, in Python; the reference of _native/ctx.cpp."""

from __future__ import annotations

import numpy as np

from featcodec.array_coders.ctx_distribution import Distribution, Slot
from featcodec.array_coders.ctx_model import WINDOW, Choices, Shape, run
from featcodec.array_coders.ctx_refs import choose_references
from featcodec.array_coders.ctx_tables import PROB_BITS, TOTAL, log2_q8
from featcodec.contract import Array
from featcodec.errors import PayloadError

MODE = 4  # what encoders write
_STATE = 1 << 31
_UNUSED = 255
_SAMPLES = 256


class _BitWriter:
    def __init__(self) -> None:
        self._value, self._used = 0, 0

    def put(self, value: int, bits: int) -> None:
        self._value |= value << self._used
        self._used += bits

    def finish(self) -> bytes:
        return self._value.to_bytes((self._used + 7) // 8, "little")


class _BitReader:
    def __init__(self, data: bytes) -> None:
        self._data, self.used = data, 0

    def get(self, bits: int) -> int:
        value = 0
        for i in range(bits):
            if self.used // 8 >= len(self._data):
                raise PayloadError("ctx: the stream ends within its header")
            value |= (self._data[self.used // 8] >> (self.used % 8) & 1) << i
            self.used += 1
        return value


def _shape(values: Array, levels: int) -> Shape:
    channels, height, width = values.shape
    return Shape(channels, height, width, levels)


def _distance_bits(c: int) -> int:
    return (min(c, WINDOW) - 1).bit_length()


def _count_bits(s: Shape) -> int:
    return 2 if s.max_refs == 3 else 3


def _write_choices(s: Shape, choices: Choices, out: _BitWriter) -> None:
    out.put(choices.zeros, 1)
    for choice in choices.shapes[: 32 if choices.zeros else 16]:
        out.put(choice != _UNUSED, 1)
        if choice != _UNUSED:
            out.put(choice, 5)
    if not s.max_refs or s.channels < 2:
        return
    out.put(any(choices.refs), 1)
    if any(choices.refs):
        for c in range(1, s.channels):
            out.put(len(choices.refs[c]), _count_bits(s))
            for distance in choices.refs[c]:
                out.put(distance - 1, _distance_bits(c))


def _read_choices(s: Shape, source: _BitReader) -> Choices:
    choices = Choices(zeros=bool(source.get(1)), refs=[[] for _ in range(s.channels)])
    for group in range(32 if choices.zeros else 16):
        if source.get(1):
            choices.shapes[group] = source.get(5)
    if not s.max_refs or s.channels < 2 or not source.get(1):
        return choices
    for c in range(1, s.channels):
        for _ in range(source.get(_count_bits(s))):
            distance = source.get(_distance_bits(c)) + 1
            if distance > min(c, WINDOW):
                raise PayloadError(f"ctx: channel {c} refers {distance} channels back")
            choices.refs[c].append(distance)
    return choices


class _Collector:
    """Keeps what an encoder has to code: a flag's probability or a symbol's slot, and the value."""

    def __init__(self) -> None:
        self.records: list[tuple[int | Slot, int]] = []

    def flag(self, p: int, value: bool) -> bool:
        self.records.append((p, value))
        return value

    def symbol(self, slot: Slot, value: int) -> int:
        self.records.append((slot, value))
        return value


def _choose_shapes(s: Shape, records: list[tuple[int | Slot, int]]) -> list[int]:
    """For every group the shape, then the scale offset, that code a sample of its symbols in the fewest bits."""
    groups: list[list[tuple[Slot, int]]] = [[] for _ in range(32)]
    for slot, value in records:
        if isinstance(slot, Slot):
            groups[slot.group].append((slot, value))
    chosen = [_UNUSED] * 32
    for group, members in enumerate(groups):
        sample = members[:: len(members) // _SAMPLES + 1]

        def bits(choice: int, sample: list[tuple[Slot, int]] = sample) -> int:
            total = 0
            for slot, value in sample:
                d = Distribution(slot, choice, s.levels, s.shift)
                total -= log2_q8(d.below(value + 1) - d.below(value))
            return total

        if members:
            shape = min((16, 17, 18, 19), key=bits)
            offsets = [shape, *(4 * offset + (shape & 3) for offset in range(8) if offset != 4)]
            chosen[group] = min(offsets, key=bits)
    return chosen


def encode(values: Array, levels: int) -> bytes:
    """The stream of uint16 values (channels, rows, columns), all below `levels`."""
    s = _shape(values, levels)
    choices = Choices(zeros=8 * int((values == 0).sum()) >= values.size, refs=choose_references(s, values))
    collected = _Collector()
    run(s, choices, values.copy(), collected, MODE)
    choices.shapes = _choose_shapes(s, collected.records)
    out = _BitWriter()
    _write_choices(s, choices, out)
    state, words = _STATE, []
    for what, value in reversed(collected.records):
        if isinstance(what, Slot):
            d = Distribution(what, choices.shapes[what.group], levels, s.shift)
            start, end = d.below(value), d.below(value + 1)
        else:
            start, end = (0, what << 4) if value else (what << 4, TOTAL)
        size = end - start
        if state >= size << (63 - PROB_BITS):
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // size << PROB_BITS) + state % size + start
    return out.finish() + state.to_bytes(8, "little") + np.array(words[::-1], "<u4").tobytes()


class _Decoder:
    def __init__(self, s: Shape, choices: Choices, data: bytes) -> None:
        self._shape, self._choices, self._data, self._at = s, choices, data, 8
        self._state = int.from_bytes(data[:8], "little")
        if len(data) < 8 or not _STATE <= self._state < 1 << 63:
            raise PayloadError("ctx: no state at the beginning of the stream")

    def _take(self, start: int, end: int) -> None:
        self._state = (end - start) * (self._state >> PROB_BITS) + (self._state & (TOTAL - 1)) - start
        if self._state < _STATE:
            word = self._data[self._at : self._at + 4]
            if len(word) < 4:
                raise PayloadError("ctx: the stream ends too early")
            self._state = self._state << 32 | int.from_bytes(word, "little")
            self._at += 4

    def flag(self, p: int, value: bool) -> bool:
        found = (self._state & (TOTAL - 1)) < p << 4
        self._take(*((0, p << 4) if found else (p << 4, TOTAL)))
        return found

    def symbol(self, slot: Slot, value: int) -> int:
        d = Distribution(slot, self._choices.shapes[slot.group], self._shape.levels, self._shape.shift)
        x = d.find(self._state & (TOTAL - 1))
        self._take(d.below(x), d.below(x + 1))
        return x

    def finish(self) -> None:
        """Raise PayloadError unless the stream ends here as an encoder's does."""
        if self._state != _STATE or self._at != len(self._data):
            raise PayloadError("ctx: the stream does not end where its symbols do")


def decode(data: bytes, levels: int, values: Array, mode: int) -> None:
    """Fill uint16 `values` (channels, rows, columns) from a stream of mode 2, 3 or 4. Raises PayloadError."""
    s = _shape(values, levels)
    source = _BitReader(data)
    choices = _read_choices(s, source)
    decoder = _Decoder(s, choices, data[(source.used + 7) // 8 :])
    run(s, choices, values, decoder, mode)
    decoder.finish()
