"""The primitives of dlib's serialisation (Davis King): integers, real numbers, texts and tensors. numpy only.

An integer is a control byte (low four bits: how many bytes follow, little-endian; high bit: the sign) and its bytes, a
real number two integers (mantissa and power of two), a text its length and its bytes, a truth value a digit 0 or 1. A
tensor is its version (2), four sizes (samples, channels, rows, columns) and 4-byte little-endian floats.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from splitnet.errors import ModelError

Floats = np.ndarray[Any, np.dtype[np.float32]]


class DlibStream:
    """A cursor over `data`; every method moves it past what it returns, or raises ModelError that names `name`.

    No size is believed before the bytes for it are seen.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name, self._at = memoryview(data), name, 0

    def error(self, what: str) -> ModelError:
        return ModelError(f"{self._name} is no dlib network that can be read: {what} (byte {self._at})")

    def integer(self) -> int:
        control = self._take(1)[0]
        length = control & 0x0F
        if control & 0x70 or not 1 <= length <= 8:
            raise self.error(f"0x{control:02x} begins no integer")
        value = int.from_bytes(self._take(length), "little")
        return -value if control & 0x80 else value

    def count(self, what: str) -> int:
        """An integer that is a size; `what` stands for it in messages."""
        value = self.integer()
        if not 0 <= value < 1 << 31:
            raise self.error(f"{value} {what}")
        return value

    def expect(self, value: int, what: str) -> None:
        found = self.integer()
        if found != value:
            raise self.error(f"{what} is {found}, expected {value}")

    def reals(self, number: int) -> tuple[float, ...]:
        return tuple(self._real() for _ in range(number))

    def text(self) -> str:
        length = self.count("characters")
        if length > 100:
            raise self.error(f"a name of {length} characters")
        return bytes(self._take(length)).decode("ascii", errors="backslashreplace")

    def expect_text(self, value: str) -> None:
        found = self.text()
        if found != value:
            raise self.error(f"expected {value!r}, found {found!r}")

    def tensor(self) -> Floats:
        """All values in one row, a read-only view: aliases say how they divide."""
        self.expect(2, "version of a tensor")
        values = np.frombuffer(self._take(4 * math.prod(self._sizes())), "<f4")
        if not np.isfinite(values).all():
            raise self.error("a parameter is not finite")
        return values

    def alias(self) -> tuple[int, ...]:
        """The four sizes of a part of a tensor."""
        self.expect(1, "version of an alias")
        return self._sizes()

    def flags(self, number: int) -> None:
        found = bytes(self._take(number))
        if not set(found) <= set(b"01"):
            raise self.error(f"{found!r} are no truth values")

    def end(self) -> None:
        if self._at != len(self._data):
            raise self.error(f"{len(self._data) - self._at} bytes behind the end")

    def _sizes(self) -> tuple[int, ...]:
        return tuple(self.count(axis) for axis in ("samples", "channels", "rows", "columns"))

    def _real(self) -> float:
        mantissa, power = self.integer(), self.integer()
        try:
            return math.ldexp(mantissa, power)
        # dlib's infinities and NaN are powers beyond 32,000: no network holds one.
        except OverflowError as error:
            raise self.error(f"{mantissa} * 2^{power} is no number") from error

    def _take(self, length: int) -> memoryview:
        left = len(self._data) - self._at
        if length > left:
            raise self.error(f"cut short: {length} bytes expected, {left} left")
        self._at += length
        return self._data[self._at - length : self._at]
