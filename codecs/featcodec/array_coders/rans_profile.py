"""`rans` with a profile's tables: modes 3 and 4 of the payload (docs/rans.md). Reference of _native/rans_profile.cpp.

Nothing is counted in the payload: its length says how many words there are, and a single state begins at 0, so that it
holds no bits that say nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from featcodec._native import kernels
from featcodec.array_coders.bits import fold, unfold
from featcodec.array_coders.rans_core import BITS, LOW, TOTAL
from featcodec.contract import Array
from featcodec.errors import PayloadError
from featcodec.profile_contexts import MOST_MAGNITUDE, MOST_ROW
from featcodec.profile_step import ProfileAtStep

MODES = ORDER_0, CONTEXTS = 3, 4
_NO_CONTEXTS = "rans: the payload has contexts, its profile has none"
_MANY = 65536  # values from which four states take turns


def streams_for(count: int) -> int:
    """How many states take turns: one while their bytes would weigh, four for speed."""
    return 1 if count < _MANY else 4


def encode(symbols: Array, at_step: ProfileAtStep, *, contexts: bool) -> bytes:
    """The payload of int16 symbols (B, P, C) of the profile: mode 3 or 4, or 0 where it is not longer."""
    if kernels is None:
        return encode_reference(symbols, at_step, contexts=contexts)
    coder = at_step.context_kernel if contexts and at_step.has_contexts else at_step.kernel
    coded: bytes = coder.encode((symbols if symbols.flags.aligned else symbols.copy()).reshape(-1))
    return coded


def decode(data: memoryview, shape: tuple[int, ...], at_step: ProfileAtStep) -> Array:
    """int16 symbols (B, P, C) of a payload of mode 3 or 4. Raises PayloadError."""
    if kernels is None:
        return decode_reference(data, shape, at_step)
    symbols = np.empty(shape, "<i2")
    try:
        _coder(data, at_step).decode(np.frombuffer(data, np.uint8, offset=1), symbols.reshape(-1))
    except RuntimeError as error:
        raise PayloadError(f"rans: {error}") from error
    return symbols


def decode_coefficients(data: memoryview, at_step: ProfileAtStep) -> Array:
    """float32 coefficients (B, P, C): what `decode` and then `reconstruct` give, in one pass of the native kernel.

    Raises PayloadError.
    """
    coefficients = np.empty(at_step.shape, np.float32)
    coded, flat = np.frombuffer(data, np.uint8, offset=1), coefficients.reshape(-1)
    try:
        _coder(data, at_step).decode_coefficients(coded, flat)
    except RuntimeError as error:
        raise PayloadError(f"rans: {error}") from error
    return coefficients


def _coder(data: memoryview, at_step: ProfileAtStep) -> Any:
    if data[0] != CONTEXTS:
        return at_step.kernel
    if not at_step.has_contexts:
        raise PayloadError(_NO_CONTEXTS)
    return at_step.context_kernel


class Pushing:
    """A stack of symbols and bits: what is pushed last is popped first."""

    def __init__(self, count: int) -> None:
        self._states = [0] if streams_for(count) == 1 else [LOW] * streams_for(count)
        self._words: list[int] = []

    def symbol(self, index: int, start: int, frequency: int) -> None:
        """The slots of a symbol, in the state whose turn `index` is."""
        x = self._room(index, frequency << (32 - BITS))
        self._states[index % len(self._states)] = (x // frequency << BITS) + x % frequency + start

    def bits(self, index: int, value: int, count: int) -> None:
        """At most 16 bits as they are."""
        x = self._room(index, 1 << (32 - count))
        self._states[index % len(self._states)] = x << count | value

    def _room(self, index: int, limit: int) -> int:
        x = self._states[index % len(self._states)]
        if x >= limit:
            self._words.append(x & 0xFFFF)
            x >>= 16
        return x

    def take(self) -> bytes:
        """States, then words in the order they are popped."""
        words = np.array(self._words[::-1], "<u2").tobytes()
        if len(self._states) > 1:
            return np.array(self._states, "<u4").tobytes() + words
        return self._states[0].to_bytes((self._states[0].bit_length() + 7) // 8, "little") + words


class Popping:
    """Reads what Pushing wrote. Raises PayloadError."""

    def __init__(self, data: memoryview, count: int) -> None:
        streams, size = streams_for(count), len(data)
        self._start = 0 if streams == 1 else LOW
        head = 4 * streams if streams > 1 else size if size <= 4 else 3 + (size + 1) % 2
        if size < head or (size - head) % 2:
            raise PayloadError("rans: the payload is cut short or has bytes left over")
        width = 4 if streams > 1 else head
        self._states = [int.from_bytes(data[at : at + width], "little") for at in range(0, head, width or 1)] or [0]
        self._words: list[int] = np.frombuffer(data[head:], "<u2").tolist()[::-1]

    def slot(self, index: int) -> int:
        """0 to TOTAL - 1: one of the slots of the next symbol."""
        return self._states[index % len(self._states)] & (TOTAL - 1)

    def symbol(self, index: int, start: int, frequency: int) -> None:
        """Pop the symbol that `slot` belongs to."""
        x = self._states[index % len(self._states)]
        self._refill(index, frequency * (x >> BITS) + (x & (TOTAL - 1)) - start)

    def bits(self, index: int, count: int) -> int:
        """At most 16 bits as they are."""
        x = self._states[index % len(self._states)]
        self._refill(index, x >> count)
        return x & ((1 << count) - 1)

    def _refill(self, index: int, x: int) -> None:
        if x < LOW and self._words:
            x = x << 16 | self._words.pop()
        self._states[index % len(self._states)] = x

    def finish(self) -> None:
        """Raises PayloadError unless all is used and every state is where it began."""
        if self._words or any(state != self._start for state in self._states):
            raise PayloadError("rans: the payload's states do not end where they began")


def encode_reference(symbols: Array, at_step: ProfileAtStep, *, contexts: bool) -> bytes:
    """The payload of int16 symbols (B, P, C)."""
    use = contexts and at_step.contexts is not None
    chosen = at_step.context_tables(symbols) if use else np.broadcast_to(at_step.tables, symbols.shape)
    frequencies, starts = _tables(at_step)
    out = Pushing(symbols.size)
    pairs = list(zip(symbols.reshape(-1).tolist(), chosen.reshape(-1).tolist(), strict=True))
    escape = len(frequencies[0]) - 1
    for index in range(len(pairs) - 1, -1, -1):
        value, table = pairs[index]
        symbol = fold(value)
        if symbol >= escape or not frequencies[table][symbol]:
            below = max(symbol.bit_length() - 1, 0)
            out.bits(index, symbol - (1 << below) if below else symbol, max(below, 1))
            out.bits(index, below, 4)
            symbol = escape
        out.symbol(index, starts[table][symbol], frequencies[table][symbol])
    coded = bytes([CONTEXTS if use else ORDER_0]) + out.take()
    return coded if len(coded) <= symbols.nbytes else b"\0" + symbols.tobytes()


def decode_reference(data: memoryview, shape: tuple[int, ...], at_step: ProfileAtStep) -> Array:
    """int16 symbols (B, P, C). Raises PayloadError."""
    contexts = at_step.contexts if data[0] == CONTEXTS else None
    if data[0] == CONTEXTS and contexts is None:
        raise PayloadError(_NO_CONTEXTS)
    blocks, rows, components = shape
    source = Popping(data[1:], blocks * rows * components)
    tables = _tables(at_step)
    symbols = np.zeros((blocks * rows, components), "<i2")
    magnitudes, sums = np.zeros(symbols.shape, np.int32), np.zeros(len(symbols), np.int64)
    for row in range(len(symbols)):
        block, j = divmod(row, rows)
        if contexts is None:
            chosen = at_step.tables[j]
        else:
            chosen = contexts.rows_tables(magnitudes, sums, block, slice(j, j + 1))[0]
        values = [_pop(source, row * components + c, tables, t) for c, t in enumerate(chosen.tolist())]
        symbols[row] = values
        magnitudes[row] = np.minimum(np.abs(values), MOST_MAGNITUDE)
        sums[row] = min(int(magnitudes[row].sum()), MOST_ROW)
    source.finish()
    return symbols.reshape(shape)


_Rows = list[list[int]]


def _tables(at_step: ProfileAtStep) -> tuple[_Rows, _Rows]:
    """Frequencies and starts."""
    frequencies: _Rows = at_step.profile.tables.tolist()
    return frequencies, [[0, *accumulate(table)] for table in frequencies]


def _pop(source: Popping, index: int, tables: tuple[_Rows, _Rows], table: int) -> int:
    frequencies, starts = tables[0][table], tables[1][table]
    symbol = _find(starts, source.slot(index))
    source.symbol(index, starts[symbol], frequencies[symbol])
    if symbol == len(frequencies) - 1:
        below = source.bits(index, 4)
        symbol = source.bits(index, max(below, 1)) + (1 << below if below else 0)
    return unfold(symbol)


def _find(starts: Sequence[int], slot: int) -> int:
    return bisect_right(starts, slot) - 1
