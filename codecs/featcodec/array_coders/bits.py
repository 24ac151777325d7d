"""Bits, lowest first, and the integer codes of headers (docs/rans.md). The native twin is _native/bits.h."""

from __future__ import annotations

from collections.abc import Sequence

from featcodec.errors import PayloadError

RICE_LIMIT = 24
RICE_ESCAPE_BITS = 26


class BitWriter:
    """Collects bits; the first one is the lowest of the first byte."""

    def __init__(self) -> None:
        self._value = 0
        self._bits = 0
        self._bytes = bytearray()

    def put(self, value: int, bits: int) -> None:
        """The lowest `bits` bits of `value`."""
        self._value |= (value & ((1 << bits) - 1)) << self._bits
        self._bits += bits
        whole = self._bits // 8
        if whole:
            self._bytes += (self._value & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
            self._value >>= 8 * whole
            self._bits -= 8 * whole

    def gamma(self, value: int) -> None:
        """Elias gamma of `value` + 1: n zeros, a one, then the n bits below the top one."""
        below = (value + 1).bit_length() - 1
        self.put(0, below)
        self.put(1, 1)
        self.put(value + 1, below)

    def take(self) -> bytes:
        """All bits as whole bytes, the last one filled with zeros."""
        if self._bits:
            self._bytes.append(self._value)
        return bytes(self._bytes)


class BitReader:
    """Reads what BitWriter wrote. Raises PayloadError at the end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def get(self, bits: int) -> int:
        """The next `bits` bits."""
        end = self._at + bits
        if end > 8 * len(self._data):
            raise PayloadError("rans: the payload is cut short")
        piece = int.from_bytes(self._data[self._at // 8 : (end + 7) // 8], "little")
        value = (piece >> self._at % 8) & ((1 << bits) - 1)
        self._at = end
        return value

    def gamma(self) -> int:
        """What `BitWriter.gamma` wrote."""
        below = 0
        while self.get(1) == 0:
            below += 1
            if below > 63:
                raise PayloadError("rans: a number is too large")
        return ((1 << below) | self.get(below)) - 1

    @property
    def bytes(self) -> int:
        """Bytes begun so far; the bits that fill the last one must be 0."""
        if self._at % 8 and self._data[self._at // 8] >> self._at % 8:
            raise PayloadError("rans: bits that fill a byte are not 0")
        return (self._at + 7) // 8


def fold(value: int) -> int:
    """0, -1, 1, -2, ... -> 0, 1, 2, 3, ..."""
    return 2 * value if value >= 0 else -2 * value - 1


def unfold(code: int) -> int:
    """The inverse of `fold`."""
    return -(code + 1) // 2 if code & 1 else code // 2


def _folded(values: Sequence[int]) -> list[int]:
    return [fold(value - before) for before, value in zip([0, *values], values, strict=False)]


def best_rice(values: Sequence[int]) -> tuple[int, int]:
    """The Rice parameter of the shortest code (the smallest on a tie), and the list's length in bits."""
    folded = _folded(values)

    def bits(k: int) -> int:
        short = [code >> k for code in folded]
        return 3 + sum(q + 1 + k if q < RICE_LIMIT else RICE_LIMIT + RICE_ESCAPE_BITS for q in short)

    lengths = [bits(k) for k in range(8)]
    return lengths.index(min(lengths)), min(lengths)


def put_list(out: BitWriter, values: Sequence[int]) -> None:
    """Each value's difference from the one before, folded, as a Rice code."""
    k, _ = best_rice(values)
    out.put(k, 3)
    for code in _folded(values):
        quotient = code >> k
        if quotient >= RICE_LIMIT:
            out.put(0, RICE_LIMIT)
            out.put(code, RICE_ESCAPE_BITS)
        else:
            out.put(1 << quotient, quotient + 1)
            out.put(code, k)


def get_list(source: BitReader, count: int, low: int, high: int) -> list[int]:
    """What `put_list` wrote. Raises PayloadError for a value outside low..high."""
    k = source.get(3)
    values: list[int] = []
    before = 0
    for _ in range(count):
        quotient = 0
        while quotient < RICE_LIMIT and source.get(1) == 0:
            quotient += 1
        code = source.get(RICE_ESCAPE_BITS) if quotient == RICE_LIMIT else quotient << k | source.get(k)
        before += unfold(code)
        if not low <= before <= high:
            raise PayloadError("rans: a table's number is out of range")
        values.append(before)
    return values
