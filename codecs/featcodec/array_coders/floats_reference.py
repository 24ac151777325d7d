"""`floats` in Python, equal to the native coder (_native/floats_encoder.cpp, floats_decoder.cpp) bit for bit."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from math import prod

import numpy as np

from featcodec.array_coders import floats_params
from featcodec.array_coders.bits import BitReader, BitWriter
from featcodec.array_coders.floats_model import (
    ABOVE,
    BELOW,
    LEAD,
    Bit,
    Format,
    Params,
    Parts,
    Slot,
    shifted,
    slots,
    split,
)
from featcodec.array_coders.rans_core import BITS, LOW, TOTAL
from featcodec.array_coders.rans_model import member
from featcodec.contract import Array
from featcodec.errors import PayloadError

MODE = 1  # the payload's first byte
_SYMBOLS, _LOW_BITS, _FLAGS = range(3)  # the states


class _Coder:
    """What encoder and decoder share: tables, limits, and the low bits' probabilities of a channel."""

    def __init__(self, params: Params, form: Format) -> None:
        self.params, self.form = params, form
        self.limit = min(params.top + ABOVE, form.most)
        self.tables = [member(params.shape, params.scale + table) for table in range(floats_params.TABLES)]
        self.starts = [[0, *accumulate(table)] for table, _ in self.tables]
        self.channel = -1
        self.low: list[Bit] = []

    def enter(self, slot: Slot) -> None:
        if slot.channel != self.channel:
            self.channel = slot.channel
            self.low = [Bit() for _ in range(64)]

    def up(self, exponent: int) -> int:
        return exponent - self.params.top + LEAD - self.form.mantissa

    def level(self, parts: Parts) -> int:
        size = shifted(parts.full, self.up(parts.exponent))
        return ~size if parts.negative else size

    def grid(self, negative: bool) -> int:
        return self.params.grid[negative][self.channel]

    def low_bit(self, negative: bool, exponent: int) -> Bit:
        return self.low[32 * negative + min(max(self.params.top + ABOVE - exponent, 0), 31)]


class _Encoder(_Coder):
    def __init__(self, params: Params, form: Format) -> None:
        super().__init__(params, form)
        self.raw = BitWriter()
        self.events: list[tuple[int, int, int]] = []  # state, start, frequency

    def put_bit(self, state: int, bit: Bit, one: bool) -> None:
        ones = bit.odds << (BITS - 8)
        self.events.append((state, 0, ones) if one else (state, ones, TOTAL - ones))
        bit.update(one)

    def put(self, slot: Slot, bits: int, before: int) -> None:
        self.enter(slot)
        if slot.zero:
            self.put_bit(_FLAGS, slot.zero, bits == 0)
            if bits == 0:
                slot.flag, slot.level = 1, 0
                return
        if slot.same:
            self.put_bit(_FLAGS, slot.same, bits == before)
            if bits == before:
                slot.flag = 2
                return
        parts = split(bits, self.form)
        sized = parts.exponent <= self.limit
        tiny = parts.exponent < self.params.top - BELOW and parts.full > 0
        level = self.level(parts) if sized else slot.mean
        frequencies, reach = self.tables[slot.table]
        step = level >> slot.shift
        symbol = step - (slot.mean >> slot.shift) + reach
        if not sized or tiny or not 0 <= symbol <= 2 * reach:
            symbol = 2 * reach + 1
            self.raw.put(bits, self.form.width)
            slot.level = level
        else:
            slot.level = (step << slot.shift) + (1 << slot.shift >> 1)
        self.events.append((_SYMBOLS, self.starts[slot.table][symbol], frequencies[symbol]))
        if symbol > 2 * reach:
            return
        if ~step if step < 0 else step:
            if slot.shift > self.up(parts.exponent):
                self.tail(parts, slot.shift - self.up(parts.exponent))
        else:
            self.near_zero(parts, self.params.top + slot.shift - 1 - LEAD)

    def tail(self, parts: Parts, count: int) -> None:
        skip = max(0, self.grid(parts.negative) - (parts.exponent - 1))
        if count > skip:
            rest = (parts.full & ((1 << count) - 1)) >> skip
            self.put_bit(_LOW_BITS, self.low_bit(parts.negative, parts.exponent), bool(rest & 1))
            self.raw.put(rest >> 1, count - skip - 1)

    def near_zero(self, parts: Parts, exponent: int) -> None:
        while exponent > 1:
            if exponent < self.grid(parts.negative) - self.form.mantissa + 1:
                return
            here = parts.exponent == exponent
            self.raw.put(here, 1)
            if here:
                self.tail(parts, self.form.mantissa)
                return
            exponent -= 1
        self.raw.put(parts.full, self.form.mantissa + 1)

    def take(self) -> bytes:
        states, words = [LOW] * 3, []
        for state, start, frequency in reversed(self.events):
            x = states[state]
            if x >= frequency << (32 - BITS):
                words.append(x & 0xFFFF)
                x >>= 16
            states[state] = (x // frequency << BITS) + x % frequency + start
        header = BitWriter()
        header.put(MODE, 8)
        floats_params.write(self.params, header)
        header.gamma(len(words))
        coded = np.array(states, "<u4").tobytes() + np.array(words[::-1], "<u2").tobytes()
        return header.take() + coded + self.raw.take()


class _Decoder(_Coder):
    def __init__(self, params: Params, form: Format, states: list[int], words: list[int], raw: BitReader) -> None:
        super().__init__(params, form)
        self.states, self.words, self.raw = states, words[::-1], raw

    def advance(self, state: int, start: int, frequency: int) -> None:
        x = self.states[state]
        x = frequency * (x >> BITS) + x % TOTAL - start
        if x < LOW:
            if not self.words:
                raise PayloadError("floats: the payload ends before its values do")
            x = x << 16 | self.words.pop()
        self.states[state] = x

    def get_bit(self, state: int, bit: Bit) -> bool:
        ones = bit.odds << (BITS - 8)
        one = self.states[state] % TOTAL < ones
        self.advance(state, 0 if one else ones, ones if one else TOTAL - ones)
        bit.update(one)
        return one

    def get(self, slot: Slot, before: int) -> int:
        self.enter(slot)
        if slot.zero and self.get_bit(_FLAGS, slot.zero):
            slot.flag, slot.level = 1, 0
            return 0
        if slot.same and self.get_bit(_FLAGS, slot.same):
            slot.flag = 2
            return before
        frequencies, reach = self.tables[slot.table]
        starts = self.starts[slot.table]
        symbol = bisect_right(starts, self.states[_SYMBOLS] % TOTAL) - 1
        self.advance(_SYMBOLS, starts[symbol], frequencies[symbol])
        if symbol > 2 * reach:
            bits = self.raw.get(self.form.width)
            parts = split(bits, self.form)
            slot.level = self.level(parts) if parts.exponent <= self.limit else slot.mean
            return bits
        step = (slot.mean >> slot.shift) + symbol - reach
        slot.level = (step << slot.shift) + (1 << slot.shift >> 1)
        negative = step < 0
        size = ~step if negative else step
        if size:
            exponent = max(1, self.params.top + size.bit_length() - 1 + slot.shift - LEAD)
            if exponent > self.limit:
                raise PayloadError("floats: a value is out of range")
            down = slot.shift - self.up(exponent)
            full = shifted(size, down)
            if down > 0:
                full |= self.tail(negative, exponent, down)
        else:
            exponent, full = self.near_zero(negative, self.params.top + slot.shift - 1 - LEAD)
        written = exponent if full >> self.form.mantissa else 0
        mantissa = full & ((1 << self.form.mantissa) - 1)
        return negative << (self.form.width - 1) | written << self.form.mantissa | mantissa

    def tail(self, negative: bool, exponent: int, count: int) -> int:
        skip = max(0, self.grid(negative) - (exponent - 1))
        if count <= skip:
            return 0
        lowest = self.get_bit(_LOW_BITS, self.low_bit(negative, exponent))
        return (self.raw.get(count - skip - 1) << 1 | lowest) << skip

    def near_zero(self, negative: bool, exponent: int) -> tuple[int, int]:
        while exponent > 1:
            if exponent < self.grid(negative) - self.form.mantissa + 1:
                return exponent, 0
            if self.raw.get(1):
                return exponent, 1 << self.form.mantissa | self.tail(negative, exponent, self.form.mantissa)
            exponent -= 1
        return 1, self.raw.get(self.form.mantissa + 1)


def encode(values: Array, form: Format) -> bytes:
    """The payload of the bits of (channels, height, width) values."""
    params = floats_params.choose(values, form)
    encoder = _Encoder(params, form)
    before = 0
    for slot, bits in zip(slots(params, values.shape), values.reshape(-1).tolist(), strict=True):
        encoder.put(slot, bits, before)
        before = bits
    return encoder.take()


def decode(data: memoryview, view: tuple[int, int, int], form: Format) -> Array:
    """The bits of (channels, height, width) values, from what follows a payload's first byte. Raises PayloadError."""
    source = BitReader(data)
    params = floats_params.read(source, form, view[0])
    words = source.gamma()
    begin = source.bytes
    end = begin + 12 + 2 * words
    if end > len(data):
        raise PayloadError("floats: the payload is cut short")
    states = np.frombuffer(data[begin : begin + 12], "<u4").tolist()
    if min(states) < LOW:
        raise PayloadError("floats: a state is below its range")
    raw = BitReader(data[end:])
    decoder = _Decoder(params, form, states, np.frombuffer(data[begin + 12 : end], "<u2").tolist(), raw)
    values: list[int] = []
    for slot in slots(params, view):
        values.append(decoder.get(slot, values[-1] if values else 0))
    if decoder.words or states != [LOW] * 3 or raw.bytes != len(data) - end:
        raise PayloadError("floats: the payload does not end where its values do")
    assert len(values) == prod(view)
    return np.array(values, f"<u{form.width // 8}")
